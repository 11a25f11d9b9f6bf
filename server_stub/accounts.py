"""Logins and their tokens, as every dialect uses them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from server_stub.knowledge import note_built_in
from server_stub.records import Session, User
from server_stub.store import UnitOfWork

IDLE = timedelta(minutes=5)


def open_session(
    unit: UnitOfWork, user: User, *, channel: str, tls: Mapping[str, str] | None, **document: Any
) -> Session:
    """A new login of this user; `tls`: how its call came (`Call.tls`)."""
    session = Session(unit.new_id("session"), user.dialect, user.id, unit.now, unit.now, document)
    unit.put_session(session)
    note_built_in(unit, user)
    unit.log(
        "session_started", dialect=user.dialect, user=user.id, session=session.id, channel=channel,
        tls=tls,
    )  # fmt: skip
    return session


def end_session(unit: UnitOfWork, session: Session, reason: str) -> None:
    """The session is over, and so are its tokens."""
    session.ended_at = unit.now
    unit.put_session(session)
    unit.end_tokens(session.id)
    unit.log("session_ended", dialect=session.dialect, user=session.user, session=session.id, reason=reason)


def session_of(
    unit: UnitOfWork, dialect: str, token: str | None, *, kind: str = "access", idle: timedelta | None = IDLE
) -> Session | None:
    """The live session behind a bearer token, or None: unknown, ended, of another dialect, or idle for longer (Art. 4(3)(d))."""
    found = unit.token(token, kind) if token else None
    session = unit.session(found.session_id) if found else None
    if session is None or session.dialect != dialect or session.ended_at is not None:
        return None
    if idle is not None and unit.now - session.last_active_at > idle:
        return None
    return session


def note_activity(unit: UnitOfWork, session: Session) -> None:
    """The payer did something in this session."""
    unit.touch(session)
    unit.log("payer_activity", dialect=session.dialect, user=session.user, session=session.id)
