"""`/device/v1`: what the phone itself needs. Enrolment, the step-ups that wait for it, and its inbox.

Enrolment refuses little (DESIGN section 3): a wrong activation code, a challenge that was not issued, unreadable structures, a key of
another user. All else that an attestation says is recorded here and judged at each step-up.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any, Final

import msgspec

from device_keys.clock import rfc3339
from device_keys.encoding import FormatError, b64url_decode, b64url_encode, member
from device_keys.entropy import new_digits
from device_keys.messages import Registration, parse_attestation_object, parse_client_data
from device_keys.messages import parse_authenticator_data as parse_auth_data
from server_stub.accounts import note_activity, session_of
from server_stub.delivery import inbox, send
from server_stub.evidence import CredentialFacts, user_handle
from server_stub.guard import check_operator
from server_stub.http import Call, Dialect, Endpoint, EnrolmentRules, Refusal, Reply
from server_stub.openapi import STRING, json_body, obj, query, ref, response
from server_stub.relying_party import deliver, issue_nonce
from server_stub.server import Server
from server_stub.store import Device, Enrolment, Session, Transaction, UnitOfWork

CODE_LIFE: Final = timedelta(seconds=300)
CODE_TRIES: Final = 5
ALGORITHMS: Final = (-7,)
TIMEOUT_MS: Final = 300_000
# Art. 25(2)(c): the simulated customer got the passcode in a branch, and the activation code by SMS.
CHANNELS: Final = (
    {"feature": "passcode", "channel": "branch", "verified": True},
    {"feature": "activation-code", "channel": "sms", "verified": True},
)


def error(status: int, code: str, message: str, field: str | None = None) -> Reply:
    """The device API's own error shape."""
    problem = {"code": code, "message": message} | ({"field": field} if field else {})
    return Reply(status, {"error": problem})


def refuse(status: int, code: str, message: str) -> Refusal:
    return Refusal(error(status, code, message))


# --- enrolment -------------------------------------------------------------------------------------------------------


def _login(server: Server, unit: UnitOfWork, call: Call) -> tuple[Session, EnrolmentRules]:
    """The session behind the dialect's own login, its API key checked."""
    record = unit.token_record(call.bearer) if call.bearer else None
    session = unit.session(record.session_id) if record else None
    rules = server.enrolment_rules.get(session.dialect) if session else None
    if session is None or rules is None:
        raise refuse(401, "login_required", "Authorization: expected the bearer token of a login")
    if not rules.key_accepted(call):
        raise refuse(401, "api_key", "API key: expected the dialect's own header with a known key")
    live = session_of(unit, session.dialect, call.bearer, idle=rules.idle)
    if live is None:
        raise refuse(401, "login_required", "Authorization: this login has ended")
    note_activity(unit, live)
    return live, rules


async def begin_enrolment(server: Server, call: Call) -> Reply:
    """`POST enrolments`: creation options, and an activation code by SMS to the number that the bank knows."""
    with server.store.begin() as unit:
        session, rules = _login(server, unit, call)
        user = unit.user(session.dialect, session.user)
        number = rules.number_of(user) if user else None
        if user is None or not number:
            raise refuse(409, "no_number", "this user has no mobile number to send an activation code to")
        code = server.settings.fixed_otp or new_digits(unit.entropy, "activation code", 6)
        challenge = unit.entropy.bytes("enrolment challenge", 32)
        enrolment = Enrolment(
            unit.new_id("enrolment"), session.dialect, session.user, session.id, unit.now, unit.now + CODE_LIFE,
            {"challenge": b64url_encode(challenge), "code": code, "tries": 0},
        )  # fmt: skip
        unit.put_enrolment(enrolment)
        unit.log(
            "challenge_issued", dialect=session.dialect, user=session.user, session=session.id, transaction=enrolment.id,
            challenge_id=hashlib.sha256(challenge).hexdigest(), trigger="c", exp=rfc3339(enrolment.expires_at),
        )  # fmt: skip
        send(unit, "sms", number, f"{code} is your code to activate this phone. Never tell it to anyone.", code=code)
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
        session, rules = _login(server, unit, call)
        enrolment = _open_enrolment(unit, session, call.params["id"])
        if not hmac.compare_digest(code.encode(), enrolment.document["code"].encode()):
            return _wrong_code(unit, enrolment)
        device_id = unit.new_id("device")
        credentials = _read_credentials(unit, enrolment, body, device_id)
        token = b64url_encode(unit.entropy.bytes("device token", 32))
        _replace_devices(unit, session)
        document = {
            "enrolmentId": enrolment.id,
            "enrolmentSession": session.id,
            "pushToken": member(body, "pushToken", str, required=False) or device_id,
        }
        digest = hashlib.sha256(token.encode()).hexdigest()
        unit.put_device(
            Device(device_id, session.dialect, session.user, digest, "active", unit.now, unit.now, document)
        )
        _bind(unit, session, enrolment, credentials)
        enrolment.state = "done"
        unit.put_enrolment(enrolment)
        if rules.enrolled is not None:
            rules.enrolled(server, unit, session)
        return Reply(200, {"deviceId": device_id, "deviceToken": token})


