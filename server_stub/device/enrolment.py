"""Enrolling a phone: creation options and an activation code by SMS, then one or two keys over one challenge.

Little is refused here: a wrong activation code, a blocked user, a challenge that was not issued, unreadable structures, a key of another
user. All else that an attestation says is recorded, and judged at each step-up.
"""

from __future__ import annotations

import hashlib
import hmac
from datetime import timedelta
from typing import Any, Final

import msgspec

from device_keys.clock import parse_instant, rfc3339
from device_keys.encoding import FormatError, b64url_decode, b64url_encode, member
from device_keys.messages import Registration, parse_attestation_object, parse_client_data
from device_keys.messages import parse_authenticator_data as parse_auth_data
from server_stub.accounts import note_activity, session_of
from server_stub.blocking import BlockingRule, blocked, count_failure, count_single_success
from server_stub.codes import issue_code, read_code
from server_stub.delivery import send
from server_stub.devices import retire
from server_stub.evidence import CredentialFacts, user_handle
from server_stub.http import Call, EnrolmentRules, Reply
from server_stub.own_routes import error, refuse
from server_stub.records import Device, Enrolment, Session, User
from server_stub.server import Server
from server_stub.store import UnitOfWork

CODE_LIFE: Final = timedelta(seconds=300)
CODE_TRIES: Final = 5
GUESSED: Final = "activation-code"
BLOCKED: Final = ("blocked", "this user is blocked for a time after too many failures in a row")
ALGORITHMS: Final = (-7,)
TIMEOUT_MS: Final = 300_000


def _login(server: Server, unit: UnitOfWork, call: Call) -> tuple[Session, EnrolmentRules]:
    """The session behind the dialect's own login, its API key checked."""
    record = unit.token_record(call.bearer) if call.bearer else None
    session = unit.session(record.session_id) if record else None
    dialect = server.dialect(session.dialect) if session else None
    rules = dialect.enrolment if dialect else None
    if session is None or rules is None:
        raise refuse(401, "login_required", "Authorization: expected the bearer token of a login")
    if not rules.key_accepted(call):
        raise refuse(401, "api_key", "API key: expected the dialect's own header with a known key")
    live = session_of(unit, session.dialect, call.bearer, idle=rules.idle)
    if live is None:
        raise refuse(401, "login_required", "Authorization: this login has ended")
    note_activity(unit, live)
    return live, rules


def _applicant(server: Server, unit: UnitOfWork, call: Call) -> tuple[Session, EnrolmentRules]:
    """The login that finishes an enrolment: the call's, or, where the call bears none, the one that began it and alone was told its id."""
    if call.bearer:
        return _login(server, unit, call)
    enrolment = unit.enrolment(call.params["id"])
    session = unit.session(enrolment.session) if enrolment else None
    dialect = server.dialect(session.dialect) if session else None
    rules = dialect.enrolment if dialect else None
    if session is None or rules is None or session.ended_at is not None:
        raise refuse(
            404, "unknown_enrolment", "enrolment: expected the id of an enrolment, begun by a login that lasts"
        )
    return session, rules


async def begin_enrolment(server: Server, call: Call) -> Reply:
    """`POST enrolments`: creation options, and an activation code by SMS to the number that the bank knows."""
    with server.store.begin() as unit:
        session, rules = _login(server, unit, call)
        user = unit.user(session.dialect, session.user)
        number = rules.number_of(user) if user else None
        if user is None or not number:
            raise refuse(409, "no_number", "this user has no mobile number to send an activation code to")
        if blocked(user, unit.now):
            return error(403, *BLOCKED)
        code, kept = issue_code(unit, "activation code", CODE_LIFE, fixed=server.settings.fixed_otp)
        challenge = unit.entropy.bytes("enrolment challenge", 32)
        enrolment = Enrolment(
            unit.new_id("enrolment"), session.dialect, session.user, session.id, unit.now, unit.now + CODE_LIFE,
            {"challenge": b64url_encode(challenge), "code": kept.to_json(), "tries": 0},
        )  # fmt: skip
        unit.put_enrolment(enrolment)
        unit.log(
            "challenge_issued", dialect=session.dialect, user=session.user, session=session.id, transaction=enrolment.id,
            challenge_id=hashlib.sha256(challenge).hexdigest(), trigger="c", exp=rfc3339(enrolment.expires_at),
        )  # fmt: skip
        send(unit, "sms", number, f"{code} is your code to activate this phone. Never tell it to anyone.", code=code)
        # How the secret reached its user, and who verified the number, this server has not seen: it says neither (RTS Art. 25(2)).
        unit.log(
            "delivery", dialect=session.dialect, user=session.user, session=session.id, transaction=enrolment.id,
            feature="activation-code", channel="sms",
        )  # fmt: skip
        return Reply(200, {"enrolmentId": enrolment.id, "publicKey": creation_options(server, session, challenge)})


