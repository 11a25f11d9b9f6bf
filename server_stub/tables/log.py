"""The log: a hash chain that only grows."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

import msgspec

from device_keys.clock import Clock
from device_keys.entropy import Entropy
from server_stub.database.protocol import Row, Statements
from server_stub.log_chain import GENESIS, LogDamaged, LogEntry, append_entry, entry_hash, read_entry
from server_stub.tables.columns import json_text
from server_stub.tables.unit import Unit

CLOCK_ID: Final = "server"


class _Hashed(msgspec.Struct):
    """All that appending needs of the newest entry: a damaged one stops no step-up, and `log verify` finds it."""

    hash: str


class _Place(msgspec.Struct):
    """All that choosing an extract needs of an entry; those that are chosen are read whole."""

    event: str
    session: str
    transaction: str


_PLACE: Final = msgspec.json.Decoder(_Place)
_HASH: Final = msgspec.json.Decoder(_Hashed)
# Before any row, one that somebody forged included.
_FIRST: Final = -(2**63)
_OF_THE_USER: Final = frozenset(
    {
        "sca_attempt",
        "login_failed",
        "action_refused",
        "block_temp",
        "alert_before_permanent",
        "block_permanent",
        "unblock",
        "code_accepted",
        "session_started",
        "delivery",
        "credential_bound",
        "credential_renewed",
        "credential_suspended",
        "credential_revoked",
        "device_released",
        "attestation_evaluated",
    }
)
_MOST: Final = 200


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
            self._head = self.log_head()
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

    def log_head(self) -> tuple[int, str]:
        """The number of the newest entry, and its hash; nought and `GENESIS` in an empty log."""
        row = self.sql.one("log_head")
        return (0, GENESIS) if row is None else (row[0], _HASH.decode(row[1]).hash)

    def log_texts(self, after: int | None = None, most: int = 1000) -> list[str]:
        """The entries after a number as they stand in the database; None: from the very first row."""
        return [row[1] for row in self.sql.all("log_after", after=_FIRST if after is None else after, most=most)]

    def log_entries(self, after: int = 0, most: int = 1000) -> list[LogEntry]:
        """The entries after a number. Raises LogDamaged."""
        return [_read(row) for row in self.sql.all("log_after", after=after, most=most)]

    def log_extract(
        self, dialect: str, user: str, transactions: Collection[str], sessions: Collection[str], up_to: int
    ) -> tuple[LogEntry, ...]:
        """What a verdict may read of a user's entries, up to number `up_to`: those of the transactions (an enrolment counts as one) and
        sessions, the newest about its failures, blocks, logins and credentials, and how each of its secrets was last set. Found by what the
        entries say. Raises LogDamaged.
        """
        rows = self.sql.all("log_of_user", dialect=dialect, user=user, up_to=up_to)
        places = [_place(row) for row in rows]
        others = [number for number, place in enumerate(places) if place.event in _OF_THE_USER][-_MOST:]
        near = [n for n, place in enumerate(places) if place.transaction in transactions or place.session in sessions]
        settings = [number for number, place in enumerate(places) if place.event == "secret_set"]
        last_set = {_read(rows[number]).fields.get("method"): number for number in settings}
        extract = tuple(_read(rows[number]) for number in sorted({*others, *near, *last_set.values()}))
        for entry in extract:
            if entry_hash(entry) != entry.hash:
                raise LogDamaged(f"entry {entry.seq} of the log does not have the hash that was kept with it")
        return extract

    def failed_attempts(self, dialect: str, up_to: int) -> list[LogEntry]:
        """The newest attempts of a dialect, up to number `up_to`, newest first."""
        return [_read(row) for row in self.sql.all("failed_attempts", dialect=dialect, up_to=up_to)]


def _place(row: Row) -> _Place:
    try:
        return _PLACE.decode(row[1])
    except msgspec.DecodeError as error:
        raise LogDamaged(f"entry {row[0]} of the log is not as it was written") from error


def _read(row: Row) -> LogEntry:
    entry = read_entry(row[1])
    if entry is None or entry.seq != row[0]:
        raise LogDamaged(f"entry {row[0]} of the log is not as it was written")
    return entry
