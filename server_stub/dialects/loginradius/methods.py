"""The ways to answer a challenge, one value each: what the call must bring, what the profile must hold, what the server makes of it.

Step-up, MFA login and the set-up of factors use the same methods; only what a success brings differs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

from device_keys.encoding import FormatError
from server_stub.blocking import count_failure, unblock
from server_stub.codes import CodeResult
from server_stub.dialects.loginradius.challenges import Codes, Observed, Purpose, judge, observe_code
from server_stub.dialects.loginradius.constants import LOCKS, LOGINRADIUS, NAME
from server_stub.dialects.loginradius.errors import error, refuse
from server_stub.dialects.loginradius.profile import lock_reply, lock_type, own_email
from server_stub.dialects.loginradius.reading import body_of, check_api_key, equal, text
from server_stub.http import Call, Reply
from server_stub.passwords import secret_matches_off_loop
from server_stub.records import Session, Transaction, User
from server_stub.server import Server
from server_stub.store import UnitOfWork

Body = dict[str, Any]
CAPTCHAS: Final = (
    "g-recaptcha-response", "g_recaptcha_response", "h-captcha-response", "qq_captcha_ticket", "qq_captcha_randstr",
)  # fmt: skip
MAX_ANSWERS: Final = 10


@dataclass(frozen=True, slots=True)
class Presented:
    """What one call brought. `right` is the outcome of a slow hash comparison made beforehand, None for other methods."""

    body: Body
    value: Any
    purpose: Purpose
    right: bool | None = None


@dataclass(frozen=True, slots=True)
class Method:
    """One method. `category` is its PSD2 category, None where it has none; `slow` compares with Argon2 hashes, off the event loop."""

    name: str
    category: str | None
    codes: Codes
    read: Callable[[Body], Any]
    on_profile: Callable[[User], bool]
    observe: Callable[[UnitOfWork, Session, User, Presented], Observed]
    slow: Callable[[User, Any], Awaitable[bool]] | None = None


# --- codes that travel -----------------------------------------------------------------------------------------------


def _observe_sms(unit: UnitOfWork, session: Session, _: User, presented: Presented) -> Observed:
    return observe_code(unit, session, "sms", presented.purpose, presented.value)


def _observe_email(unit: UnitOfWork, session: Session, user: User, presented: Presented) -> Observed:
    """An address that the profile does not have is 908; one to which no code went is as wrong as a wrong code."""
    to = text(presented.body, "emailid", "email")
    if to is None and presented.purpose != "stepup-mail":
        raise refuse(1032)
    if to is not None and own_email(user, to) is None:
        raise refuse(908, "emailid: expected an address of this profile.")
    return observe_code(unit, session, "email", presented.purpose, presented.value, to)


# --- authenticator app and backup codes ------------------------------------------------------------------------------


def totp_step(secret: str, code: str, moment: float) -> int | None:
    """The time step whose code this is, within one step of drift; None where it is none (RFC 6238)."""
    import pyotp

    totp = pyotp.TOTP(secret)
    now = int(moment) // totp.interval
    drift = LOGINRADIUS.totp_drift
    steps = [step for step in range(now - drift, now + drift + 1) if step >= 0]
    matching = [step for step in steps if equal(totp.generate_otp(step), code)]
    return matching[0] if matching else None


def observe_totp(unit: UnitOfWork, _: Session, user: User, presented: Presented) -> Observed:
    """A code of the authenticator app; each code serves once (RFC 6238 section 5.2)."""
    name = "totpPending" if presented.purpose == "setup" else "totp"
    step = totp_step(user.document[name], presented.value, unit.now.timestamp())
    used = step is not None and presented.purpose != "setup" and step <= user.document.get("totpStep", -1)
    result: CodeResult = "wrong" if step is None else "used" if used else "right"

    def settle(_: UnitOfWork, user: User) -> None:
        user.document["totpStep"] = step

    return Observed("totp", result, settle=settle)


def backup_digest(user: User, code: str) -> str:
    """How a backup code is kept."""
    return hashlib.sha256(f"{user.id} {code.strip().lower()}".encode()).hexdigest()


def _observe_backup(_: UnitOfWork, __: Session, user: User, presented: Presented) -> Observed:
    digest = backup_digest(user, presented.value)
    used = user.document["backupCodes"].get(digest)
    result: CodeResult = "wrong" if used is None else "used" if used else "right"

    def settle(_: UnitOfWork, user: User) -> None:
        user.document["backupCodes"][digest] = True

    return Observed("backup-code", result, settle=settle)


# --- secrets that are known ------------------------------------------------------------------------------------------


def _observe_known(kind: str) -> Callable[[UnitOfWork, Session, User, Presented], Observed]:
    def observe(_: UnitOfWork, __: Session, ___: User, presented: Presented) -> Observed:
        return Observed(kind, "right" if presented.right else "wrong")

    return observe


async def _password_matches(user: User, value: str) -> bool:
    return await secret_matches_off_loop(user.document.get("password"), value)


async def _pin_matches(user: User, value: str) -> bool:
    return await secret_matches_off_loop(user.document.get("pin"), value)


def normal_answer(answer: str) -> str:
    """An answer to a security question without what people vary: letter case and blanks."""
    return " ".join(answer.casefold().split())


def read_answers(body: Body) -> dict[str, str] | None:
    """`[{QuestionId, Answer}]` (or `{id: answer}`) as a mapping; None where too few questions are answered."""
    given = body.get("securityquestionanswer") or body.get("securityquestions") or body.get("securityanswer")
    if given is None:
        return None
    if isinstance(given, dict):
        given = [{"questionid": key, "answer": value} for key, value in given.items()]
    if not isinstance(given, list) or len(given) > MAX_ANSWERS or not all(isinstance(item, dict) for item in given):
        raise FormatError("securityquestionanswer", f"at most {MAX_ANSWERS} of {{QuestionId, Answer}}")
    pairs = [(text(item, "questionid"), text(item, "answer")) for item in given]
    answers = {key.lower(): answer for key, answer in pairs if key is not None and answer is not None}
    return answers if len(answers) >= LOGINRADIUS.security_questions else None


async def answers_match(user: User, answers: dict[str, str]) -> bool:
    """Whether every answer is right; all are compared."""
    kept = user.document.get("questions") or {}
    results = [await secret_matches_off_loop(kept.get(key), normal_answer(answer)) for key, answer in answers.items()]
    return all(results)


# --- the table -------------------------------------------------------------------------------------------------------


def _member(*names: str) -> Callable[[Body], str | None]:
    return lambda body: text(body, *names)


def _holds(name: str) -> Callable[[User], bool]:
    return lambda user: bool(user.document.get(name))


_SMS_CODES: Final = Codes(wrong=1067, expired=1069, used=1068, missing=1192, absent=1100)
_MAIL_CODES: Final = Codes(wrong=1188, expired=1187, used=1186, missing=1192, absent=1256)
_TOTP_CODES: Final = Codes(wrong=1102, expired=1102, used=1102, missing=1192, absent=1099)

SMS: Final = Method("SMS_OTP", "possession", _SMS_CODES, _member("otp"), _holds("phone2fa"), _observe_sms)
EMAIL: Final = Method("EMAIL_OTP", None, _MAIL_CODES, _member("otp"), _holds("emailOtp"), _observe_email)
PLAIN_EMAIL: Final = Method("EMAIL_OTP", None, _MAIL_CODES, _member("otp"), lambda _: True, _observe_email)
TOTP: Final = Method(
    "AUTHENTICATOR", "possession", _TOTP_CODES, _member("authenticatorcode", "googleauthenticatorcode"), _holds("totp"), observe_totp
)  # fmt: skip
BACKUP: Final = Method(
    "BACKUP_CODE", None, Codes(1129, 1129, 1129, 1192, 1128), _member("backupcode"), _holds("backupCodes"), _observe_backup
)  # fmt: skip
QUESTIONS: Final = Method(
    "SECURITY_QUESTIONS", "knowledge", Codes(1094, 1094, 1094, 1260, 1259), read_answers, _holds("questions"),
    _observe_known("security-answers"), answers_match,
)  # fmt: skip
PASSWORD: Final = Method(
    "PASSWORD", "knowledge", Codes(1205, 1205, 1205, 1205, 1205), _member("password"), _holds("password"), _observe_known("password"),
    _password_matches,
)  # fmt: skip
PIN: Final = Method(
    "PIN",
    "knowledge",
    Codes(1236, 1236, 1236, 1234, 1235),
    _member("pin"),
    _holds("pin"),
    _observe_known("pin"),
    _pin_matches,
)
OLD_PIN: Final = Method(
    "PIN", "knowledge", Codes(1241, 1241, 1241, 1234, 1235), _member("oldpin"), _holds("pin"), _observe_known("pin"), _pin_matches
)  # fmt: skip

Caller = Callable[[UnitOfWork, Call], tuple[Session, User]]
Grant = Callable[[UnitOfWork, Session, User, Transaction, Body], Reply]


async def answer(server: Server, call: Call, method: Method, purpose: Purpose, caller: Caller, grant: Grant) -> Reply:
    """One verify call: key, token, body, lock, factor, value, in this order; a success answers with what `grant` gives."""
    check_api_key(call)
    with server.store.reading() as unit:
        _, user = caller(unit, call)
    body = body_of(call)
    value = method.read(body)
    slow = method.slow if value is not None and method.on_profile(user) else None
    right = await slow(user, value) if slow is not None else None
    with server.store.begin() as unit:
        session, user = caller(unit, call)
        pass_captcha(unit, user, body)
        if value is None or not method.on_profile(user):
            locked = lock_reply(user, unit.now)
            return locked or error(method.codes.missing if method.on_profile(user) else method.codes.absent)
        observed = method.observe(unit, session, user, Presented(body, value, purpose, right))
        given = tuple(value.values()) if isinstance(value, dict) else (value,)
        outcome = judge(server, unit, call, session, method.name, observed, method.codes, purpose, given)
        if isinstance(outcome, Reply):
            return outcome
        return grant(unit, session, unit.user(NAME, session.user) or user, outcome, body)


async def lock_answered(user: User, body: Body) -> bool | None:
    """Whether the security answers in a body open this account's lock; None where it has no such lock or none were given."""
    if lock_type(user) != "SecurityQuestion" or not user.document.get("questions"):
        return None
    answers = read_answers(body)
    return None if answers is None else await answers_match(user, answers)


def pass_question(unit: UnitOfWork, user: User, right: bool | None) -> Reply | None:
    """What is left of the lock after security answers: right ones open it, five wrong ones block the account for good."""
    locked = lock_reply(user, unit.now)
    if locked is None or right is None or user.blocked_permanently:
        return locked
    if not right:
        count_failure(unit, user, of="security-answers", session="", transaction="", rule=LOCKS["Block"])
        return error(1094)
    unblock(unit, user, "security-answers")
    return None


def pass_captcha(unit: UnitOfWork, user: User, body: Body) -> None:
    """A locked account that asks for a captcha is opened by any that is not empty (own choice)."""
    if (
        lock_type(user) == "Captcha"
        and lock_reply(user, unit.now) is not None
        and any(text(body, name) for name in CAPTCHAS)
    ):
        unblock(unit, user, "captcha")
