"""One connection to SQLite: a file with a write-ahead log, or memory."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from server_stub.database.protocol import BUSY_SECONDS, DatabaseUnavailable, Row, Statements
from server_stub.database.statements import load_queries, migrations

IN_MEMORY: Final = ":memory:"
# Pages of journal (4 KiB each) after which a commit of SQLite's writes them back itself: the safety net under `checkpoint`.
LATE_CHECKPOINT: Final = 16_000


class SQLite:
    """A SQLite file (WAL), or one `IN_MEMORY`. `commits` counts the transactions written over this connection."""

    def __init__(self, path: str) -> None:
        self.in_memory = path == IN_MEMORY
        self.commits = 0
        self._lock = threading.RLock()
        self._path = path
        try:
            if not self.in_memory:
                _prepare_file(Path(path))
            self._connection = sqlite3.connect(
                path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False, cached_statements=256
            )
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = FULL")
            self._migrate()
        except (sqlite3.Error, OSError) as error:
            raise DatabaseUnavailable(f"database {path}: {error}") from error

    def _migrate(self) -> None:
        self._connection.execute("BEGIN IMMEDIATE")
        (current,) = self._connection.execute("PRAGMA user_version").fetchone()
        for version, script in migrations():
            if version > current:
                for statement in script.split(";\n"):
                    self._connection.execute(statement)
                self._connection.execute(f"PRAGMA user_version = {version}")
        self._connection.execute("COMMIT")

    @contextmanager
    def transaction(self) -> Iterator[Statements]:
        with self._lock:
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
            self._begin("BEGIN")
            try:
                yield _Statements(self._connection)
            except sqlite3.Error as error:
                raise DatabaseUnavailable(str(error)) from error
            finally:
                self._roll_back()

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
            self._connection.close()


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
