"""The server's state, and the unit of work that every request runs in.

Invariants: one unit of work is one database transaction with one instant (`now`); tokens are kept as digests only; the log is appended
in the same transaction as what it tells of.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Final

from device_keys.clock import Clock, system_clock
from device_keys.entropy import Entropy, SeededEntropy, SystemEntropy
from server_stub.database.protocol import Database, Statements
from server_stub.tables.devices import Devices
from server_stub.tables.documents import Documents
from server_stub.tables.log import Log
from server_stub.tables.sessions import Sessions
from server_stub.tables.transactions import Transactions
from server_stub.tables.users import Users

_TABLES: Final = (
    "users", "sessions", "tokens", "transactions", "nonces", "verdicts", "devices", "credentials", "former_credentials", "counters",
    "app_attest_counters", "enrolments", "messages", "log", "idempotency", "payments", "records", "webhooks", "settings",
)  # fmt: skip


class UnitOfWork(Users, Sessions, Transactions, Devices, Documents, Log):
    """One database transaction with one instant: all tables, and the log."""


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
            unit = self._unit(statements)
            yield unit
            unit.flush()

    @contextmanager
    def reading(self) -> Iterator[UnitOfWork]:
        """A unit of work that only reads."""
        with self.database.read() as statements:
            yield self._unit(statements)

    def _unit(self, statements: Statements) -> UnitOfWork:
        unit = UnitOfWork(statements, self.entropy, self.source_clock)
        self.latest = unit.now
        return unit

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
