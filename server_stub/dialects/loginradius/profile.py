"""A customer's profile: what `User.document` holds here, how it is found and shown.

`document`: `password` and `pin` (PHC strings), `emails`, `username`, `phone`, `firstName`, `lastName`; `emailOtp` (bool), `phone2fa` (the
number of the SMS factor, once verified), `totp` (base32 secret, which a server must know in the clear) with `totpStep` (the last step
accepted), `backupCodes` ({digest: used}), `questions` ({id: PHC string}), `push` (public key, push token, name), `lock` (Suspend, Captcha,
SecurityQuestion or Block) and `plain` (what `GET /_stub/users` shows).
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

from device_keys.clock import rfc3339
from device_keys.encoding import FormatError
from server_stub.blocking import BlockingRule, blocked
from server_stub.dialects.loginradius.constants import LOCKS, LOGINRADIUS, NAME, QUESTIONS
from server_stub.dialects.loginradius.errors import error
from server_stub.http import Reply
from server_stub.records import User
from server_stub.store import UnitOfWork

# --- finding ---------------------------------------------------------------------------------------------------------


def find_user(
    unit: UnitOfWork, *, email: str | None = None, username: str | None = None, phone: str | None = None
) -> User | None:
    """By any of a profile's e-mail addresses, by user name, or by phone number. The first address is indexed; the rest is a walk."""
    if email is not None and (user := unit.user_by_login(NAME, email)) is not None:
        return user
    for user in unit.users():
        if user.dialect != NAME:
            continue
        document = user.document
        if email is not None and email.lower() in (known.lower() for known in document["emails"]):
            return user
        if username is not None and username.lower() == (document.get("username") or "").lower() != "":
            return user
        if phone is not None and phone == document.get("phone"):
            return user
    return None


def own_email(user: User, email: str) -> str | None:
    """This address as the profile has it, None where it is not there."""
    return next((known for known in user.document["emails"] if known.lower() == email.lower()), None)


# --- factors ---------------------------------------------------------------------------------------------------------


def has_second_factor(user: User) -> bool:
    """Whether any factor is on the profile that the MFA step-up calls can use."""
    names = ("phone2fa", "emailOtp", "totp", "questions", "backupCodes")
    return any(user.document.get(name) for name in names)


def can_confirm_login(user: User) -> bool:
    """Whether a second factor is on the profile that an MFA login can ask for: backup codes only stand in for another."""
    return any(user.document.get(name) for name in ("phone2fa", "emailOtp", "totp", "questions", "push"))


def factor_flags(user: User) -> dict[str, Any]:
    """What the published trigger, login and MFA settings answers say of the factors on the profile."""
    document = user.document
    asked = document.get("questions") or {}
    return {
        "DuoAuthEndpoint": None,
        "IsGoogleAuthenticatorVerified": bool(document.get("totp")),
        "IsAuthenticatorVerified": bool(document.get("totp")),
        "IsOTPAuthenticatorVerified": bool(document.get("phone2fa")),
        "IsEmailOtpAuthenticatorVerified": bool(document.get("emailOtp")),
        "IsPushDeviceRegistered": bool(document.get("push")),
        "IsDuoAuthenticatorVerified": False,
        "IsPasskeyAuthenticatorVerified": False,
        "IsSecurityQuestionAuthenticatorVerified": bool(asked),
        "OTPPhoneNo": masked_phone(document.get("phone2fa")),
        "Email": list(document["emails"]),
        "EmailOTPStatus": None,
        "SecurityQuestions": [{"QuestionId": key, "Question": QUESTIONS[key]} for key in asked],
    }


def masked_phone(number: str | None) -> str | None:
    """All but the last four digits hidden."""
    return None if not number else re.sub(r"\d(?=\d{4})", "*", number)


# --- locks -----------------------------------------------------------------------------------------------------------


def lock_type(user: User) -> str:
    name: str = user.document.get("lock", "Suspend")
    return name


def lock_rule(user: User) -> BlockingRule:
    """How failures count against this user."""
    return LOCKS[lock_type(user)]


def lock_reply(user: User, now: datetime) -> Reply | None:
    """The refusal of a locked account, None where it is not locked."""
    state = blocked(user, now)
    if not state:
        return None
    if state == "permanently":
        return error(991, "Your account has been blocked by the system, please contact the administrator.")
    kind = lock_type(user)
    if kind == "Captcha":
        return error(1132)
    if kind == "SecurityQuestion":
        return error(1148, "Please answer the security question to unlock the account.")
    until = user.blocked_until
    return error(1198, "Please try again later.", {"LoginLockedTimeout": rfc3339(until) if until else None})


# --- shown -----------------------------------------------------------------------------------------------------------


def profile(user: User, now: datetime) -> dict[str, Any]:
    """`Profile`: the members of the published one that have a meaning here."""
    document = user.document
    names = [part for part in (document.get("firstName"), document.get("lastName")) if part]
    return {
        "Uid": user.id,
        "ID": user.id,
        "Provider": "Email",
        "UserName": document.get("username"),
        "FirstName": document.get("firstName"),
        "LastName": document.get("lastName"),
        "FullName": " ".join(names),
        "Email": [
            {"Type": "Primary" if index == 0 else "Secondary", "Value": value}
            for index, value in enumerate(document["emails"])
        ],
        "EmailVerified": True,
        "PhoneId": document.get("phone"),
        "PhoneIdVerified": bool(document.get("phone")),
        "IsActive": True,
        "IsDeleted": False,
        "IsLoginLocked": bool(blocked(user, now)),
        "LoginLockedType": "None" if lock_type(user) == "Suspend" or not blocked(user, now) else lock_type(user),
        "Identities": [],
    }


def check_pin(pin: str, field: str) -> str:
    """The PIN, if it has 4 to 8 decimal digits."""
    least, most = LOGINRADIUS.pin_digits
    if re.fullmatch(rf"[0-9]{{{least},{most}}}", pin) is None:
        raise FormatError(field, f"{least} to {most} digits")
    return pin
