"""One connection to SQLite: a file with a write-ahead log, or memory.

*Group commit*: callers inside `together` join one SQLite transaction, each in a savepoint of its own, and it is committed when the event
loop has run all that were ready. So calls that arrive together wait for the disk once. Nobody else ever sees such a transaction open:
whoever is not inside `together` has it committed first.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from server_stub.database.protocol import BUSY_SECONDS, DatabaseUnavailable, Row, Statements
from server_stub.database.statements import load_queries, migrations

IN_MEMORY: Final = ":memory:"
# Pages of journal (4 KiB each) after which a commit of SQLite's writes them back itself: the safety net under `checkpoint`.
LATE_CHECKPOINT: Final = 16_000


@dataclass(frozen=True, slots=True)
class _Group:
    """A transaction that several callers share: `committed` is done when it is durable, or has failed."""

    committed: asyncio.Future[None]
    thread: int

    def end(self, error: DatabaseUnavailable | None = None) -> None:
        """Tell all who wait, from whichever thread."""
        if threading.get_ident() == self.thread:
            self._tell(error)
            return
        with suppress(RuntimeError):  # that loop is closed: nobody waits any more
            self.committed.get_loop().call_soon_threadsafe(self._tell, error)

    def _tell(self, error: DatabaseUnavailable | None) -> None:
        if error is None:
            self.committed.set_result(None)
        else:
            self.committed.set_exception(error)
            self.committed.exception()  # seen, even if no caller is left to see it


# The groups that a caller inside `together` wrote into or read from; None for everybody else.
_joined_groups: Final[ContextVar[list[_Group] | None]] = ContextVar("joined_groups", default=None)


class SQLite:
    """A SQLite file (WAL), or one `IN_MEMORY`. `commits` counts the transactions written over this connection."""

    def __init__(self, path: str) -> None:
        self.in_memory = path == IN_MEMORY
        self.commits = 0
        self._lock = threading.RLock()
        self._group: _Group | None = None
        self._path = path
        try:
            if not self.in_memory:
                _prepare_file(Path(path))
            self._connection = sqlite3.connect(
                path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False, cached_statements=256
            )
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = FULL")
            self._connection.execute("PRAGMA temp_store = MEMORY")  # what a savepoint keeps goes to no file
            self._migrate()
        except (sqlite3.Error, OSError) as error:
            raise DatabaseUnavailable(f"database {path}: {error}") from error

    def _migrate(self) -> None:
        self._connection.execute("BEGIN IMMEDIATE")
        (current,) = self._connection.execute("PRAGMA user_version").fetchone()
        for version, script in migrations():
            if version > current:
                # In SQLite only a column of this very type is the row's own number, and needs no index beside the table.
                for statement in script.replace("BIGINT PRIMARY KEY", "INTEGER PRIMARY KEY").split(";\n"):
                    self._connection.execute(statement)
                self._connection.execute(f"PRAGMA user_version = {version}")
        self._connection.execute("COMMIT")

    @contextmanager
    def transaction(self) -> Iterator[Statements]:
        with self._lock:
            if (joined := _joining()) is not None:
                with self._part(joined):
                    yield _Statements(self._connection)
                return
            self._commit_group()
            self._begin("BEGIN IMMEDIATE")
            try:
                yield _Statements(self._connection)
                self._connection.execute("COMMIT")
                self.commits += 1
            except sqlite3.Error as error:
                self._roll_back()
                raise DatabaseUnavailable(str(error)) from error
            except BaseException:
                self._roll_back()
                raise

    @contextmanager
    def read(self) -> Iterator[Statements]:
        with self._lock:
            if (joined := _joining()) is None:
                self._commit_group()
            group = self._group
            if group is None:
                self._begin("BEGIN")
            elif joined is not None:
                joined.append(group)
            try:
                yield _Statements(self._connection)
            except sqlite3.Error as error:
                raise DatabaseUnavailable(str(error)) from error
            finally:
                if group is None:
                    self._roll_back()

    # --- group commit -----------------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def together(self) -> AsyncIterator[None]:
        joined: list[_Group] = []
        before = _joined_groups.set(joined)
        try:
            yield
        finally:
            _joined_groups.reset(before)
            for group in joined:
                await asyncio.shield(group.committed)

    @contextmanager
    def _part(self, joined: list[_Group]) -> Iterator[None]:
        """A part of the group's transaction that is kept or undone by itself. The first opens the transaction."""
        first = self._group is None
        self._begin("BEGIN IMMEDIATE" if first else "SAVEPOINT part")
        if self._group is not None:
            joined.append(self._group)
        try:
            yield
        except BaseException as error:
            self._undo(first, error)
            if isinstance(error, sqlite3.Error):
                raise DatabaseUnavailable(str(error)) from error
            raise
        if first:
            loop = asyncio.get_running_loop()
            self._group = _Group(loop.create_future(), threading.get_ident())
            joined.append(self._group)
            loop.call_soon(self._commit_group)
        else:
            self._connection.execute("RELEASE part")

    def _undo(self, first: bool, error: BaseException) -> None:
        if first:
            self._roll_back()
        elif self._connection.in_transaction:
            self._connection.execute("ROLLBACK TO part")
            self._connection.execute("RELEASE part")
        elif self._group is not None:  # a full disk undoes the whole transaction, and with it the parts of the others
            group, self._group = self._group, None
            group.end(DatabaseUnavailable(str(error)))

    def _commit_group(self) -> None:
        with self._lock:
            group, self._group = self._group, None
            if group is None:
                return
            try:
                self._connection.execute("COMMIT")
            except sqlite3.Error as error:
                self._roll_back()
                group.end(DatabaseUnavailable(str(error)))
            else:
                self.commits += 1
                group.end()

    def _begin(self, statement: str) -> None:
        try:
            self._connection.execute(statement)
        except sqlite3.Error as error:
            raise DatabaseUnavailable(str(error)) from error

    def _roll_back(self) -> None:
        if self._connection.in_transaction:
            with suppress(sqlite3.Error):  # a full disk may have rolled it back already
                self._connection.execute("ROLLBACK")

    def checkpoint_late(self) -> None:
        """From here on somebody calls `checkpoint` regularly: commits need not wait for it."""
        with self._lock:
            self._connection.execute(f"PRAGMA wal_autocheckpoint = {LATE_CHECKPOINT}")

    def checkpoint(self) -> None:
        """Write the journal's pages back to the database, over a connection of its own, so that no transaction waits. Not in memory."""
        with suppress(sqlite3.Error):  # busy, or the disk is full: the next one will do it
            connection = sqlite3.connect(self._path, timeout=0, isolation_level=None)
            try:
                connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
            finally:
                connection.close()

    def close(self) -> None:
        with self._lock:
            self._commit_group()
            self._connection.close()


def _joining() -> list[_Group] | None:
    """What a caller inside `together` joined so far; None for everybody else, and in threads beside the loop."""
    joined = _joined_groups.get()
    if joined is None:
        return None
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return None
    return joined


def _prepare_file(path: Path) -> None:
    """Only this user reads it: SQLite gives its journal the mode of the database."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        path.touch(mode=0o600)


class _Statements:
    __slots__ = ("_connection", "_queries")

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._queries = load_queries()

    def one(self, name: str, /, **values: Any) -> Row | None:
        row: Row | None = self._connection.execute(self._queries[name], values).fetchone()
        return row

    def all(self, name: str, /, **values: Any) -> list[Row]:
        return self._connection.execute(self._queries[name], values).fetchall()

    def run(self, name: str, /, **values: Any) -> int:
        return self._connection.execute(self._queries[name], values).rowcount

    def run_many(self, name: str, /, values: Sequence[Mapping[str, Any]]) -> None:
        self._connection.executemany(self._queries[name], values)
