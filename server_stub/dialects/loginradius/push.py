"""Push at MFA login: a phone registers an RSA key at the address of a QR code, is sent each login, and signs Yes or No (section 6)."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from device_keys.encoding import FormatError
from server_stub.delivery import send
from server_stub.dialects.loginradius.challenges import Codes, Observed, judge, open_challenge
from server_stub.dialects.loginradius.constants import LOGINRADIUS, NAME
from server_stub.dialects.loginradius.errors import error, refuse
from server_stub.dialects.loginradius.profile import lock_reply
from server_stub.dialects.loginradius.reading import body_of, check_api_key, query_text, text
from server_stub.dialects.loginradius.sessions import MFA_LOGIN, find_token, new_token
from server_stub.http import Call, Reply
from server_stub.records import Session, Token, Transaction, User
from server_stub.server import Server
from server_stub.store import UnitOfWork

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

REGISTRATION: Final = "push-registration"
CODES: Final = Codes(wrong=1297, expired=1296, used=1311, missing=1297, absent=1313)
DENIED: Final = replace(CODES, wrong=1312)
RSA_BITS: Final = 2048


# --- registration ----------------------------------------------------------------------------------------------------


def registration_url(server: Server, unit: UnitOfWork, call: Call, session: Session) -> str:
    """The address at which a phone registers, good once: a GET shows it as a QR code, a POST registers."""
    token = new_token(unit, session, REGISTRATION, LOGINRADIUS.push_registration_life)
    return _registration_address(server, call, token)


def _registration_address(server: Server, call: Call, token: str) -> str:
    scheme = "https" if call.transport == "tls" else "http"
    base = f"{scheme}://{call.headers.get('host', 'localhost')}{server.mount_of(NAME)}"
    return f"{base}/identity/v2/auth/qr-code?apikey={LOGINRADIUS.api_key}&token={token}"


async def registration_qr(server: Server, call: Call) -> Reply:
    """`GET qr-code`: a PNG whose text is the registration address, at which this picture is found too."""
    import io

    import segno

    check_api_key(call)
    token = query_text(call, "token") or ""
    with server.store.reading() as unit:
        find_token(unit, token, REGISTRATION, unknown=1296, expired=1296)
    try:
        code = segno.make(_registration_address(server, call, token.strip()), error="m")
    except segno.DataOverflowError as problem:
        raise FormatError("Host", "a name short enough for a QR code") from problem
    picture = io.BytesIO()
    code.save(picture, kind="png", scale=4)
    return Reply(200, picture.getvalue(), {"Content-Type": "image/png"})


async def register(server: Server, call: Call) -> Reply:
    """`POST qr-code` `{deviceName, deviceType, publicKey, deviceToken}`: the phone's key is bound to the profile."""
    check_api_key(call)
    with server.store.begin() as unit:
        token, session, user = find_token(unit, query_text(call, "token"), REGISTRATION, unknown=1296, expired=1296)
        body = body_of(call)
        public_key, push_token = text(body, "publickey"), text(body, "devicetoken")
        if public_key is None or push_token is None:
            raise FormatError("publicKey" if public_key is None else "deviceToken", "text")
        read_key(public_key)
        token.ended_at = unit.now
        unit.put_token(token)
        fingerprint = hashlib.sha256(public_key.encode()).hexdigest()
        user.document["push"] = {
            "publicKey": public_key, "deviceToken": push_token, "name": text(body, "devicename"), "type": text(body, "devicetype"),
        }  # fmt: skip
        unit.put_user(user)
        unit.log(
            "credential_bound", dialect=NAME, user=user.id, session=session.id, credential_id=fingerprint, device_id=fingerprint,
            key_fingerprint=fingerprint,
        )  # fmt: skip
        return Reply(200, {"isRegistered": True})


