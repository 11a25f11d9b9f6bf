"""The factors on a profile: set up, confirmed and removed (wire contract, section 5); and PIN, backup codes, unlocking."""

from __future__ import annotations

import base64
import re
from dataclasses import replace
from typing import Any

from device_keys.encoding import FormatError
from server_stub.dialects.loginradius import methods
from server_stub.dialects.loginradius.challenges import chosen_email, delivery_status, expiry, send_code, sent_to
from server_stub.dialects.loginradius.constants import LOGINRADIUS, NAME, QUESTIONS
from server_stub.dialects.loginradius.errors import error, refuse
from server_stub.dialects.loginradius.methods import (
    Body,
    Grant,
    Method,
    answer,
    backup_digest,
    lock_answered,
    normal_answer,
    pass_captcha,
    pass_question,
    read_answers,
)
from server_stub.dialects.loginradius.profile import check_pin, factor_flags, lock_reply, profile
from server_stub.dialects.loginradius.push import registration_url
from server_stub.dialects.loginradius.reading import body_of, check_api_key, check_api_secret, query_text, text
from server_stub.dialects.loginradius.sessions import active_caller, caller, find_token, issue_tokens
from server_stub.http import Call, Handler, Reply
from server_stub.knowledge import note_class, note_secret, shortest_class
from server_stub.passwords import hash_secret
from server_stub.records import Session, Transaction, User
from server_stub.server import Server
from server_stub.store import UnitOfWork

BACKUP_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"


# --- what can be set up ----------------------------------------------------------------------------------------------


async def get_settings(server: Server, call: Call) -> Reply:
    """`GET account/2fa`: the factors, a secret for the authenticator app, and the address at which a phone registers for push."""
    check_api_key(call)
    with server.store.begin() as unit:
        session, user = active_caller(unit, call)
        fields = setup_fields(server, unit, call, session, user)
        answer = {
            "SecondFactorAuthenticationToken": None,
            "ExpireIn": expiry(unit.now, LOGINRADIUS.otp_life),
            "OTPStatus": None,
        }
        return Reply(200, {**answer, **factor_flags(user), **fields})


def setup_fields(server: Server, unit: UnitOfWork, call: Call, session: Session, user: User) -> dict[str, Any]:
    """QR codes and secret for what is not set up yet; empty texts for what is. Until it is confirmed the secret stays the same."""
    push = "" if user.document.get("push") else registration_url(server, unit, call, session)
    if user.document.get("totp"):
        return {"QRCode": "", "ManualEntryCode": "", "PushQRCode": push}
    secret = user.document.get("totpPending")
    if secret is None:
        secret = base64.b32encode(unit.entropy.bytes("totp secret", 20)).decode()
        user.document["totpPending"] = secret
        unit.put_user(user)
    return {"QRCode": authenticator_qr(user, secret), "ManualEntryCode": secret, "PushQRCode": push}


def authenticator_qr(user: User, secret: str) -> str:
    """The otpauth URI as a QR code in a data URI, as the vendor's `QRCode`."""
    import pyotp
    import segno

    uri = pyotp.TOTP(secret).provisioning_uri(name=user.document["emails"][0], issuer_name="LoginRadius")
    return str(segno.make(uri, error="m").png_data_uri(scale=4))


# --- confirming a factor ---------------------------------------------------------------------------------------------


def confirm(method: Method, change: Grant) -> Handler:
    """A verify call of the set-up: a right answer puts the factor on the profile."""

    async def handler(server: Server, call: Call) -> Reply:
        return await answer(server, call, method, "setup", active_caller, change)

    return handler


def _confirmed(unit: UnitOfWork, user: User, **changes: Any) -> Reply:
    user.document |= changes
    unit.put_user(user)
    return Reply(200, profile(user, unit.now))


def _phone_confirmed(unit: UnitOfWork, session: Session, user: User, _: Transaction, __: Body) -> Reply:
    return _confirmed(unit, user, phone2fa=sent_to(unit, session, "sms", "setup"))


def _email_confirmed(unit: UnitOfWork, _: Session, user: User, __: Transaction, ___: Body) -> Reply:
    return _confirmed(unit, user, emailOtp=True)


def _authenticator_confirmed(unit: UnitOfWork, _: Session, user: User, __: Transaction, ___: Body) -> Reply:
    return _confirmed(unit, user, totp=user.document["totpPending"], totpPending=None)


confirm_phone = confirm(replace(methods.SMS, on_profile=lambda _: True), _phone_confirmed)
confirm_email = confirm(replace(methods.EMAIL, on_profile=lambda _: True), _email_confirmed)
confirm_authenticator = confirm(
    replace(methods.TOTP, on_profile=lambda user: bool(user.document.get("totpPending"))), _authenticator_confirmed
)


