"""Logins and their tokens: access and refresh tokens as GUIDs, kept as digests; what a caller's token says."""

from __future__ import annotations

import hmac
import uuid
from datetime import timedelta
from typing import Any, Final

from device_keys.clock import rfc3339
from server_stub.accounts import note_activity, open_session
from server_stub.dialects.loginradius.challenges import expiry
from server_stub.dialects.loginradius.constants import LOGINRADIUS, NAME
from server_stub.dialects.loginradius.errors import refuse
from server_stub.dialects.loginradius.profile import profile
from server_stub.dialects.loginradius.reading import access_token
from server_stub.http import Call
from server_stub.records import Session, Token, User, token_digest
from server_stub.store import UnitOfWork

ACCESS: Final = "access"
REFRESH: Final = "refresh"
MFA_LOGIN: Final = "mfa-login"
NO_TOKEN: Final = "00000000-0000-0000-0000-000000000000"  # noqa: S105 - the vendor's way to say: none
NO_DATE: Final = "0001-01-01T00:00:00"


def refresh_token_of(access: str) -> str:
    """The refresh token that goes with an access token. It is derived, so that `Validate` can answer with it although only digests are
    kept; who holds the access token could ask for it anyway."""
    return str(uuid.UUID(bytes=hmac.digest(access.encode(), b"refresh token", "sha256")[:16], version=4))


def issue_tokens(unit: UnitOfWork, session: Session) -> dict[str, Any]:
    """A new pair for this session; the pair before ends. Other tokens of the session live on."""
    for kind in (ACCESS, REFRESH):
        end_tokens(unit, session, kind)
    access = unit.new_id("access token")
    expires = unit.now + LOGINRADIUS.access_life
    unit.put_token(Token(token_digest(access), ACCESS, session.id, unit.now, expires))
    refresh = refresh_token_of(access)
    unit.put_token(Token(token_digest(refresh), REFRESH, session.id, unit.now, unit.now + LOGINRADIUS.refresh_life))
    return {"access_token": access, "refresh_token": refresh, "expires_in": rfc3339(expires)}


def end_tokens(unit: UnitOfWork, session: Session, kind: str) -> None:
    """The session's tokens of one kind end."""
    for token in unit.tokens(session.id, kind):
        if token.ended_at is None:
            token.ended_at = unit.now
            unit.put_token(token)


def open_login(unit: UnitOfWork, call: Call, user: User, *, password: bool) -> Session:
    """A session that shows the password as its first element (or none, where a back end asks for a token itself)."""
    elements = [{"category": "knowledge", "method": "password", "at": unit.at}] if password else []
    return open_session(unit, user, channel="api", tls=call.tls, elements=elements)


def login_answer(unit: UnitOfWork, session: Session, user: User) -> dict[str, Any]:
    """What every finished login answers; a profile without a PIN gets a token to set one."""
    answer = {"Profile": profile(user, unit.now), **issue_tokens(unit, session)}
    if not user.document.get("pin"):
        answer["PINAuthToken"] = new_token(unit, session, "pin-auth", LOGINRADIUS.pin_auth_life)
    return answer


def new_token(unit: UnitOfWork, session: Session, kind: str, life: timedelta, **document: Any) -> str:
    """A GUID of some kind, kept as its digest."""
    token = unit.new_id(f"{kind} token")
    unit.put_token(Token(token_digest(token), kind, session.id, unit.now, unit.now + life, None, document))
    return token


def find_token(
    unit: UnitOfWork, text: str | None, kind: str, *, unknown: int, expired: int
) -> tuple[Token, Session, User]:
    """A live token of this kind with its session and user, or the ErrorCode for an unknown or an expired one."""
    token = unit.token_record(text.strip().lower()) if text else None
    session = unit.session(token.session_id) if token else None
    user = unit.user(NAME, session.user) if session and session.dialect == NAME else None
    if token is None or session is None or user is None or token.kind != kind:
        raise refuse(unknown)
    if token.expires_at is not None and unit.now >= token.expires_at:
        raise refuse(expired)
    if token.ended_at is not None or session.ended_at is not None:
        raise refuse(unknown)
    return token, session, user


def caller(unit: UnitOfWork, call: Call) -> tuple[Session, User]:
    """Who calls, by the access token: absent 1060, unknown 905, expired 906. Its being used is activity of the customer."""
    _, session, user = find_token(unit, access_token(call), ACCESS, unknown=905, expired=906)
    return session, user


def active_caller(unit: UnitOfWork, call: Call) -> tuple[Session, User]:
    """As `caller`, noting the activity."""
    session, user = caller(unit, call)
    note_activity(unit, session)
    return session, user


def mfa_caller(unit: UnitOfWork, call: Call) -> tuple[Session, User]:
    """Who is in the middle of an MFA login: unknown 1103, expired 1104."""
    _, session, user = find_token(
        unit, call.query.get("secondfactorauthenticationtoken"), MFA_LOGIN, unknown=1103, expired=1104
    )
    return session, user


def mfa_token_answer(unit: UnitOfWork, session: Session) -> dict[str, Any]:
    """The token of an MFA login under way, and its end."""
    life = LOGINRADIUS.mfa_login_life
    token = new_token(unit, session, MFA_LOGIN, life)
    return {"SecondFactorAuthenticationToken": token, "ExpireIn": expiry(unit.now, life)}