def read_key(text_: str) -> RSAPublicKey:
    """The RSA key of lower-case hex of SubjectPublicKeyInfo."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
    from cryptography.hazmat.primitives.serialization import load_der_public_key

    problem = FormatError(
        "publicKey", f"lower-case hex of an X.509 SubjectPublicKeyInfo with an RSA key of at least {RSA_BITS} bits"
    )
    try:
        if text_ != text_.lower():
            raise problem
        key = load_der_public_key(bytes.fromhex(text_))
    except (ValueError, UnsupportedAlgorithm) as error_:
        raise problem from error_
    if not isinstance(key, RSAPublicKey) or key.key_size < RSA_BITS:
        raise problem
    return key


def signed_by(public_key: str, signature: str, message: str) -> bool:
    """Whether this hex is SHA256withRSA (PKCS#1 v1.5) over the text, by this key."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
    from cryptography.hazmat.primitives.hashes import SHA256

    try:
        read_key(public_key).verify(bytes.fromhex(signature), message.encode(), PKCS1v15(), SHA256())
    except (InvalidSignature, ValueError):
        return False
    return True


# --- a login is pushed and answered ----------------------------------------------------------------------------------


def push_login(unit: UnitOfWork, call: Call, session: Session, user: User, token: str) -> Transaction:
    """Tell the phone of this login; its challenge is good for five minutes. An earlier one of the same login ends."""
    record = unit.token_record(token)
    assert record is not None
    before = unit.transaction(record.document.get("push", ""))
    if before is not None and before.state == "ISSUED":
        before.state = "VOID"
        unit.put_transaction(before)
    transaction = open_challenge(unit, session, "login", "PUSH", LOGINRADIUS.push_life)
    record.document = {**record.document, "push": transaction.id}
    unit.put_token(record)
    data = {
        "secondfactorauthenticationtoken": token, "identifier": user.document["emails"][0], "location": "", "apikey": LOGINRADIUS.api_key,
        "browser": call.headers.get("user-agent", "")[:200], "timestamp": int(unit.now.timestamp()),
        "transactionId": transaction.id,
    }  # fmt: skip
    send(unit, "push", user.document["push"]["deviceToken"], "Are you logging in?", **data)
    return transaction


def _pushed(unit: UnitOfWork, call: Call) -> tuple[Token, Session, User, Transaction]:
    """The login that a call is about, answered ones too: unknown 1296, nothing pushed 1299."""
    given = query_text(call, "secondfactorauthenticationtoken")
    token = unit.token_record(given.strip().lower()) if given else None
    session = unit.session(token.session_id) if token else None
    user = unit.user(NAME, session.user) if session and session.dialect == NAME else None
    if token is None or session is None or user is None or token.kind != MFA_LOGIN:
        raise refuse(1296)
    transaction = unit.transaction(token.document.get("push", ""))
    if transaction is None:
        raise refuse(1299 if user.document.get("push") else 1313)
    return token, session, user, transaction


def _still_open(unit: UnitOfWork, transaction: Transaction) -> None:
    """Answered 1311, denied 1312, over 1296."""
    if transaction.state in ("VERIFIED", "CONSUMED"):
        raise refuse(1311)
    if transaction.document.get("denied"):
        raise refuse(1312)
    if transaction.state != "ISSUED" or unit.now >= transaction.expires_at:
        raise refuse(1296)


async def answer_push(server: Server, call: Call) -> Reply:
    """`PUT login/2fa/verification/push` `{verify: "Yes" or "No", signature}` from the phone."""
    check_api_key(call)
    with server.store.begin() as unit:
        _, session, user, transaction = _pushed(unit, call)
        body = body_of(call)
        verify, signature = text(body, "verify"), text(body, "signature")
        if verify not in ("Yes", "No") or signature is None:
            raise FormatError("verify" if signature else "signature", "Yes or No, and its signature")
        if (locked := lock_reply(user, unit.now)) is not None:
            return locked
        device = user.document.get("push")
        if device is None:
            return error(1313)
        if transaction.document.get("denied"):
            return error(1311)
        _still_open(unit, transaction)
        good = signed_by(
            device["publicKey"], signature, verify + (query_text(call, "secondfactorauthenticationtoken") or "")
        )
        observed = Observed("device-key", "right" if good else "wrong", "push", transaction)
        denied = good and verify == "No"
        if denied:
            transaction.outcome = "declined"
        outcome = judge(server, unit, call, session, "PUSH", observed, DENIED if denied else CODES, "login")
        if denied:  # the login is over; that is no failed attempt of its user
            transaction.state = "VOID"
            transaction.document["denied"] = True
            unit.put_transaction(transaction)
        elif isinstance(outcome, Reply):
            return outcome
        return Reply(200, {"IsPosted": True})


def collect(unit: UnitOfWork, call: Call) -> tuple[Session, User]:
    """The login that the phone approved, once: pending 1295, denied 1312, over 1296, collected before 1311."""
    check_api_key(call)
    _, session, user, transaction = _pushed(unit, call)
    if transaction.state != "VERIFIED":
        _still_open(unit, transaction)
        raise refuse(1295)
    if unit.now >= transaction.expires_at:
        raise refuse(1296)
    transaction.state = "CONSUMED"
    unit.put_transaction(transaction)
    return session, user