def _open_enrolment(unit: UnitOfWork, session: Session, enrolment_id: str) -> Enrolment:
    enrolment = unit.enrolment(enrolment_id)
    if enrolment is None or (enrolment.dialect, enrolment.user) != (session.dialect, session.user):
        raise refuse(404, "unknown_enrolment", "enrolment: expected the id of an enrolment of this user")
    if enrolment.state != "open" or unit.now >= enrolment.expires_at:
        raise refuse(403, "activation_code", "activationCode: this enrolment has ended; begin a new one")
    return enrolment


def _wrong_code(unit: UnitOfWork, enrolment: Enrolment) -> Reply:
    enrolment.document["tries"] += 1
    if enrolment.document["tries"] >= CODE_TRIES:
        enrolment.state = "void"
    unit.put_enrolment(enrolment)
    unit.log(
        "sca_attempt", dialect=enrolment.dialect, user=enrolment.user, session=enrolment.session, transaction=enrolment.id,
        outcome="failed", method="ENROLMENT", internal_reason=["activation code"], public_problem_id="activation_code", trigger="c",
    )  # fmt: skip
    return error(403, "activation_code", "activationCode: expected the code of the newest SMS")


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
    if len({facts.factor for facts, _ in found}) != len(found) or len(
        {facts.credential_id for facts, _ in found}
    ) != len(found):
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
    """Neither the key nor the id may belong to another enrolment (WebAuthn credential-id-unique, RTS Art. 24(1))."""
    if unit.credential(facts.credential_id) is not None or unit.credentials_by_key(fingerprint):
        raise refuse(409, "credential_bound", f"{where}.registration: this credential is already bound")


def _replace_devices(unit: UnitOfWork, session: Session) -> None:
    """One phone a user and dialect: a new enrolment retires the one before (RTS Art. 26)."""
    for device in unit.devices(session.dialect, session.user):
        if device.state == "active":
            retire(unit, device, "replaced")


def retire(unit: UnitOfWork, device: Device, state: str) -> None:
    """The device and its credentials are no longer accepted; `state`: replaced or revoked."""
    device.state, device.state_since = state, unit.now
    unit.put_device(device)
    for facts in unit.credentials_of_device(device.id):
        unit.put_credential(msgspec.structs.replace(facts, state=state, state_since=unit.now))
        unit.log(
            "credential_revoked",
            dialect=device.dialect,
            user=device.user,
            credential_id=facts.credential_id,
            device_id=device.id,
            reason=state,
        )
    unit.log("device_released", dialect=device.dialect, user=device.user, device_id=device.id)


def _bind(
    unit: UnitOfWork, session: Session, enrolment: Enrolment, credentials: list[tuple[CredentialFacts, str]]
) -> None:
    where = {"dialect": session.dialect, "user": session.user, "session": session.id, "transaction": enrolment.id}
    code_id = hashlib.sha256(b64url_decode(enrolment.document["challenge"])).hexdigest()
    unit.log(
        "sca_attempt", **where, challenge_id=code_id, outcome="accepted", method="ENROLMENT", internal_reason=[], public_problem_id="",
        elements=["passcode" if session.dialect == "bank" else "password", "otp-sms"], trigger="c",
    )  # fmt: skip
    unit.log("code_accepted", **where, code_id=code_id, order_id=enrolment.id, trigger="c")
    for facts, fingerprint in credentials:
        unit.add_credential(facts, fingerprint)
        about = {"credential_id": facts.credential_id, "device_id": facts.device_id}
        attestation_id = hashlib.sha256(facts.registration["response"]["attestationObject"].encode()).hexdigest()
        unit.log(
            "credential_bound", **where, **about, sca_ref=code_id, attestation_id=attestation_id, factor=facts.factor,
            key_fingerprint=fingerprint, channels=CHANNELS, bound_elsewhere=0,
        )  # fmt: skip
        unit.log(
            "credential_activated", **where, **about, sca_ref=code_id, method="activation-code",
            code_expires_at=rfc3339(enrolment.expires_at),
        )  # fmt: skip