def creation_options(server: Server, session: Session, challenge: bytes) -> dict[str, Any]:
    """PublicKeyCredentialCreationOptionsJSON (WebAuthn L3 section 5.1.9)."""
    handle = b64url_encode(user_handle(session.dialect, session.user))
    return {
        "rp": {"id": server.policy.rp_id, "name": "Step-up simulator"},
        "user": {"id": handle, "name": session.user, "displayName": session.user},
        "challenge": b64url_encode(challenge),
        "pubKeyCredParams": [{"type": "public-key", "alg": alg} for alg in ALGORITHMS],
        "timeout": TIMEOUT_MS,
        "attestation": "direct",
        "authenticatorSelection": {"authenticatorAttachment": "platform", "userVerification": "preferred"},
        "excludeCredentials": [],
    }


async def finish_enrolment(server: Server, call: Call) -> Reply:
    """`POST enrolments/{id}`: the activation code and one or two keys over the one challenge."""
    body = call.json()
    code = member(body, "activationCode", str)
    with server.store.begin() as unit:
        session, rules = _applicant(server, unit, call)
        enrolment = _open_enrolment(unit, session, call.params["id"])
        user = unit.user(session.dialect, session.user)
        if user is None or blocked(user, unit.now):
            _log_attempt(unit, enrolment, "not_evaluated", "user.not_blocked", BLOCKED[0])
            return error(403, *BLOCKED)
        if not _is_code(enrolment, code):
            return _wrong_code(unit, user, enrolment, rules.blocking)
        count_single_success(unit, user, GUESSED)
        device_id = unit.new_id("device")
        credentials = _read_credentials(unit, enrolment, body, device_id)
        token = b64url_encode(unit.entropy.bytes("device token", 32))
        replaced = _replace_devices(unit, session)
        document = {
            "enrolmentId": enrolment.id,
            "enrolmentSession": session.id,
            "pushToken": member(body, "pushToken", str, required=False) or device_id,
        }
        digest = hashlib.sha256(token.encode()).hexdigest()
        unit.put_device(
            Device(device_id, session.dialect, session.user, digest, "active", unit.now, unit.now, document)
        )
        _bind(server, unit, session, enrolment, credentials, replaced)
        enrolment.state = "done"
        unit.put_enrolment(enrolment)
        if rules.enrolled is not None:
            rules.enrolled(server, unit, session)
        return Reply(200, {"deviceId": device_id, "deviceToken": token})


def _is_code(enrolment: Enrolment, code: str) -> bool:
    """Whether this is the activation code: a digest of it is kept. An enrolment that an earlier version began holds the code itself."""
    kept = enrolment.document["code"]
    if isinstance(kept, str):
        return hmac.compare_digest(code.encode(), kept.encode())
    return read_code(kept).matches(code)


def _open_enrolment(unit: UnitOfWork, session: Session, enrolment_id: str) -> Enrolment:
    enrolment = unit.enrolment(enrolment_id)
    if enrolment is None or (enrolment.dialect, enrolment.user) != (session.dialect, session.user):
        raise refuse(404, "unknown_enrolment", "enrolment: expected the id of an enrolment of this user")
    if enrolment.state != "open" or unit.now >= enrolment.expires_at:
        raise refuse(403, "activation_code", "activationCode: this enrolment has ended; begin a new one")
    return enrolment


def _wrong_code(unit: UnitOfWork, user: User, enrolment: Enrolment, rule: BlockingRule) -> Reply:
    """It ends with its fifth try; and it counts in the row of its user's failures, whatever enrolment they are of."""
    enrolment.document["tries"] += 1
    if enrolment.document["tries"] >= CODE_TRIES:
        enrolment.state = "void"
    unit.put_enrolment(enrolment)
    _log_attempt(unit, enrolment, "failed", "activation code", "activation_code")
    count_failure(unit, user, of=GUESSED, session=enrolment.session, transaction=enrolment.id, rule=rule)
    return error(403, "activation_code", "activationCode: expected the code of the newest SMS")


def _log_attempt(unit: UnitOfWork, enrolment: Enrolment, outcome: str, reason: str, public: str) -> None:
    unit.log(
        "sca_attempt", dialect=enrolment.dialect, user=enrolment.user, session=enrolment.session, transaction=enrolment.id,
        outcome=outcome, method="ENROLMENT", internal_reason=[reason], public_problem_id=public, trigger="c",
    )  # fmt: skip


def _read_credentials(
    unit: UnitOfWork, enrolment: Enrolment, body: dict[str, Any], device_id: str
) -> list[tuple[CredentialFacts, str]]:
    listed = member(body, "credentials", list)
    if not 1 <= len(listed) <= 2:
        raise FormatError("credentials", "one or two credentials")
    app_attest = _read_app_attest(body)
    found = [
        _read_credential(unit, enrolment, item, f"credentials[{index}]", device_id) for index, item in enumerate(listed)
    ]
    factors, ids, keys = {f.factor for f, _ in found}, {f.credential_id for f, _ in found}, {key for _, key in found}
    if not len(factors) == len(ids) == len(keys) == len(found):
        raise FormatError("credentials", "different factors and different keys")
    covers = tuple(facts.registration["response"]["attestationObject"] for facts, _ in found) if app_attest else ()
    return [
        (msgspec.structs.replace(facts, app_attest=app_attest, app_attest_covers=covers), key) for facts, key in found
    ]


