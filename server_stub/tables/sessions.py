"""Logins, and the tokens that bear them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import msgspec

from device_keys.clock import rfc3339, stored_instant
from device_keys.encoding import b64url_encode
from server_stub.database.protocol import Row
from server_stub.records import Session, Token, token_digest
from server_stub.tables.columns import json_text, maybe_instant, maybe_text
from server_stub.tables.unit import Unit


class Sessions(Unit):
    """Sessions and tokens; a token is found by its digest only."""

    def session(self, session_id: str) -> Session | None:
        row = self.sql.one("get_session", id=session_id)
        return _session(row) if row else None

    def sessions(self, dialect: str, user: str) -> list[Session]:
        return [_session(row) for row in self.sql.all("sessions_of_user", dialect=dialect, user=user)]

    def put_session(self, session: Session) -> None:
        self.sql.run(
            "put_session", id=session.id, dialect=session.dialect, user=session.user, created_at=rfc3339(session.created_at),
            last_active_at=rfc3339(session.last_active_at), ended_at=maybe_text(session.ended_at), document=json_text(session.document),
        )  # fmt: skip

    def touch(self, session: Session) -> None:
        """Note activity of the payer in this session, now."""
        session.last_active_at = self.now
        self.sql.run("touch_session", id=session.id, at=self.at)

    def new_token(self, kind: str, session_id: str, life: timedelta | None = None, **document: Any) -> str:
        """A fresh opaque token of 32 random bytes, kept as its digest."""
        token = b64url_encode(self.entropy.bytes(f"token {kind}", 32))
        self.put_token(
            Token(token_digest(token), kind, session_id, self.now, self.now + life if life else None, None, document)
        )
        return token

    def put_token(self, token: Token) -> None:
        self.sql.run(
            "put_token", digest=token.digest, kind=token.kind, session_id=token.session_id, issued_at=rfc3339(token.issued_at),
            expires_at=maybe_text(token.expires_at), ended_at=maybe_text(token.ended_at), document=json_text(token.document),
        )  # fmt: skip

    def token(self, token: str, kind: str) -> Token | None:
        """The token if it is of this kind, neither ended nor expired."""
        found = self.token_record(token)
        alive = (
            found
            and found.kind == kind
            and found.ended_at is None
            and (found.expires_at is None or self.now < found.expires_at)
        )
        return found if alive else None

    def token_record(self, token: str) -> Token | None:
        """The token as stored, dead ones too."""
        row = self.sql.one("get_token", digest=token_digest(token))
        return _token(row) if row else None

    def tokens(self, session_id: str, kind: str) -> list[Token]:
        return [_token(row) for row in self.sql.all("tokens_of_session", session=session_id, kind=kind)]

    def end_tokens(self, session_id: str) -> None:
        self.sql.run("end_tokens", session=session_id, at=self.at)


def _session(row: Row) -> Session:
    return Session(
        row[0],
        row[1],
        row[2],
        stored_instant(row[3]),
        stored_instant(row[4]),
        msgspec.json.decode(row[6]),
        maybe_instant(row[5]),
    )


def _token(row: Row) -> Token:
    return Token(
        row[0],
        row[1],
        row[2],
        stored_instant(row[3]),
        maybe_instant(row[4]),
        maybe_instant(row[5]),
        msgspec.json.decode(row[6]),
    )