# --- step-ups --------------------------------------------------------------------------------------------------------


def _device(unit: UnitOfWork, call: Call) -> Device:
    device = unit.device_by_token(call.bearer) if call.bearer else None
    if device is None or device.state != "active":
        raise refuse(401, "not_enrolled", "this phone is not enrolled at this server: enrol it (again)")
    return device


def _described(server: Server, transaction: Transaction) -> dict[str, Any]:
    request = dict(transaction.document.get("request") or {})
    if request:
        request["path"] = server.mount_of(transaction.dialect) + request["path"]
    return {
        "transactionId": transaction.id,
        "dialect": transaction.dialect,
        "kind": transaction.kind,
        "payload": transaction.payload,
        "expiresAt": rfc3339(transaction.expires_at),
        "methods": transaction.methods,
        "request": request or None,
        "outcome": transaction.outcome,
    }


async def list_step_ups(server: Server, call: Call) -> Reply:
    """`GET step-ups`: those that wait for this phone, oldest first, without nonces."""
    with server.store.reading() as unit:
        device = _device(unit, call)
        waiting = unit.open_transactions(device.dialect, device.user)
        return Reply(200, [_described(server, t) for t in waiting if t.document.get("device", True)])


def _step_up(unit: UnitOfWork, device: Device, transaction_id: str) -> Transaction:
    transaction = unit.transaction(transaction_id)
    mine = transaction is not None and (transaction.dialect, transaction.user) == (device.dialect, device.user)
    if transaction is None or not mine or transaction.state != "ISSUED" or unit.now >= transaction.expires_at:
        raise refuse(404, "unknown_step_up", "step-up: expected the id of one that waits for this phone")
    return transaction


async def get_step_up(server: Server, call: Call) -> Reply:
    """`GET step-ups/{id}`: what is to be confirmed, with a further nonce; earlier unused ones stay valid for their life."""
    with server.store.begin() as unit:
        device = _device(unit, call)
        transaction = _step_up(unit, device, call.params["id"])
        nonce, challenge = issue_nonce(unit, transaction)
        options = {
            "challenge": b64url_encode(challenge),
            "rpId": server.policy.rp_id,
            "timeout": TIMEOUT_MS,
            "userVerification": "preferred",
            "allowCredentials": [
                {"type": "public-key", "id": c.credential_id} for c in unit.credentials_of_device(device.id)
            ],
        }
        return Reply(200, _described(server, transaction) | {"nonce": nonce.value, "publicKey": options})


async def answer_step_up(server: Server, call: Call) -> Reply:
    """`POST step-ups/{id}`: what the phone's user decided; the evidence is kept for one evaluated attempt."""
    body = call.json()
    outcome = member(body, "outcome", str)
    if outcome not in ("approved", "declined"):
        raise FormatError("outcome", "approved or declined")
    assertion = member(body, "assertion", dict, required=outcome == "approved")
    with server.store.begin() as unit:
        device = _device(unit, call)
        transaction = _step_up(unit, device, call.params["id"])
        deliver(unit, transaction, outcome, assertion)
        hook = server.on_delivered.get(transaction.dialect)
        if hook is not None:
            hook(server, unit, transaction)
        return Reply(200, {"transactionId": transaction.id, "outcome": outcome})


# --- inbox -----------------------------------------------------------------------------------------------------------


def _addresses(call: Call) -> list[str]:
    to = [part for part in call.query.get("to", "").split(",") if part]
    if not to:
        raise FormatError("to", "a number, a mail address or a push token (several: separated by commas)")
    # An unescaped plus sign of a number arrives as a space.
    return [f"+{part[1:]}" if part.startswith(" ") else part for part in to]


def _mail_for(unit: UnitOfWork, addresses: list[str], after: int) -> list[dict[str, Any]]:
    found = [message for address in addresses for message in inbox(unit, to=address, after=after)]
    return sorted(found, key=lambda message: message["id"])


async def get_inbox(server: Server, call: Call) -> Reply:
    """`GET inbox?to=`: SMS, mail and push for these addresses, oldest first."""
    check_operator(server, call)
    with server.store.reading() as unit:
        return Reply(200, _mail_for(unit, _addresses(call), int(call.query.get("after", "0") or 0)))