def _read_app_attest(body: dict[str, Any]) -> dict[str, str] | None:
    """`{"keyId","attestation"}`, both base64url; what they prove is judged later."""
    given = member(body, "appAttest", dict, required=False)
    if given is None:
        return None
    names = ("keyId", "attestation")
    for name in names:
        b64url_decode(member(given, name, str, "appAttest"), f"appAttest.{name}")
    return {name: given[name] for name in names}


def _read_credential(
    unit: UnitOfWork, enrolment: Enrolment, item: Any, where: str, device_id: str
) -> tuple[CredentialFacts, str]:
    factor = member(item, "factor", str, where)
    if factor not in ("possession", "biometric"):
        raise FormatError(f"{where}.factor", "possession or biometric")
    record = member(item, "registration", dict, where)
    registration = Registration.from_json(record, f"{where}.registration")
    challenge = parse_client_data(registration.client_data_json).challenge
    if not hmac.compare_digest(challenge, b64url_decode(enrolment.document["challenge"])):
        raise refuse(400, "challenge", f"{where}.registration: expected the challenge of this enrolment")
    data = parse_auth_data(parse_attestation_object(registration.attestation_object).auth_data)
    if data.credential is None or data.credential.credential_id != registration.credential_id:
        raise FormatError(f"{where}.registration", "attested credential data with the credential's id")
    facts = CredentialFacts(
        credential_id=b64url_encode(registration.credential_id), device_id=device_id, dialect=enrolment.dialect, user=enrolment.user,
        factor=factor, registration=record, challenge=enrolment.document["challenge"], enrolled_at=unit.now,
        sign_count=data.sign_count, backup_eligible=bool(data.flags & 0x08),
    )  # fmt: skip
    fingerprint = data.credential.public_key.fingerprint()
    _refuse_bound_key(unit, facts, fingerprint, where)
    return facts, fingerprint


def _refuse_bound_key(unit: UnitOfWork, facts: CredentialFacts, fingerprint: str, where: str) -> None:
    """A key is one factor of one device (WebAuthn credential-id-unique; RTS Art. 9(1), 24(1)).

    The same user's phone, which this enrolment replaces or another one did, may enrol again: with the same key as the same factor.
    """
    named, held = unit.credential(facts.credential_id), unit.credentials_by_key(fingerprint)
    mine = (facts.dialect, facts.user, facts.factor)
    again = all((one.dialect, one.user, one.factor) == mine and one.state in ("active", "replaced") for one in held)
    if not again or (named is not None and named not in held):
        raise refuse(409, "credential_bound", f"{where}.registration: this credential is already bound")


def _replace_devices(unit: UnitOfWork, session: Session) -> list[str]:
    """One phone a user and dialect: a new enrolment retires the one before (RTS Art. 26); the ids of those retired."""
    active = [device for device in unit.devices(session.dialect, session.user) if device.state == "active"]
    for device in active:
        retire(unit, device, "replaced")
    return [device.id for device in active]


def _shown(server: Server, session: Session) -> list[dict[str, Any]]:
    """What this session showed (RTS Art. 24(2)(b)): the secret of its login, unless it was resumed, and the activation code."""
    login = session.document.get("login") or {}
    mine = "at" in login and parse_instant(login["at"]) >= session.created_at
    secret = [{"method": login["method"]}] if mine else []
    return [*secret, {"method": "otp-sms", "fixed_code": server.settings.fixed_otp is not None}]


def _bind(
    server: Server,
    unit: UnitOfWork,
    session: Session,
    enrolment: Enrolment,
    credentials: list[tuple[CredentialFacts, str]],
    replaced: list[str],
) -> None:
    where = {"dialect": session.dialect, "user": session.user, "session": session.id, "transaction": enrolment.id}
    code_id = hashlib.sha256(b64url_decode(enrolment.document["challenge"])).hexdigest()
    shown = _shown(server, session)
    unit.log(
        "sca_attempt", **where, challenge_id=code_id, outcome="accepted", method="ENROLMENT", internal_reason=[], public_problem_id="",
        shown=shown, elements=[element["method"] for element in shown], trigger="c",
    )  # fmt: skip
    unit.log("code_accepted", **where, code_id=code_id, order_id=enrolment.id, trigger="c")
    for facts, fingerprint in credentials:
        unit.add_credential(facts, fingerprint)
        about = {"credential_id": facts.credential_id, "device_id": facts.device_id}
        attestation_id = hashlib.sha256(facts.registration["response"]["attestationObject"].encode()).hexdigest()
        unit.log(
            "credential_bound", **where, **about, sca_ref=code_id, attestation_id=attestation_id, factor=facts.factor,
            key_fingerprint=fingerprint,
        )  # fmt: skip
        if replaced:
            unit.log("credential_renewed", **where, **about, replaces=replaced)
        unit.log(
            "credential_activated", **where, **about, sca_ref=code_id, method="activation-code",
            fixed_code=server.settings.fixed_otp is not None,
            code_expires_at=rfc3339(enrolment.expires_at),
        )  # fmt: skip
