"""The users that a fresh server holds, so that the first call works with no set-up.

Their secrets guard nothing; they are shown in the open.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any, Protocol, cast

from server_stub.records import User
from server_stub.store import UnitOfWork


class Users(Protocol):
    """How a dialect's users are made, shown and changed by tests: what each dialect's `people` offers."""

    def demo_users(self) -> list[User]:
        """The built-in users."""
        ...

    def describe_user(self, user: User, /) -> dict[str, Any]:
        """What `GET /_stub/users` shows of one."""
        ...

    def user_from_json(self, body: Mapping[str, Any], old: User | None, unit: UnitOfWork, /) -> User:
        """A user as `PUT /_stub/users` gives it; what is absent stays as it was."""
        ...


def users_of(dialect: str) -> Users:
    """The user functions of a dialect."""
    return cast(Users, import_module(f"server_stub.dialects.{dialect}.people"))


def add_demo_users(unit: UnitOfWork, dialects: tuple[str, ...]) -> None:
    """Put the built-in users in, where they are not there yet."""
    for dialect in dialects:
        for user in users_of(dialect).demo_users():
            if unit.user(dialect, user.id) is None:
                unit.put_user(user)
