"""The users that a fresh server holds, and how tests see and change users."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from device_keys.encoding import FormatError, member
from server_stub.dialects.loginradius.constants import LOCKS, NAME
from server_stub.dialects.loginradius.profile import check_pin, lock_type
from server_stub.knowledge import note_secret
from server_stub.passwords import hash_secret
from server_stub.records import User
from server_stub.store import UnitOfWork

DEMO_UID: Final = "a5d1f0c3b7e84926a1c4d2e85f607b39"
DEMO_DOCUMENT: Final[dict[str, Any]] = {
    "password": "$argon2id$v=19$m=19456,t=2,p=1$kZ48tJSwrIVmlvvk35eAiQ$JxMsHPe6KBbFZkqDeB0ilTfSegvHwEzb6p89Yxs1oq0",
    "pin": "$argon2id$v=19$m=19456,t=2,p=1$c7FfLJI4VJeKfB2wfGWjOQ$N2bqF3EH1UEa5RONKZW0akkRHsQ1mJM9LIy82lCT74Q",
    "emails": ["alice@example.com"],
    "username": "alice",
    "phone": "+447700900123",
    "firstName": "Alice",
    "lastName": "Example",
    "emailOtp": True,
    "phone2fa": "+447700900123",
    "plain": {"password": "Passw0rd!", "pin": "1234"},
}


def demo_users() -> list[User]:
    """The user that a fresh server holds; the hashes are precomputed, so that a start costs no Argon2."""
    return [User(NAME, DEMO_UID, DEMO_DOCUMENT["emails"][0], {**DEMO_DOCUMENT, "plain": dict(DEMO_DOCUMENT["plain"])})]


def describe_user(user: User) -> dict[str, Any]:
    """What `GET /_stub/users` shows, test secrets in the open."""
    document = user.document
    return {
        "email": list(document["emails"]),
        "username": document.get("username"),
        "phone": document.get("phone"),
        "emailOtp": bool(document.get("emailOtp")),
        "smsOtp": bool(document.get("phone2fa")),
        "authenticator": bool(document.get("totp")),
        "pushDevice": bool(document.get("push")),
        "backupCodesLeft": sum(not used for used in (document.get("backupCodes") or {}).values()),
        "securityQuestions": list(document.get("questions") or {}),
        "lock": lock_type(user),
        **document.get("plain", {}),
    }


def user_from_json(body: Mapping[str, Any], old: User | None, unit: UnitOfWork) -> User:
    """A user as `PUT /_stub/users` gives it: `id` (32 hex digits), `email` (text or array), `password`, `pin`, `username`, `phone`,
    `emailOtp`, `smsOtp`, `lock`, `firstName`, `lastName`; what is absent stays as it was."""
    user_id = member(body, "id", str)
    if re.fullmatch(r"[0-9a-f]{32}", user_id) is None:
        raise FormatError("id", "32 lower-case hexadecimal digits")
    user = old or User(NAME, user_id, "", {"emails": [], "plain": {}})
    document = user.document
    for name in ("username", "phone", "firstName", "lastName"):
        if (value := member(body, name, str, required=False)) is not None:
            document[name] = value
    _put_secrets(body, user, unit, new=old is None)
    _put_emails(body, document, new=old is None)
    user.login = document["emails"][0].lower()
    if (email_otp := member(body, "emailOtp", bool, required=False)) is not None:
        document["emailOtp"] = email_otp
    if (sms_otp := member(body, "smsOtp", bool, required=False)) is not None:
        document["phone2fa"] = document.get("phone") if sms_otp else None
    if (lock := member(body, "lock", str, required=False)) is not None:
        if lock not in LOCKS:
            raise FormatError("lock", " or ".join(LOCKS))
        document["lock"] = lock
    return user


def _put_secrets(body: Mapping[str, Any], user: User, unit: UnitOfWork, *, new: bool) -> None:
    document = user.document
    password = member(body, "password", str, required=new)
    pin = member(body, "pin", str, required=False)
    if pin is not None:
        check_pin(pin, "pin")
    for name, value in (("password", password), ("pin", pin)):
        if value is not None:
            document[name] = hash_secret(value, unit.entropy)
            # Only built-in secrets, which everyone knows, are ever shown.
            document["plain"] = {kept: shown for kept, shown in document.get("plain", {}).items() if kept != name}
            note_secret(unit, user, name, value, by="operator")


def _put_emails(body: Mapping[str, Any], document: dict[str, Any], *, new: bool) -> None:
    given = member(body, "email", (str, list), required=new)
    if given is None:
        return
    listed = [given] if isinstance(given, str) else given
    if not listed or not all(isinstance(item, str) and "@" in item for item in listed):
        raise FormatError("email", "an e-mail address, or a list of them")
    document["emails"] = listed
