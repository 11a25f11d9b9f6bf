"""The server's state: typed records over the database, and the unit of work that every request runs in.

Invariants: one unit of work is one database transaction with one instant (`now`); tokens are kept as digests only; the log is appended
in the same transaction as what it tells of.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec

from device_keys.clock import Clock, Instant, parse_instant, rfc3339, stored_instant, system_clock
from device_keys.encoding import b64url_encode
from device_keys.entropy import Entropy, SeededEntropy, SystemEntropy, new_uuid
from server_stub.database.protocol import Database, Row, Statements
from server_stub.evidence import CredentialFacts, Evidence, NonceFacts, decode_evidence, encode
from server_stub.log_chain import GENESIS, LogEntry, append_entry
from server_stub.verdict import Finding

CLOCK_ID: Final = "server"


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
    """One attempt's judgement as kept: the evidence, its findings, and how far the log went."""

    transaction: str
    attempt: int
    accepted: bool
    decided_at: str
    log_seq: int
    policy: str
    trust: str
    evidence: Evidence
    findings: tuple[Finding, ...]


_FINDINGS = msgspec.json.Decoder(tuple[Finding, ...])
_ENTRY = msgspec.json.Decoder(LogEntry)


def token_digest(token: str) -> str:
    """What is kept of a token."""
    return hashlib.sha256(token.encode()).hexdigest()


def _instant(text: str | None) -> datetime | None:
    return None if text is None else stored_instant(text)


def _at(text: str) -> datetime:
    return stored_instant(text)


def _text(instant: datetime | None) -> str | None:
    return None if instant is None else rfc3339(instant)


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


class ServerClock(msgspec.Struct):
    """The server's steered clock as stored: frozen at an instant, or running with an offset in microseconds."""

    frozen_at: str | None = None
    offset: int = 0

    def now(self, source: Clock) -> datetime:
        if self.frozen_at is not None:
            return _at(self.frozen_at)
        return source() + timedelta(microseconds=self.offset)


class Store:
    """The database with a clock and a source of randomness: makes units of work."""

    def __init__(self, database: Database, *, entropy: Entropy | None = None, clock: Clock = system_clock) -> None:
        self.database = database
        self.entropy = entropy or SystemEntropy()
        self.source_clock = clock
        self.latest: datetime | None = None

    @contextmanager
    def begin(self) -> Iterator[UnitOfWork]:
        """A unit of work that may write; commits at the end, or changes nothing."""
        with self.database.transaction() as statements:
            unit = UnitOfWork(statements, self)
            yield unit
            unit.flush()

    @contextmanager
    def reading(self) -> Iterator[UnitOfWork]:
        """A unit of work that only reads."""
        with self.database.read() as statements:
            yield UnitOfWork(statements, self)

    def now(self) -> datetime:
        """The server's instant."""
        with self.reading() as unit:
            return unit.now

    def clear(self) -> None:
        """Empty every table; the clock and the schema stay."""
        with self.database.transaction() as statements:
            for table in _TABLES:
                statements.run(f"clear_{table}")
        if isinstance(self.entropy, SeededEntropy):
            self.entropy.reset()


_TABLES: Final = (
    "users", "sessions", "tokens", "transactions", "nonces", "verdicts", "devices", "credentials", "enrolments", "messages", "log",
    "idempotency", "payments", "records", "webhooks", "settings",
)  # fmt: skip


