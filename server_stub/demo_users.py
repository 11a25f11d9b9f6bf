"""The users that a fresh server holds, so that the first call works with no set-up.

Their secrets guard nothing; they are shown in the open.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any, Final

from device_keys.encoding import FormatError, member
from server_stub.passwords import hash_secret
from server_stub.records import User
from server_stub.store import UnitOfWork

BANK_USER: Final = "9de3e326-b5bb-4cdc-bf6d-f6b609fbb765"


def bank_users() -> list[User]:
    """The bank's demo user; the hash is precomputed, so that a start costs no Argon2."""
    document = {
        "passcode": "$argon2id$v=19$m=19456,t=2,p=1$b9LihCF7P5epuYqdBc3c+Q$HY09X/5VBmQ8X4i1GyFXXSgl+WspywCG4yAZtFu43V8",
        "mobile": "+447700900123",
        "balances": {"GBP": 1_000_000},
        "plain": {"passcode": "111234"},
    }
    return [User("bank", BANK_USER, BANK_USER, document)]


def describe_bank_user(user: User) -> dict[str, Any]:
    """Balances as decimal text per currency."""
    from device_keys.orders import major_units

    balances = {currency: major_units(minor, currency) for currency, minor in user.document.get("balances", {}).items()}
    return {
        "username": user.login,
        "mobile": user.document.get("mobile"),
        "balances": balances,
        **user.document.get("plain", {}),
    }


def bank_user_from_json(body: Mapping[str, Any], old: User | None, unit: UnitOfWork) -> User:
    """A bank user as `PUT /_stub/users` gives it: `id`, `passcode`, `mobile`, `balances`; what is absent stays as it was.

    Only the built-in passcode, which everyone knows, is ever shown: of another, a hash is kept and nothing else.
    """
    from device_keys.orders import minor_units

    user_id = member(body, "id", str)
    user = old or User("bank", user_id, user_id, {"balances": {}, "mobile": None, "plain": {}})
    passcode = member(body, "passcode", str, required=old is None)
    if passcode is not None:
        user.document |= {"passcode": hash_secret(passcode, unit.entropy), "plain": {}}
    if (mobile := member(body, "mobile", str, required=False)) is not None:
        user.document["mobile"] = mobile
    balances = member(body, "balances", dict, required=False)
    if balances is not None:
        try:
            user.document["balances"] = {
                currency: minor_units(amount, currency) for currency, amount in balances.items()
            }
        except (ValueError, AttributeError, IndexError) as error:
            raise FormatError("balances", 'decimal text per currency, such as {"GBP": "10000.00"}') from error
    user.login = (member(body, "username", str, required=False) or user.login).lower()
    return user


class Users:
    """How one dialect's users are made, shown and changed by tests."""

    def __init__(
        self,
        demo: Callable[[], list[User]],
        describe: Callable[[User], dict[str, Any]],
        from_json: Callable[[Mapping[str, Any], User | None, UnitOfWork], User],
    ) -> None:
        self.demo, self.describe, self.from_json = demo, describe, from_json


def users_of(dialect: str) -> Users:
    """The user functions of a dialect."""
    if dialect == "bank":
        return Users(bank_users, describe_bank_user, bank_user_from_json)
    module = import_module(f"server_stub.dialects.{dialect}")
    return Users(module.demo_users, module.describe_user, module.user_from_json)


def add_demo_users(unit: UnitOfWork, dialects: tuple[str, ...]) -> None:
    """Put the built-in users in, where they are not there yet."""
    for dialect in dialects:
        for user in users_of(dialect).demo():
            if unit.user(dialect, user.id) is None:
                unit.put_user(user)
