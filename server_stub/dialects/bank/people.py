"""The bank's customers: the demo user, how tests see one, and how they change one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from device_keys.currencies import MINOR_UNITS
from device_keys.encoding import FormatError, member
from device_keys.orders import major_units, minor_units
from server_stub.dialects.bank.constants import NAME
from server_stub.knowledge import note_secret
from server_stub.passwords import hash_secret
from server_stub.records import User
from server_stub.store import UnitOfWork

DEMO_USER: Final = "9de3e326-b5bb-4cdc-bf6d-f6b609fbb765"


def demo_users() -> list[User]:
    """The bank's customer on a fresh server; the hash is precomputed, so that a start costs no Argon2."""
    document = {
        "passcode": "$argon2id$v=19$m=19456,t=2,p=1$b9LihCF7P5epuYqdBc3c+Q$HY09X/5VBmQ8X4i1GyFXXSgl+WspywCG4yAZtFu43V8",
        "mobile": "+447700900123",
        "balances": {"GBP": 1_000_000},
        "plain": {"passcode": "111234"},
    }
    return [User(NAME, DEMO_USER, DEMO_USER, document)]


def describe_user(user: User) -> dict[str, Any]:
    """Balances as decimal text per currency; one that ISO 4217 does not list, as earlier versions took, pays nothing."""
    held = user.document.get("balances", {})
    balances = {code: major_units(minor, code) for code, minor in held.items() if code in MINOR_UNITS}
    return {
        "username": user.login,
        "mobile": user.document.get("mobile"),
        "balances": balances,
        **user.document.get("plain", {}),
    }


def user_from_json(body: Mapping[str, Any], old: User | None, unit: UnitOfWork) -> User:
    """A bank user as `PUT /_stub/users` gives it: `id`, `passcode`, `mobile`, `balances`; what is absent stays as it was.

    Only the built-in passcode, which everyone knows, is ever shown: of another, a hash is kept and nothing else.
    """
    user_id = member(body, "id", str)
    user = old or User(NAME, user_id, user_id, {"balances": {}, "mobile": None, "plain": {}})
    passcode = member(body, "passcode", str, required=old is None)
    if passcode is not None:
        user.document |= {"passcode": hash_secret(passcode, unit.entropy), "plain": {}}
        note_secret(unit, user, "passcode", passcode, by="operator")
    if (mobile := member(body, "mobile", str, required=False)) is not None:
        user.document["mobile"] = mobile
    balances = member(body, "balances", dict, required=False)
    if balances is not None:
        try:
            user.document["balances"] = {
                currency: minor_units(amount, currency) for currency, amount in balances.items()
            }
        except (ValueError, AttributeError) as error:
            raise FormatError("balances", 'decimal text per currency, such as {"GBP": "10000.00"}') from error
    user.login = (member(body, "username", str, required=False) or user.login).lower()
    return user
