"""Second factors: enrolled, listed, unlinked (weavr.md section 5)."""

from __future__ import annotations

from typing import Any, Final

from server_stub.blocking import blocked
from server_stub.delivery import send
from server_stub.dialects.weavr import otp
from server_stub.dialects.weavr.constants import AUTHY, BIOMETRIC, NAME, OTP_CHANNELS, PUSH_CHANNELS, SMS, WEAVR
from server_stub.dialects.weavr.gate import Visit
from server_stub.dialects.weavr.people import has_phone, number_problem, registered, switched_on
from server_stub.dialects.weavr.replies import INVALID_REQUEST, NO_CONTENT, channel, conflict, verification_code
from server_stub.dialects.weavr.stepup import access_payload, mark_stepped_up
from server_stub.dialects.weavr.watch import factor_changed
from server_stub.http import Reply
from server_stub.records import Session
from server_stub.server import Server
from server_stub.store import UnitOfWork

PURPOSE: Final = "enrol-sms"


def _may_enrol(visit: Visit, wanted: str) -> None:
    """Refuse by channel, type of credentials, state of credentials, and what is enrolled already."""
    switched_on(visit.user, wanted)
    if visit.surface.multi and visit.user.document["credentials"]["type"] == "API_CLIENT":
        raise conflict("TYPE_DOES_NOT_SUPPORT_ENROLMENT")
    if wanted == SMS and not visit.user.document["active"]:
        raise conflict("CREDENTIALS_INACTIVE")
    if visit.user.document["factors"].get(wanted) == "ACTIVE":
        raise conflict("CHANNEL_ALREADY_REGISTERED")


def begin_sms(visit: Visit) -> Reply:
    """`POST authentication_factors/otp/{channel}`: a code to the number given at onboarding; again while pending: a new code."""
    channel(visit.call, OTP_CHANNELS)
    _may_enrol(visit, SMS)
    problem = number_problem(visit.user)
    if problem is not None:
        raise conflict(problem)
    if blocked(visit.user, visit.unit.now):
        return INVALID_REQUEST
    transaction = otp.send_code(
        visit,
        purpose=PURPOSE,
        payload=access_payload(PURPOSE, visit.user.id),
        text=lambda code: f"{code} is your code to enrol this number. Never tell it to anyone.",
        trigger="c",
        replaces=_pending(visit),
    )
    visit.user.document["factors"][SMS] = "PENDING_VERIFICATION"
    visit.user.document["enrolling"] = transaction.id
    visit.save_user()
    return NO_CONTENT


def _pending(visit: Visit) -> Any:
    transaction_id = visit.user.document.get("enrolling")
    return visit.unit.transaction(transaction_id) if transaction_id else None


def verify_sms(visit: Visit) -> Reply:
    """`POST authentication_factors/otp/{channel}/verify`: the factor is active, and the session stepped up."""
    channel(visit.call, OTP_CHANNELS)
    code = verification_code(visit.call.json(), visit.surface)
    _may_enrol(visit, SMS)
    transaction = _pending(visit)
    if transaction is None:
        raise conflict(_nothing_pending(visit))
    refusal = otp.judge(visit, transaction, code)
    if refusal is not None:
        in_enum = visit.surface.multi or refusal not in (otp.STATE, otp.VERIFIED)
        return conflict(refusal if in_enum else otp.LIMIT).reply
    user = visit.unit.user(NAME, visit.user.id) or visit.user
    user.document["factors"][SMS] = "ACTIVE"
    user.document.pop("enrolling", None)
    visit.unit.put_user(user)
    mark_stepped_up(visit.unit, visit.session)
    factor_changed(visit.server, visit.unit, user, SMS, active=True, call_ref=visit.call.headers.get("call-ref", ""))
    return NO_CONTENT


def _nothing_pending(visit: Visit) -> str:
    """Payment Run's enumeration has no STATE_INVALID: a code that was never sent is an invalid one."""
    return otp.STATE if visit.surface.multi else otp.INVALID


