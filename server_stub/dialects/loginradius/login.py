"""Login with a password, MFA login with a second step, and what an access token can be asked (wire contract, sections 2, 5 and 6)."""

from __future__ import annotations

from typing import Any, Final

from device_keys.clock import rfc3339
from server_stub.accounts import end_session
from server_stub.blocking import blocked, count_single_success, note_refused
from server_stub.dialects.loginradius import methods
from server_stub.dialects.loginradius.challenges import (
    count_wrong_password,
    delivery_status,
    note_element,
    send_code,
)
from server_stub.dialects.loginradius.constants import LOGINRADIUS, NAME
from server_stub.dialects.loginradius.errors import error, refuse
from server_stub.dialects.loginradius.methods import Body, Method, answer, lock_answered, pass_captcha, pass_question
from server_stub.dialects.loginradius.profile import (
    can_confirm_login,
    factor_flags,
    find_user,
    lock_reply,
    lock_rule,
    own_email,
    profile,
)
from server_stub.dialects.loginradius.push import collect, push_login
from server_stub.dialects.loginradius.reading import (
    access_token,
    body_of,
    check_api_key,
    check_api_secret,
    query_text,
    text,
)
from server_stub.dialects.loginradius.sessions import (
    ACCESS,
    MFA_LOGIN,
    NO_DATE,
    NO_TOKEN,
    REFRESH,
    active_caller,
    caller,
    end_tokens,
    find_token,
    issue_tokens,
    login_answer,
    mfa_caller,
    mfa_token_answer,
    open_login,
    refresh_token_of,
)
from server_stub.dialects.loginradius.settings import phone_of
from server_stub.http import Call, Handler, Reply
from server_stub.passwords import secret_matches_off_loop
from server_stub.records import Session, Transaction, User
from server_stub.server import Server
from server_stub.store import UnitOfWork

# --- first step ------------------------------------------------------------------------------------------------------


async def login(server: Server, call: Call) -> Reply:
    """`POST auth/login`: the password alone gives the tokens; a step-up asks for more later (S2-4)."""
    return await _first_step(server, call, mfa=False)


async def mfa_login(server: Server, call: Call) -> Reply:
    """`POST login/2fa`: with a second factor on the profile, the password gives a token for the second step only.

    With query `secondfactorauthenticationtoken` it sends the push of that login again.
    """
    if "secondfactorauthenticationtoken" in call.query:
        return await _push_again(server, call)
    return await _first_step(server, call, mfa=True)


async def _first_step(server: Server, call: Call, *, mfa: bool) -> Reply:
    check_api_key(call)
    body = body_of(call)
    names = {"email": text(body, "email"), "username": text(body, "username"), "phone": text(body, "phone")}
    password = text(body, "password")
    if password is None or not any(names.values()):
        return error(908, "Expected password and one of email, username and phone.")
    with server.store.reading() as unit:
        known = find_user(unit, **names)
    right = await secret_matches_off_loop(known.document.get("password") if known else None, password)
    answered = await lock_answered(known, body) if known else None
    with server.store.begin() as unit:
        user = unit.user(NAME, known.id) if known else None
        if user is None:
            unit.log("login_failed", dialect=NAME)
            return error(966)
        pass_captcha(unit, user, body)
        if (locked := pass_question(unit, user, answered if right else None)) is not None:
            if blocked(user, unit.now):
                note_refused(unit, user, "login")
            return locked
        if not right:
            count_wrong_password(unit, user, lock_rule(user))
            return error(966)
        count_single_success(unit, user, "password")
        session = open_login(unit, call, user, password=True)
        if mfa and can_confirm_login(user):
            return Reply(200, _ask_for_second_step(server, unit, call, session, user))
        return Reply(200, login_answer(unit, session, user))


def _ask_for_second_step(server: Server, unit: UnitOfWork, call: Call, session: Session, user: User) -> dict[str, Any]:
    """The published answer: factors and a token for the second step; no profile and no access yet. SMS and push go out at once."""
    phone = user.document.get("phone2fa")
    sent = send_code(server, unit, session, "sms", "login", phone) if phone else None
    token = mfa_token_answer(unit, session)
    if user.document.get("push"):
        push_login(unit, call, session, user, token["SecondFactorAuthenticationToken"])
    second = {
        **token, "QRCode": "", "ManualEntryCode": "", "PushQRCode": "", **factor_flags(user), "OTPStatus": delivery_status(session, sent),
    }  # fmt: skip
    return {
        "SecondFactorAuthentication": second, "Profile": None, "access_token": NO_TOKEN, "refresh_token": NO_TOKEN, "expires_in": NO_DATE,
    }  # fmt: skip


# --- second step -----------------------------------------------------------------------------------------------------

ELEMENTS: Final = {
    "SMS_OTP": "otp-sms",
    "AUTHENTICATOR": "totp",
    "SECURITY_QUESTIONS": "security-answers",
    "PUSH": "device-key",
}


def _finish(
    unit: UnitOfWork,
    session: Session,
    user: User,
    category: str | None,
    method: str,
    fixed_code: bool | None = None,
) -> Reply:
    end_tokens(unit, session, MFA_LOGIN)
    if category is not None:
        note_element(unit, session, category, ELEMENTS[method], fixed_code)
    return Reply(200, login_answer(unit, session, user))


def second_step(method: Method) -> Handler:
    """A verify call of the MFA login: a right answer finishes it."""

    def grant(unit: UnitOfWork, session: Session, user: User, transaction: Transaction, _: Body) -> Reply:
        transaction.state = "CONSUMED"
        unit.put_transaction(transaction)
        judged = unit.verdict(transaction.id)
        secret = judged.evidence.secret if judged is not None else None
        return _finish(unit, session, user, method.category, method.name, secret.fixed_code if secret else None)

    async def handler(server: Server, call: Call) -> Reply:
        return await answer(server, call, method, "login", mfa_caller, grant)

    return handler


