"""The customers."""

from __future__ import annotations

import msgspec

from server_stub.database.protocol import Row
from server_stub.records import User
from server_stub.tables.columns import json_text, maybe_instant, maybe_text
from server_stub.tables.unit import Unit


class Users(Unit):
    """Users by id and by login."""

    def user(self, dialect: str, user_id: str) -> User | None:
        row = self.sql.one("get_user", dialect=dialect, id=user_id)
        return _user(row) if row else None

    def user_by_login(self, dialect: str, login: str) -> User | None:
        row = self.sql.one("find_user", dialect=dialect, login=login.lower())
        return _user(row) if row else None

    def users(self) -> list[User]:
        return [_user(row) for row in self.sql.all("list_users")]

    def put_user(self, user: User) -> None:
        self.sql.run(
            "put_user", dialect=user.dialect, id=user.id, login=user.login.lower(), failures=user.failures, blocks=user.blocks,
            blocked_until=maybe_text(user.blocked_until), blocked_permanently=int(user.blocked_permanently),
            document=json_text(user.document),
        )  # fmt: skip


def _user(row: Row) -> User:
    return User(
        row[0], row[1], row[2], msgspec.json.decode(row[7]), row[3], row[4], maybe_instant(row[5]), bool(row[6])
    )
