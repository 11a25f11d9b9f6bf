"""What every database of the server offers: transactions over the named statements of `sql/queries.sql`.

Invariant: write transactions are serialised across all processes (SQLite: `BEGIN IMMEDIATE`; PostgreSQL: an advisory lock), so that
check-and-change inside one is atomic without further thought. They are short: nothing is awaited and no password is hashed inside.

Writing to a disk is the dearest part of a small transaction, so callers who come together may share it: `together`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import Any, Final, Protocol

# How long a transaction waits for another's lock before the database counts as unavailable.
BUSY_SECONDS: Final = 5.0


class DatabaseUnavailable(Exception):
    """The database cannot be reached, is full, read-only or stayed busy; nothing was changed."""


Row = Sequence[Any]


class Statements(Protocol):
    """What a transaction offers: the named statements."""

    def one(self, name: str, /, **values: Any) -> Row | None:
        """The first row, or None."""
        ...

    def all(self, name: str, /, **values: Any) -> list[Row]:
        """All rows."""
        ...

    def run(self, name: str, /, **values: Any) -> int:
        """Execute; the number of rows changed."""
        ...

    def run_many(self, name: str, /, values: Sequence[Mapping[str, Any]]) -> None:
        """Execute for each mapping."""
        ...


class Database(Protocol):
    """A place for the server's state. All of it may raise `DatabaseUnavailable`."""

    def transaction(self) -> AbstractContextManager[Statements]:
        """A transaction that may write: commits at its end, rolls back on an exception."""
        ...

    def read(self) -> AbstractContextManager[Statements]:
        """The same for reading only: one consistent state, whatever is committed meanwhile."""
        ...

    def together(self) -> AbstractAsyncContextManager[None]:
        """Inside, transactions may be committed together with those of other callers, each still whole or not at all; the end waits until
        all that was written, or seen, is durable. Raises `DatabaseUnavailable` where it could not be made so."""
        ...

    def close(self) -> None: ...