async def get_events(server: Server, call: Call) -> Reply:
    """`GET events?to=`: the same as server-sent events, as they arrive; `Last-Event-ID` resumes."""
    check_operator(server, call)
    addresses = _addresses(call)
    given = call.headers.get("last-event-id", "")
    with server.store.reading() as unit:
        row = unit.sql.one("last_message_seq")
    start = int(given) if given.isdigit() else int((row and row[0]) or 0)
    headers = {"Content-Type": "text/event-stream", "Cache-Control": "no-store"}
    return Reply(200, _events(server, addresses, start), headers)


async def _events(server: Server, addresses: list[str], after: int) -> AsyncIterator[bytes]:
    import asyncio

    yield b"retry: 1000\n: connected\n\n"
    quiet = 0.0
    while not server.stopping:
        with server.store.reading() as unit:
            messages = _mail_for(unit, addresses, after)
        for message in messages:
            after = message["id"]
            yield b"id: %d\nevent: %s\ndata: %s\n\n" % (
                after,
                message["channel"].encode(),
                msgspec.json.encode(message),
            )
        quiet = 0.0 if messages else quiet + POLL_SECONDS
        if quiet >= KEEP_ALIVE_SECONDS:
            quiet = 0.0
            yield b": still here\n\n"
        await asyncio.sleep(POLL_SECONDS)


POLL_SECONDS: Final = 0.2
KEEP_ALIVE_SECONDS: Final = 15.0

_ERROR: Final = ref("DeviceError")
_COMMON: Final[dict[str, Any]] = {
    str(status): response(text, _ERROR)
    for status, text in {
        400: "Not valid", 401: "Not logged in, or not enrolled", 403: "Refused", 404: "Unknown", 405: "Method not allowed",
        409: "Conflict", 413: "Over 64 KiB", 503: "Busy",
    }.items()
}  # fmt: skip


def _operation(
    summary: str,
    answer: dict[str, Any] | None = None,
    body: dict[str, Any] | None = None,
    status: str = "200",
    **more: Any,
) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "summary": summary,
        "responses": {status: response("OK", answer or {}), **_COMMON},
        **more,
    }
    if body is not None:
        operation["requestBody"] = json_body(body)
    return operation


_FINISH: Final = obj(
    ("activationCode", "credentials"),
    activationCode=STRING,
    credentials={"type": "array", "items": {"type": "object"}},
    appAttest={"type": "object"},
)
_ANSWER: Final = obj(("outcome",), outcome={"enum": ["approved", "declined"]}, assertion={"type": "object"})

DIALECT: Final = Dialect(
    name="device",
    prefix="/device/v1",
    endpoints=(
        Endpoint(
            "POST", "/enrolments", begin_enrolment, _operation("Begin to enrol a phone", security=[{"bearer": []}])
        ),
        Endpoint(
            "POST",
            "/enrolments/{id}",
            finish_enrolment,
            _operation("Finish it", body=_FINISH, security=[{"bearer": []}]),
        ),
        Endpoint("GET", "/step-ups", list_step_ups, _operation("Step-ups that wait for this phone")),
        Endpoint("GET", "/step-ups/{id}", get_step_up, _operation("One of them, with a further nonce")),
        Endpoint("POST", "/step-ups/{id}", answer_step_up, _operation("What the user decided", body=_ANSWER)),
        Endpoint("GET", "/inbox", get_inbox, _operation("Messages", parameters=[query("to", required=True)])),
        Endpoint(
            "GET",
            "/events",
            get_events,
            {
                **_operation("Messages as server-sent events", parameters=[query("to", required=True)]),
                "responses": {
                    "200": {"description": "A stream", "content": {"text/event-stream": {"schema": STRING}}},
                    **_COMMON,
                },
            },
        ),
    ),
    not_found=lambda _: error(404, "unknown_route", "no such route"),
    method_not_allowed=lambda _: error(405, "method", "method not allowed here"),
    too_large=lambda _: error(413, "too_large", "expected a body of at most 64 KiB"),
    unavailable=lambda _: Reply(
        503, {"error": {"code": "unavailable", "message": "busy; try again"}}, {"Retry-After": "1"}
    ),
    broken=lambda _: error(500, "internal", "something went wrong here"),
    bad_format=lambda _, problem: error(400, "not_valid", str(problem), problem.field),
    schemas={"DeviceError": obj(("error",), error=obj(("code", "message"), code=STRING, message=STRING, field=STRING))},
)
