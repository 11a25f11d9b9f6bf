"""What the server keeps: users and their sessions, challenges and verdicts, phones, and the clock.

Plain data, which `tables/` reads from the database and writes to it. A record changes only for the unit of work that writes it again.
"""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from typing import Any

import msgspec

from device_keys.clock import Clock, Instant, stored_instant
from server_stub.evidence import Evidence
from server_stub.verdict import Finding


class User(msgspec.Struct):
    """A customer. `document` holds what only the dialect knows (hashes of secrets, balances, factors)."""

    dialect: str
    id: str
    login: str
    document: dict[str, Any]
    failures: int = 0
    blocks: int = 0
    blocked_until: Instant | None = None
    blocked_permanently: bool = False


class Session(msgspec.Struct):
    """A login. `document` holds the dialect's state of it."""

    id: str
    dialect: str
    user: str
    created_at: Instant
    last_active_at: Instant
    document: dict[str, Any]
    ended_at: Instant | None = None


class Token(msgspec.Struct):
    """A bearer of any kind, known by its digest only."""

    digest: str
    kind: str
    session_id: str
    issued_at: Instant
    expires_at: Instant | None = None
    ended_at: Instant | None = None
    document: dict[str, Any] = {}


class Transaction(msgspec.Struct):
    """A challenge to step up. `state`: ISSUED, VERIFIED, CONSUMED or VOID; expiry follows from `expires_at`."""

    id: str
    dialect: str
    kind: str
    user: str
    session: str
    payload: Any
    digest: str
    methods: list[str]
    created_at: Instant
    expires_at: Instant
    seq: int = 0
    state: str = "ISSUED"
    attempts: int = 0
    outcome: str | None = None
    assertion: str | None = None
    document: dict[str, Any] = {}


class Device(msgspec.Struct):
    """An enrolled phone. `state`: active, replaced, revoked."""

    id: str
    dialect: str
    user: str
    token_digest: str
    state: str
    enrolled_at: Instant
    state_since: Instant
    document: dict[str, Any]


class Enrolment(msgspec.Struct):
    """An enrolment under way. `state`: open, done, or void after too many wrong codes."""

    id: str
    dialect: str
    user: str
    session: str
    created_at: Instant
    expires_at: Instant
    document: dict[str, Any]
    state: str = "open"


class StoredVerdict(msgspec.Struct):
    """One attempt's judgement as kept: the evidence, its findings, how far the log went, and by what it was judged.

    `grounds`: the digest under which policy, trust and declarations are kept (`grounds.py`).
    """

    transaction: str
    attempt: int
    accepted: bool
    decided_at: str
    log_seq: int
    policy: str
    grounds: str
    evidence: Evidence
    findings: tuple[Finding, ...]


class ServerClock(msgspec.Struct):
    """The server's steered clock as stored: frozen at an instant, or running with an offset in microseconds."""

    frozen_at: str | None = None
    offset: int = 0

    def now(self, source: Clock) -> datetime:
        if self.frozen_at is not None:
            return stored_instant(self.frozen_at)
        return source() + timedelta(microseconds=self.offset)


def token_digest(token: str) -> str:
    """What is kept of a token."""
    return hashlib.sha256(token.encode()).hexdigest()
