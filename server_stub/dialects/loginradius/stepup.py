"""Step-up: the trigger, the sending of codes, the verify calls, and the validators that a back end asks."""

from __future__ import annotations

from typing import Any, Final

from device_keys.clock import rfc3339
from device_keys.encoding import FormatError
from server_stub.dialects.loginradius import methods
from server_stub.dialects.loginradius.challenges import Purpose, chosen_email, delivery_status, expiry, send_code
from server_stub.dialects.loginradius.constants import LOGINRADIUS, NAME
from server_stub.dialects.loginradius.errors import error, refuse
from server_stub.dialects.loginradius.methods import Body, Method, answer
from server_stub.dialects.loginradius.profile import factor_flags, has_second_factor, lock_reply
from server_stub.dialects.loginradius.reading import body_of, check_api_key, check_api_secret, text
from server_stub.dialects.loginradius.sessions import active_caller, new_token
from server_stub.dialects.loginradius.settings import setup_fields
from server_stub.http import Call, Handler, Reply
from server_stub.records import Session, Transaction, User
from server_stub.server import Server
from server_stub.store import UnitOfWork

VALIDATION: Final = "step-up"


# --- trigger and sending ---------------------------------------------------------------------------------------------


async def trigger(server: Server, call: Call) -> Reply:
    """`GET reauth/2fa` (S2-11): the factors on the profile; where SMS is one of them, a code goes out."""
    check_api_key(call)
    with server.store.begin() as unit:
        session, user = active_caller(unit, call)
        if (locked := lock_reply(user, unit.now)) is not None:
            return locked
        if not has_second_factor(user):
            return error(1101)
        fields = setup_fields(server, unit, call, session, user)
        return Reply(200, {**trigger_answer(server, unit, session, user, "stepup"), **fields})


def trigger_answer(server: Server, unit: UnitOfWork, session: Session, user: User, purpose: Purpose) -> dict[str, Any]:
    """Flags of the factors, and the delivery status of the SMS where one is sent."""
    phone = user.document.get("phone2fa")
    sent = send_code(server, unit, session, "sms", purpose, phone) if phone else None
    return {
        "SecondFactorAuthenticationToken": sent.id if sent else None,
        "ExpireIn": expiry(unit.now, LOGINRADIUS.otp_life),
        **factor_flags(user),
        "OTPStatus": delivery_status(session, sent),
    }


async def send_mfa_email(server: Server, call: Call) -> Reply:
    """`GET reauth/2fa/otp/email?emailid=` (S2-13, S2-14): a code to an address of the profile."""
    return await _send_email(server, call, "stepup", needs_factor=True)


async def send_plain_email(server: Server, call: Call) -> Reply:
    """`GET reauth/otp/email`: the same without MFA; without an address it goes to the first one."""
    return await _send_email(server, call, "stepup-mail", needs_factor=False)


async def _send_email(server: Server, call: Call, purpose: Purpose, *, needs_factor: bool) -> Reply:
    check_api_key(call)
    with server.store.begin() as unit:
        session, user = active_caller(unit, call)
        if (locked := lock_reply(user, unit.now)) is not None:
            return locked
        if needs_factor and not user.document.get("emailOtp"):
            return error(1256)
        send_code(server, unit, session, "email", purpose, chosen_email(call, user, required=needs_factor))
        return Reply(200, {"IsPosted": True})


# --- verify ----------------------------------------------------------------------------------------------------------


def verify(method: Method, family: str, purpose: Purpose = "stepup") -> Handler:
    """A verify call: a right answer gives a SecondFactorValidationToken; the session stays as it is (S2-2, S2-7)."""

    def grant(unit: UnitOfWork, session: Session, _: User, transaction: Transaction, __: Body) -> Reply:
        token = new_token(
            unit, session, VALIDATION, LOGINRADIUS.validation_life, family=family, transaction=transaction.id
        )
        transaction.expires_at = unit.now + LOGINRADIUS.validation_life
        unit.put_transaction(transaction)
        return Reply(200, {"SecondFactorValidationToken": token, "ExpireIn": rfc3339(transaction.expires_at)})

    async def handler(server: Server, call: Call) -> Reply:
        return await answer(server, call, method, purpose, active_caller, grant)

    return handler


verify_sms = verify(methods.SMS, "2fa")
verify_email = verify(methods.EMAIL, "2fa")
verify_plain_email = verify(methods.PLAIN_EMAIL, "2fa", "stepup-mail")
verify_authenticator = verify(methods.TOTP, "2fa")
verify_backup_code = verify(methods.BACKUP, "2fa")
verify_questions = verify(methods.QUESTIONS, "2fa")
verify_password = verify(methods.PASSWORD, "password")
verify_pin = verify(methods.PIN, "pin")


# --- validators ------------------------------------------------------------------------------------------------------


def validator(family: str) -> Handler:
    """`POST manage/account/{uid}/reauth/…` (S2-8): true once for a live token of this family and user, else 1193."""

    async def handler(server: Server, call: Call) -> Reply:
        check_api_key(call)
        with server.store.begin() as unit:
            check_api_secret(call, unit.now)
            body = body_of(call)
            given = text(body, "secondfactorvalidationtoken", "secondfactorauthenticationtoken")
            uid = call.params["uid"].lower()
            if unit.user(NAME, uid) is None:
                return error(938)
            if given is None:
                raise FormatError("secondfactorvalidationtoken", "the token that a step-up gave")
            _use_up(unit, given, family, uid)
            return Reply(200, {"IsValid": True})

    return handler


def _use_up(unit: UnitOfWork, given: str, family: str, uid: str) -> None:
    """The token ends with its first validation; a refused one does not."""
    token = unit.token(given.strip().lower(), VALIDATION)
    session = unit.session(token.session_id) if token else None
    live = session is not None and session.dialect == NAME and session.ended_at is None and session.user == uid
    transaction = unit.transaction(token.document["transaction"]) if token is not None and live else None
    usable = transaction is not None and transaction.state == "VERIFIED"  # a block voids what was not used yet
    if token is None or transaction is None or not usable or token.document.get("family") != family:
        raise refuse(1193)
    token.ended_at = unit.now
    unit.put_token(token)
    transaction.state = "CONSUMED"
    unit.put_transaction(transaction)


validate_mfa = validator("2fa")
validate_password = validator("password")
validate_pin = validator("pin")