def phone_of(body: Body) -> str:
    """`phoneno2fa`, as an international number."""
    number = text(body, "phoneno2fa", "phone")
    if number is None or re.fullmatch(r"\+[0-9]{6,15}", number) is None:
        raise FormatError("phoneno2fa", "an international number such as +447700900123")
    return number


async def change_phone(server: Server, call: Call) -> Reply:
    """`PUT account/2fa` `{phoneno2fa}`: a code to the new number; the factor changes once it is confirmed."""
    check_api_key(call)
    with server.store.begin() as unit:
        session, user = active_caller(unit, call)
        number = phone_of(body_of(call))
        if (locked := lock_reply(user, unit.now)) is not None:
            return locked
        return Reply(200, delivery_status(session, send_code(server, unit, session, "sms", "setup", number)))


async def send_setup_email(server: Server, call: Call) -> Reply:
    """`GET account/2fa/otp/email?emailid=`: a code to an address of the profile."""
    check_api_key(call)
    with server.store.begin() as unit:
        session, user = active_caller(unit, call)
        if (locked := lock_reply(user, unit.now)) is not None:
            return locked
        send_code(server, unit, session, "email", "setup", chosen_email(call, user, required=True))
        return Reply(200, {"IsPosted": True})


async def set_questions(server: Server, call: Call) -> Reply:
    """`PUT account/2fa/securityquestionanswer`: answers to questions of the list, kept as hashes."""
    import anyio.to_thread

    check_api_key(call)
    with server.store.reading() as unit:
        caller(unit, call)
    answers = read_answers(body_of(call))
    if answers is None:
        raise refuse(1260)
    unknown = next((key for key in answers if key not in QUESTIONS), None)
    if unknown is not None:
        raise refuse(1094, "QuestionId: expected the id of a question of this server.")
    hashes = {
        key: await anyio.to_thread.run_sync(hash_secret, normal_answer(value), server.store.entropy)
        for key, value in answers.items()
    }
    with server.store.begin() as unit:
        session, user = active_caller(unit, call)
        user.document["questions"] = hashes
        shortest = shortest_class(map(normal_answer, answers.values()))
        note_class(unit, user, "security-answers", shortest, by="user", session=session.id)
        unit.put_user(user)
        return Reply(200, {"IsPosted": True})


async def get_questions(server: Server, call: Call) -> Reply:
    """`GET auth/securityquestion/accesstoken`: the questions that can be answered."""
    check_api_key(call)
    with server.store.begin() as unit:
        active_caller(unit, call)
        return Reply(200, [{"QuestionId": key, "Question": question} for key, question in QUESTIONS.items()])


# --- removing --------------------------------------------------------------------------------------------------------


def _remove(*names: str) -> Handler:
    async def handler(server: Server, call: Call) -> Reply:
        check_api_key(call)
        with server.store.begin() as unit:
            _, user = active_caller(unit, call)
            return _without(unit, user, *names)

    return handler


def _without(unit: UnitOfWork, user: User, *names: str) -> Reply:
    for name in names:
        user.document[name] = None
    unit.put_user(user)
    return Reply(200, {"IsDeleted": True})


def authenticators_to_remove(body: Body) -> tuple[str, ...]:
    """`{authenticator: true}`, `{otpauthenticator: true}`, or both."""
    named = {
        "authenticator": ("totp", "totpPending"),
        "googleauthenticator": ("totp", "totpPending"),
        "otpauthenticator": ("phone2fa",),
    }
    names = tuple(name for key, listed in named.items() if body.get(key) is True for name in listed)
    if not names:
        raise FormatError("authenticator", "true for authenticator or for otpauthenticator")
    return names


async def remove_authenticator(server: Server, call: Call) -> Reply:
    """`DELETE account/2fa/authenticator`."""
    check_api_key(call)
    with server.store.begin() as unit:
        _, user = active_caller(unit, call)
        return _without(unit, user, *authenticators_to_remove(body_of(call)))


remove_email = _remove("emailOtp")
remove_questions = _remove("questions")
remove_push = _remove("push")


# --- backup codes ----------------------------------------------------------------------------------------------------