def list_factors(visit: Visit) -> Reply:
    """`GET /authentication_factors` (Multi)."""
    states = dict(visit.user.document["factors"])
    if registered(visit.unit, visit.user, BIOMETRIC):
        states[BIOMETRIC] = "ACTIVE"
    elif any(device.state != "active" for device in visit.unit.devices(NAME, visit.user.id)):
        states[BIOMETRIC] = "INACTIVE"
    factors = [
        {"type": _type_of(name), "channel": name, "status": states[name]}
        for name in (SMS, *PUSH_CHANNELS)
        if name in states
    ]
    return Reply(200, {"factors": factors})


def _type_of(name: str) -> str:
    """The biometric factor is listed as its path says (weavr.md 12.4)."""
    return "OTP" if name == SMS else "PUSH"


def begin_push(visit: Visit) -> Reply:
    """`POST /authentication_factors/push/AUTHY` (Multi): a push to the enrolled phone, whose approval makes the factor active."""
    from server_stub.dialects.weavr.push import ENROLMENT, open_push, pending_push

    channel(visit.call, (AUTHY,))
    _may_enrol(visit, AUTHY)
    problem = number_problem(visit.user)
    if problem is not None:
        raise conflict("MOBILE_NUMBER_NOT_AVAILABLE" if problem == "MOBILE_NUMBER_INVALID" else problem)
    if visit.user.document["password"] is None:
        raise conflict("PASSCODE_NOT_SET")
    if blocked(visit.user, visit.unit.now):
        raise conflict(otp.LIMIT)
    if not has_phone(visit.unit, visit.user, "possession") or pending_push(visit) is not None:
        raise conflict("CHANNEL_NOT_READY")
    begun = visit.user.document.get("pushEnrolments", 0)
    if begun >= WEAVR.push_enrolments:
        raise conflict("ENROLMENT_LIMIT_EXCEEDED")
    visit.user.document["pushEnrolments"] = begun + 1
    visit.user.document["factors"][AUTHY] = "PENDING_VERIFICATION"
    visit.save_user()
    open_push(visit, AUTHY, ENROLMENT, access_payload("enrol-push", visit.user.id), trigger="c")
    return NO_CONTENT


def unlink(visit: Visit) -> Reply:
    """`DELETE /authentication_factors/push/{channel}` (Multi): the factor is inactive; a phone's keys are revoked with it."""
    from server_stub.devices import retire

    wanted = channel(visit.call, PUSH_CHANNELS)
    if not visit.user.document["active"]:
        raise conflict("CREDENTIALS_INACTIVE")
    if wanted == BIOMETRIC:
        if not registered(visit.unit, visit.user, BIOMETRIC):
            raise conflict("CHANNEL_NOT_REGISTERED")
        for device in visit.unit.devices(NAME, visit.user.id):
            if device.state == "active":
                retire(visit.unit, device, "revoked")
    elif visit.user.document["factors"].get(AUTHY) != "ACTIVE":
        raise conflict("CHANNEL_NOT_REGISTERED")
    else:
        visit.user.document["factors"][AUTHY] = "INACTIVE"
        visit.save_user()
    factor_changed(
        visit.server, visit.unit, visit.user, wanted, active=False, call_ref=visit.call.headers.get("call-ref", "")
    )
    return NO_CONTENT


def phone_enrolled(server: Server, unit: UnitOfWork, session: Session) -> None:
    """The mobile SDK enrolled a phone: the session is stepped up, the user hears of the new device by mail (weavr.md 5)."""
    user = unit.user(NAME, session.user)
    if user is None:
        return
    mark_stepped_up(unit, session)
    send(
        unit, "email", user.document["email"], "A new device was enrolled for your account. If it was not you, tell us."
    )
    factor_changed(server, unit, user, BIOMETRIC, active=True)
