"""The log: a hash chain that only grows."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import msgspec

from device_keys.clock import Clock
from device_keys.entropy import Entropy
from server_stub.database.protocol import Row, Statements
from server_stub.log_chain import GENESIS, LogEntry, append_entry
from server_stub.tables.columns import json_text
from server_stub.tables.unit import Unit

CLOCK_ID: Final = "server"
_ENTRY: Final = msgspec.json.Decoder(LogEntry)


class Log(Unit):
    """Entries are gathered while the unit of work runs, and written in one go by `flush`."""

    def __init__(self, statements: Statements, entropy: Entropy, source: Clock) -> None:
        super().__init__(statements, entropy, source)
        self._head: tuple[int, str] | None = None
        self._appended: list[dict[str, Any]] = []

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
             "transaction": transaction, "entry": json_text(entry)}
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