def new_backup_codes(unit: UnitOfWork, user: User) -> Reply:
    """Ten codes `xxxxx-xxxxx`, shown once, kept as digests; the ones before end."""
    codes: list[str] = []
    while len(codes) < LOGINRADIUS.backup_codes:
        number = int.from_bytes(unit.entropy.bytes("backup code", 16), "big")
        letters = "".join(BACKUP_ALPHABET[number // 31**place % 31] for place in range(10))
        codes.append(f"{letters[:5]}-{letters[5:]}")
    user.document["backupCodes"] = {backup_digest(user, code): False for code in codes}
    unit.put_user(user)
    return Reply(200, {"BackUpCodes": codes})


async def get_backup_codes(server: Server, call: Call) -> Reply:
    """`GET account/2fa/backupcode`: once; then 1127."""
    check_api_key(call)
    with server.store.begin() as unit:
        _, user = active_caller(unit, call)
        return error(1127) if user.document.get("backupCodes") else new_backup_codes(unit, user)


async def reset_backup_codes(server: Server, call: Call) -> Reply:
    """`GET account/2fa/backupcode/reset`."""
    check_api_key(call)
    with server.store.begin() as unit:
        _, user = active_caller(unit, call)
        return new_backup_codes(unit, user)


# --- the same by the back end ----------------------------------------------------------------------------------------


def managed(change: Any) -> Handler:
    """A call of the back end about the profile of query `uid`."""

    async def handler(server: Server, call: Call) -> Reply:
        check_api_key(call)
        with server.store.begin() as unit:
            check_api_secret(call, unit.now)
            user = unit.user(NAME, (query_text(call, "uid") or "").lower())
            if user is None:
                return error(938)
            reply: Reply = change(unit, user, call)
            return reply

    return handler


manage_backup_codes = managed(
    lambda unit, user, _: error(1127) if user.document.get("backupCodes") else new_backup_codes(unit, user)
)
manage_reset_backup_codes = managed(lambda unit, user, _: new_backup_codes(unit, user))
manage_remove_authenticator = managed(
    lambda unit, user, call: _without(unit, user, *authenticators_to_remove(body_of(call)))
)
manage_remove_email = managed(lambda unit, user, _: _without(unit, user, "emailOtp"))
manage_remove_questions = managed(lambda unit, user, _: _without(unit, user, "questions"))


# --- PIN -------------------------------------------------------------------------------------------------------------


async def set_pin(server: Server, call: Call) -> Reply:
    """`POST pin/set/pinauthtoken?pinauthtoken=` `{Pin}`: the first PIN of a profile; answers like a login."""
    check_api_key(call)
    token = query_text(call, "pinauthtoken")
    with server.store.reading() as unit:
        find_token(unit, token, "pin-auth", unknown=905, expired=906)
    body = body_of(call)
    kept = await _hashed_pin(server, body, "pin")
    if kept is None:
        raise refuse(1234)
    with server.store.begin() as unit:
        used, session, user = find_token(unit, token, "pin-auth", unknown=905, expired=906)
        used.ended_at = unit.now
        unit.put_token(used)
        _put_pin(unit, user, kept, text(body, "pin"))
        return Reply(200, {"Profile": profile(user, unit.now), **issue_tokens(unit, session)})


async def change_pin(server: Server, call: Call) -> Reply:
    """`PUT pin/change` `{OldPIN, NewPIN}`: a wrong old PIN counts like a wrong PIN (1241)."""
    check_api_key(call)
    with server.store.reading() as unit:
        caller(unit, call)
    body = body_of(call)
    kept = await _hashed_pin(server, body, "newpin")

    def change(unit: UnitOfWork, _: Session, user: User, __: Transaction, ___: Body) -> Reply:
        assert kept is not None
        _put_pin(unit, user, kept, text(body, "newpin"))
        return Reply(200, {"IsPosted": True})

    both = replace(methods.OLD_PIN, read=lambda body: methods.OLD_PIN.read(body) if kept else None)
    return await answer(server, call, both, "setup", active_caller, change)


async def _hashed_pin(server: Server, body: Body, name: str) -> str | None:
    """The hash of a new PIN, None where the member is missing; made off the event loop."""
    import anyio.to_thread

    pin = text(body, name)
    return (
        None if pin is None else await anyio.to_thread.run_sync(hash_secret, check_pin(pin, name), server.store.entropy)
    )


def _put_pin(unit: UnitOfWork, user: User, kept: str, pin: str | None) -> None:
    user.document["pin"] = kept
    note_secret(unit, user, "pin", pin or "", by="user")
    user.document["plain"] = {key: value for key, value in user.document.get("plain", {}).items() if key != "pin"}
    unit.put_user(user)


# --- unlocking -------------------------------------------------------------------------------------------------------


async def unlock(server: Server, call: Call) -> Reply:
    """`PUT account/unlock`: by a captcha or the security answers, where the lock asks for them; a suspension only time ends.
    Wrong answers count towards a block for good."""
    check_api_key(call)
    with server.store.reading() as unit:
        _, user = caller(unit, call)
    body = body_of(call)
    right = await lock_answered(user, body)
    with server.store.begin() as unit:
        _, user = active_caller(unit, call)
        pass_captcha(unit, user, body)
        return pass_question(unit, user, right) or Reply(200, {"IsPosted": True})