second_sms = second_step(methods.SMS)
second_email = second_step(methods.EMAIL)
second_authenticator = second_step(methods.TOTP)
second_backup_code = second_step(methods.BACKUP)
second_questions = second_step(methods.QUESTIONS)


async def resend_sms(server: Server, call: Call) -> Reply:
    """`GET login/2fa/resend`: a new SMS; the code before no longer works."""
    check_api_key(call)
    with server.store.begin() as unit:
        session, user = mfa_caller(unit, call)
        if (locked := lock_reply(user, unit.now)) is not None:
            return locked
        phone = user.document.get("phone2fa")
        if not phone:
            return error(1100)
        return Reply(200, delivery_status(session, send_code(server, unit, session, "sms", "login", phone)))


async def check_phone(server: Server, call: Call) -> Reply:
    """`PUT login/2fa` `{phoneno2fa}`: the number on the profile gets a code; another one is 1117, for a password alone must not move the
    second factor."""
    check_api_key(call)
    with server.store.begin() as unit:
        session, user = mfa_caller(unit, call)
        number = phone_of(body_of(call))
        if (locked := lock_reply(user, unit.now)) is not None:
            return locked
        if number != user.document.get("phone2fa"):
            return error(1117)
        return Reply(200, delivery_status(session, send_code(server, unit, session, "sms", "login", number)))


async def send_login_email(server: Server, call: Call) -> Reply:
    """`POST login/2fa/otp/email` `{emailid}`: a code to an address of the profile."""
    check_api_key(call)
    with server.store.begin() as unit:
        session, user = mfa_caller(unit, call)
        given = text(body_of(call), "emailid", "email")
        if (locked := lock_reply(user, unit.now)) is not None:
            return locked
        if not user.document.get("emailOtp"):
            return error(1256)
        if given is None:
            return error(1032)
        to = own_email(user, given)
        if to is None:
            return error(908, "emailid: expected an address of this profile.")
        send_code(server, unit, session, "email", "login", to)
        return Reply(200, {"IsPosted": True})


async def ping(server: Server, call: Call) -> Reply:
    """`GET login/2fa/push/ping`: whether the phone has answered; when it said Yes, the login's tokens, once."""
    with server.store.begin() as unit:
        session, user = collect(unit, call)
        return _finish(unit, session, user, "possession", "PUSH")


async def _push_again(server: Server, call: Call) -> Reply:
    check_api_key(call)
    with server.store.begin() as unit:
        given = query_text(call, "secondfactorauthenticationtoken")
        _, session, user = find_token(unit, given, MFA_LOGIN, unknown=1296, expired=1296)
        if (locked := lock_reply(user, unit.now)) is not None:
            return locked
        if not user.document.get("push"):
            return error(1299)
        assert given is not None
        push_login(unit, call, session, user, given.strip().lower())
        return Reply(200, {"IsPosted": True})


# --- tokens and profile ----------------------------------------------------------------------------------------------


async def validate_token(server: Server, call: Call) -> Reply:
    """`GET access_token/Validate` and `GET access_token`: the token, its refresh token and its end."""
    check_api_key(call)
    with server.store.begin() as unit:
        active_caller(unit, call)
        given = access_token(call).strip().lower()
        record, _, _ = find_token(unit, given, ACCESS, unknown=905, expired=906)
        until = record.issued_at + LOGINRADIUS.access_life
        return Reply(
            200, {"access_token": given, "refresh_token": refresh_token_of(given), "expires_in": rfc3339(until)}
        )


async def log_out(server: Server, call: Call) -> Reply:
    """`GET access_token/InValidate`: the session is over, and with it every token that a step-up gave."""
    check_api_key(call)
    with server.store.begin() as unit:
        session, _ = caller(unit, call)
        end_session(unit, session, "logout")
        return Reply(200, {"IsPosted": True})


async def get_profile(server: Server, call: Call) -> Reply:
    """`GET auth/account`: the profile."""
    check_api_key(call)
    with server.store.begin() as unit:
        _, user = active_caller(unit, call)
        return Reply(200, profile(user, unit.now))


async def refresh(server: Server, call: Call) -> Reply:
    """`GET manage/account/access_token/refresh?refresh_token=`: a new pair, once; the session and its step-up tokens go on."""
    check_api_key(call)
    with server.store.begin() as unit:
        check_api_secret(call, unit.now)
        _, session, _ = find_token(unit, query_text(call, "refresh_token"), REFRESH, unknown=905, expired=906)
        return Reply(200, issue_tokens(unit, session))


async def revoke_refresh(server: Server, call: Call) -> Reply:
    """`GET manage/account/access_token/refresh/revoke?refresh_token=`."""
    check_api_key(call)
    with server.store.begin() as unit:
        check_api_secret(call, unit.now)
        token, _, _ = find_token(unit, query_text(call, "refresh_token"), REFRESH, unknown=905, expired=906)
        token.ended_at = unit.now
        unit.put_token(token)
        return Reply(200, {"IsDeleted": True})


async def token_by_uid(server: Server, call: Call) -> Reply:
    """`GET manage/account/access_token?uid=`: the back end's own login for a customer; it shows no element."""
    check_api_key(call)
    with server.store.begin() as unit:
        check_api_secret(call, unit.now)
        user = unit.user(NAME, (query_text(call, "uid") or "").lower())
        if user is None:
            raise refuse(938)
        return Reply(200, issue_tokens(unit, open_login(unit, call, user, password=False)))
