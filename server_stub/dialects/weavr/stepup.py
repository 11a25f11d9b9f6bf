"""Step-up by SMS: issue and verify (weavr.md section 6). A success steps up the very token of the call (S1-31)."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from server_stub.blocking import blocked
from server_stub.dialects.weavr import otp
from server_stub.dialects.weavr.constants import OTP_CHANNELS, SMS, WEAVR
from server_stub.dialects.weavr.gate import Visit
from server_stub.dialects.weavr.people import number_problem, registered, switched_on
from server_stub.dialects.weavr.replies import INVALID_REQUEST, NO_CONTENT, channel, conflict, verification_code
from server_stub.dialects.weavr.watch import step_up_decided
from server_stub.http import Reply
from server_stub.records import Session
from server_stub.store import UnitOfWork

PURPOSE: Final = "step-up"


def access_payload(purpose: str, user: str) -> dict[str, Any]:
    """What is confirmed where it is no payment."""
    return {"purpose": purpose, "user": user}


def mark_stepped_up(unit: UnitOfWork, session: Session) -> None:
    """The token of this session counts as stepped up until it ends."""
    session.document["steppedUp"] = unit.at
    unit.put_session(session)


def usable(visit: Visit) -> None:
    """Refuse where no SMS can go to this user: channel off, not enrolled, number not usable."""
    switched_on(visit.user, SMS)
    if not registered(visit.unit, visit.user, SMS):
        raise conflict("CHANNEL_NOT_REGISTERED")
    problem = number_problem(visit.user)
    if problem == "MOBILE_COUNTRY_NOT_SUPPORTED" and visit.surface.multi:
        raise conflict(problem)
    if problem is not None:
        raise conflict("MOBILE_NUMBER_INVALID")


def issue(visit: Visit) -> Reply:
    """`POST stepup/challenges/otp/{channel}`: two in one login session, the second 15 seconds after the first or later."""
    channel(visit.call, OTP_CHANNELS)
    usable(visit)
    if blocked(visit.user, visit.unit.now):
        if visit.surface.multi:
            raise conflict(otp.LIMIT)
        return INVALID_REQUEST
    document = visit.session.document
    issued = document.get("issued", [])
    if len(issued) >= WEAVR.challenges_per_session:
        return INVALID_REQUEST
    if issued and visit.unit.now - datetime.fromisoformat(issued[-1]) < WEAVR.retry_wait:
        raise conflict("RETRY_IN_15SEC")
    transaction = otp.send_code(
        visit,
        purpose=PURPOSE,
        payload=access_payload(PURPOSE, visit.user.id),
        text=lambda code: f"{code} is your code to confirm it is you. Never tell it to anyone.",
        replaces=otp.newest(visit),
    )
    document |= {"otp": transaction.id, "issued": [*issued, visit.unit.at]}
    visit.save_session()
    return NO_CONTENT


def verify(visit: Visit) -> Reply:
    """`POST stepup/challenges/otp/{channel}/verify`."""
    channel(visit.call, OTP_CHANNELS)
    code = verification_code(visit.call.json(), visit.surface)
    switched_on(visit.user, SMS)
    if not registered(visit.unit, visit.user, SMS):
        raise conflict("CHANNEL_NOT_REGISTERED")
    transaction = otp.newest(visit)
    if transaction is None:
        raise conflict(otp.STATE)
    refusal = otp.judge(visit, transaction, code)
    if refusal is None:
        mark_stepped_up(visit.unit, visit.session)
        _tell(visit, transaction.id, "VERIFIED")
        return NO_CONTENT
    if refusal == otp.LIMIT:
        _tell(visit, transaction.id, "DECLINED")
    if refusal == otp.VERIFIED and not visit.surface.multi:
        refusal = otp.STATE
    return conflict(refusal).reply


def _tell(visit: Visit, challenge: str, status: Any) -> None:
    call_ref = visit.call.headers.get("call-ref", "")
    step_up_decided(visit.server, visit.unit, visit.user, challenge, status, SMS, call_ref=call_ref)