class UnitOfWork:
    """One database transaction with one instant: records in and out, and the log."""

    def __init__(self, statements: Statements, store: Store) -> None:
        self.sql = statements
        self.entropy = store.entropy
        self.clock = self._read_clock()
        self.now = self.clock.now(store.source_clock)
        self.at = rfc3339(self.now)
        store.latest = self.now
        self._head: tuple[int, str] | None = None
        self._appended: list[dict[str, Any]] = []

    # -- the clock

    def _read_clock(self) -> ServerClock:
        row = self.sql.one("get_setting", name="clock")
        return ServerClock() if row is None else msgspec.json.decode(row[0], type=ServerClock)

    def set_clock(self, clock: ServerClock, source: Clock = system_clock) -> None:
        """Steer the clock from here on."""
        self.put_setting("clock", _json(clock))
        self.clock = clock
        self.now = clock.now(source)
        self.at = rfc3339(self.now)

    def setting(self, name: str) -> str | None:
        row = self.sql.one("get_setting", name=name)
        return None if row is None else row[0]

    def put_setting(self, name: str, value: str) -> None:
        self.sql.run("put_setting", name=name, value=value)

    def next_seq(self) -> int:
        """A number greater than any before: the order of messages and transactions."""
        row = self.sql.one("next_seq")
        assert row is not None
        return int(row[0])

    # -- users

    def user(self, dialect: str, user_id: str) -> User | None:
        return _user(self.sql.one("get_user", dialect=dialect, id=user_id))

    def user_by_login(self, dialect: str, login: str) -> User | None:
        return _user(self.sql.one("find_user", dialect=dialect, login=login.lower()))

    def users(self) -> list[User]:
        return [user for row in self.sql.all("list_users") if (user := _user(row))]

    def put_user(self, user: User) -> None:
        self.sql.run(
            "put_user", dialect=user.dialect, id=user.id, login=user.login.lower(), failures=user.failures, blocks=user.blocks,
            blocked_until=_text(user.blocked_until), blocked_permanently=int(user.blocked_permanently), document=_json(user.document),
        )  # fmt: skip

    # -- sessions and tokens

    def session(self, session_id: str) -> Session | None:
        return _session(self.sql.one("get_session", id=session_id))

    def sessions(self, dialect: str, user: str) -> list[Session]:
        return [
            session
            for row in self.sql.all("sessions_of_user", dialect=dialect, user=user)
            if (session := _session(row))
        ]

    def put_session(self, session: Session) -> None:
        self.sql.run(
            "put_session", id=session.id, dialect=session.dialect, user=session.user, created_at=rfc3339(session.created_at),
            last_active_at=rfc3339(session.last_active_at), ended_at=_text(session.ended_at), document=_json(session.document),
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
            expires_at=_text(token.expires_at), ended_at=_text(token.ended_at), document=_json(token.document),
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
        return _token(self.sql.one("get_token", digest=token_digest(token)))

    def tokens(self, session_id: str, kind: str) -> list[Token]:
        return [
            token for row in self.sql.all("tokens_of_session", session=session_id, kind=kind) if (token := _token(row))
        ]

    def end_tokens(self, session_id: str) -> None:
        self.sql.run("end_tokens", session=session_id, at=self.at)

    # -- transactions, nonces, verdicts

    def transaction(self, transaction_id: str) -> Transaction | None:
        return _transaction(self.sql.one("get_transaction", id=transaction_id))

    def transactions(self, dialect: str = "", user: str = "", most: int = 1000) -> list[Transaction]:
        """Newest first."""
        rows = self.sql.all("list_transactions", dialect=dialect, user=user, most=most)
        return [transaction for row in rows if (transaction := _transaction(row))]

    def open_transactions(self, dialect: str, user: str) -> list[Transaction]:
        """Those that still wait for a step-up, oldest first."""
        found = [t for row in self.sql.all("open_transactions", dialect=dialect, user=user) if (t := _transaction(row))]
        return [transaction for transaction in found if self.now < transaction.expires_at]

    def add_transaction(self, transaction: Transaction) -> None:
        transaction.seq = self.next_seq()
        self.sql.run(
            "insert_transaction", id=transaction.id, seq=transaction.seq, dialect=transaction.dialect, kind=transaction.kind,
            user=transaction.user, session=transaction.session, payload=_json(transaction.payload), digest=transaction.digest,
            methods=_json(transaction.methods), created_at=rfc3339(transaction.created_at), **_transaction_values(transaction),
        )  # fmt: skip

    def put_transaction(self, transaction: Transaction) -> None:
        self.sql.run("update_transaction", id=transaction.id, **_transaction_values(transaction))

    def void_open_transactions(self, dialect: str, user: str) -> None:
        self.sql.run("void_open_transactions", dialect=dialect, user=user)

    def nonce(self, value: str) -> NonceFacts | None:
        row = self.sql.one("get_nonce", value=value)
        if row is None:
            return None
        return NonceFacts(
            value=row[0],
            transaction_id=row[1],
            issued_at=_at(row[2]),
            expires_at=_at(row[3]),
            consumed_at=_instant(row[4]),
        )

    def add_nonce(self, transaction: str, life: timedelta) -> NonceFacts:
        value = b64url_encode(self.entropy.bytes("nonce", 32))
        expires = self.now + life
        self.sql.run(
            "insert_nonce", value=value, transaction=transaction, issued_at=self.at, expires_at=rfc3339(expires)
        )
        return NonceFacts(value=value, transaction_id=transaction, issued_at=self.now, expires_at=expires)

    def consume_nonce(self, value: str) -> bool:
        """Whether this call was the one that consumed it."""
        return self.sql.run("consume_nonce", value=value, at=self.at) == 1

    def add_verdict(self, verdict: StoredVerdict) -> None:
        self.sql.run(
            "insert_verdict", transaction=verdict.transaction, attempt=verdict.attempt, accepted=int(verdict.accepted),
            decided_at=verdict.decided_at, log_seq=verdict.log_seq, policy=verdict.policy, trust=verdict.trust,
            evidence=encode(verdict.evidence).decode(), findings=_json(verdict.findings),
        )  # fmt: skip

    def verdict(self, transaction: str, attempt: int | None = None) -> StoredVerdict | None:
        """The judgement of one attempt, by default the latest."""
        if attempt is None:
            row = self.sql.one("last_attempt", transaction=transaction)
            attempt = row[0] if row else None
        row = None if attempt is None else self.sql.one("get_verdict", transaction=transaction, attempt=attempt)
        if row is None:
            return None
        return StoredVerdict(
            row[0],
            row[1],
            bool(row[2]),
            row[3],
            row[4],
            row[5],
            row[6],
            decode_evidence(row[7].encode()),
            _FINDINGS.decode(row[8]),
        )

    # -- devices and credentials

    def device(self, device_id: str) -> Device | None:
        return _device(self.sql.one("get_device", id=device_id))

    def device_by_token(self, token: str) -> Device | None:
        return _device(self.sql.one("find_device", digest=token_digest(token)))

    def devices(self, dialect: str, user: str) -> list[Device]:
        return [
            device for row in self.sql.all("devices_of_user", dialect=dialect, user=user) if (device := _device(row))
        ]

    def put_device(self, device: Device) -> None:
        self.sql.run(
            "put_device", id=device.id, dialect=device.dialect, user=device.user, token_digest=device.token_digest, state=device.state,
            enrolled_at=rfc3339(device.enrolled_at), state_since=rfc3339(device.state_since), document=_json(device.document),
        )  # fmt: skip

    def credential(self, credential_id: str) -> CredentialFacts | None:
        """The enrolled key with this id (base64url), whoever's it is."""
        return _credential(self.sql.one("get_credential", id=credential_id))

    def credentials_of_device(self, device_id: str) -> list[CredentialFacts]:
        return [c for row in self.sql.all("credentials_of_device", device=device_id) if (c := _credential(row))]

    def credentials_by_key(self, fingerprint: str) -> list[CredentialFacts]:
        return [c for row in self.sql.all("credentials_by_key", fingerprint=fingerprint) if (c := _credential(row))]

    def add_credential(self, facts: CredentialFacts, fingerprint: str) -> None:
        self.sql.run(
            "insert_credential", id=facts.credential_id, fingerprint=fingerprint, device=facts.device_id, dialect=facts.dialect,
            user=facts.user, factor=facts.factor, sign_count=facts.sign_count, app_attest_count=facts.app_attest_count,
            facts=encode(facts).decode(),
        )  # fmt: skip

    def put_credential(self, facts: CredentialFacts) -> None:
        self.sql.run("update_credential", id=facts.credential_id, facts=encode(facts).decode())

    def put_counters(self, credential_id: str, sign_count: int, app_attest_count: int) -> None:
        self.sql.run("update_counters", id=credential_id, sign_count=sign_count, app_attest_count=app_attest_count)

    def enrolment(self, enrolment_id: str) -> Enrolment | None:
        row = self.sql.one("get_enrolment", id=enrolment_id)
        if row is None:
            return None
        document = msgspec.json.decode(row[7])
        return Enrolment(row[0], row[1], row[2], row[3], _at(row[5]), _at(row[6]), document, row[4])

    def put_enrolment(self, enrolment: Enrolment) -> None:
        self.sql.run(
            "put_enrolment", id=enrolment.id, dialect=enrolment.dialect, user=enrolment.user, session=enrolment.session,
            state=enrolment.state, created_at=rfc3339(enrolment.created_at), expires_at=rfc3339(enrolment.expires_at),
            document=_json(enrolment.document),
        )  # fmt: skip

    # -- free documents of the dialects (payment runs, factors, push requests …)

    def record(self, kind: str, record_id: str) -> dict[str, Any] | None:
        row = self.sql.one("get_record", kind=kind, id=record_id)
        return None if row is None else msgspec.json.decode(row[2])

    def records(self, kind: str, owner: str) -> list[dict[str, Any]]:
        """Oldest first."""
        return [msgspec.json.decode(row[2]) for row in self.sql.all("records_of_owner", kind=kind, owner=owner)]

    def put_record(self, kind: str, record_id: str, owner: str, document: dict[str, Any]) -> None:
        self.sql.run("put_record", kind=kind, id=record_id, owner=owner, seq=self.next_seq(), document=_json(document))

    def delete_record(self, kind: str, record_id: str) -> None:
        self.sql.run("delete_record", kind=kind, id=record_id)

    # -- the log

    def log(
        self, event: str, *, dialect: str, user: str = "", session: str = "", transaction: str = "", **fields: Any
    ) -> None:
        """Append an event (RTS Art. 29; `docs/compliance.md` lists the events) to the hash chain."""
        if self._head is None:
            row = self.sql.one("log_head")
            self._head = (0, GENESIS) if row is None else (row[0], _ENTRY.decode(row[1]).hash)
        seq, previous = self._head
        entry = append_entry(
            previous, seq=seq + 1, at=self.at, clock_id=CLOCK_ID, event=event, dialect=dialect, user=user, session=session,
            transaction=transaction, fields=fields,
        )  # fmt: skip
        self._head = (entry.seq, entry.hash)
        self._appended.append(
            {"seq": entry.seq, "at": entry.at, "event": event, "dialect": dialect, "user": user, "session": session,
             "transaction": transaction, "entry": _json(entry)}
        )  # fmt: skip

    @property
    def log_seq(self) -> int:
        """The number of the newest entry that this unit knows of."""
        return 0 if self._head is None else self._head[0]

    def flush(self) -> None:
        """Write what was logged."""
        if self._appended:
            self.sql.run_many("insert_log", self._appended)
            self._appended = []

    def log_entries(self, after: int = 0, most: int = 1000) -> list[LogEntry]:
        return [_ENTRY.decode(row[0]) for row in self.sql.all("log_after", after=after, most=most)]

    def log_extract(
        self, dialect: str, user: str, transactions: Iterable[str], sessions: Iterable[str], up_to: int
    ) -> tuple[LogEntry, ...]:
        """What a verdict may read, up to an entry: these transactions (an enrolment counts as one), these sessions, the user's failures."""
        rows: list[Row] = []
        for transaction in transactions:
            rows += self.sql.all("log_of_transaction", transaction=transaction, up_to=up_to)
        rows += self.sql.all("log_of_user", dialect=dialect, user=user, up_to=up_to, most=200)
        for session in sessions:
            rows += self.sql.all("log_of_session", session=session, up_to=up_to)
        entries = {entry.seq: entry for entry in (_ENTRY.decode(row[0]) for row in rows)}
        return tuple(entries[seq] for seq in sorted(entries))

    def new_id(self, purpose: str) -> str:
        """A UUID."""
        return new_uuid(self.entropy, purpose)


def _user(row: Row | None) -> User | None:
    if row is None:
        return None
    return User(row[0], row[1], row[2], msgspec.json.decode(row[7]), row[3], row[4], _instant(row[5]), bool(row[6]))


def _session(row: Row | None) -> Session | None:
    if row is None:
        return None
    return Session(row[0], row[1], row[2], _at(row[3]), _at(row[4]), msgspec.json.decode(row[6]), _instant(row[5]))


def _token(row: Row | None) -> Token | None:
    if row is None:
        return None
    return Token(row[0], row[1], row[2], _at(row[3]), _instant(row[4]), _instant(row[5]), msgspec.json.decode(row[6]))


def _transaction(row: Row | None) -> Transaction | None:
    if row is None:
        return None
    return Transaction(
        id=row[0], seq=row[1], dialect=row[2], kind=row[3], user=row[4], session=row[5], state=row[6], payload=msgspec.json.decode(row[7]),
        digest=row[8], methods=msgspec.json.decode(row[9]), created_at=_at(row[10]), expires_at=_at(row[11]), attempts=row[12],
        outcome=row[13], assertion=row[14], document=msgspec.json.decode(row[15]),
    )  # fmt: skip


def _transaction_values(transaction: Transaction) -> dict[str, Any]:
    return {
        "state": transaction.state,
        "expires_at": rfc3339(transaction.expires_at),
        "attempts": transaction.attempts,
        "outcome": transaction.outcome,
        "assertion": transaction.assertion,
        "document": _json(transaction.document),
    }


def _device(row: Row | None) -> Device | None:
    if row is None:
        return None
    return Device(row[0], row[1], row[2], row[3], row[4], _at(row[5]), _at(row[6]), msgspec.json.decode(row[7]))


_CREDENTIAL = msgspec.json.Decoder(CredentialFacts)


def _credential(row: Row | None) -> CredentialFacts | None:
    """The counters have columns of their own, so that a step-up rewrites two numbers and not the registration."""
    if row is None:
        return None
    return msgspec.structs.replace(_CREDENTIAL.decode(row[3]), sign_count=row[1], app_attest_count=row[2])


__all__ = [
    "Device",
    "Enrolment",
    "ServerClock",
    "Session",
    "Store",
    "StoredVerdict",
    "Token",
    "Transaction",
    "UnitOfWork",
    "User",
    "parse_instant",
    "token_digest",
]
