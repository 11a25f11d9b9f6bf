"""What every call passes first: the API key, and the session behind the bearer; and the tokens that it is given."""

from __future__ import annotations

import hmac
from typing import Any

from server_stub.accounts import note_activity, session_of
from server_stub.dialects.bank.constants import BANK, NAME
from server_stub.dialects.bank.errors import refuse
from server_stub.http import Call
from server_stub.records import Session
from server_stub.store import UnitOfWork


def key_accepted(call: Call) -> bool:
    """Whether the call bears a known API key."""
    key = call.headers.get("x-apikey", "").encode()
    return any(hmac.compare_digest(key, known.encode()) for known in BANK.api_keys)


def check_api_key(call: Call) -> None:
    if not key_accepted(call):
        raise refuse("401.000.11")


def caller(unit: UnitOfWork, call: Call) -> Session:
    """The session behind the bearer; its being used is activity of the payer."""
    session = session_of(unit, NAME, call.bearer, idle=BANK.access_idle)
    if session is None:
        raise refuse("401.000.22")
    note_activity(unit, session)
    return session


def tokens(unit: UnitOfWork, session: Session) -> dict[str, Any]:
    """A new pair for this session; any earlier one ends at once (S0-12)."""
    unit.end_tokens(session.id)
    return {
        "accessToken": unit.new_token("access", session.id),
        "refreshToken": unit.new_token("refresh", session.id, BANK.refresh_life),
        "tokenType": "Bearer",
        "expiresIn": int(BANK.access_idle.total_seconds()),
    }
