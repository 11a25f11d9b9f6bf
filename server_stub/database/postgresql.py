"""One connection to PostgreSQL, through psycopg: this module is imported only where a `postgresql://` URL is used.

A lost connection is noticed before the next transaction and opened again. While the database is away, callers are told so at once: only
one in a while waits for an attempt to connect.
"""

from __future__ import annotations

import re
import select
import threading
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from functools import cache
from typing import Any, Final

import psycopg

from server_stub.database.protocol import BUSY_SECONDS, DatabaseUnavailable, Row, Statements
from server_stub.database.statements import load_queries, migrations

# Any constant serves: it names the one lock that the writers share.
ADVISORY_LOCK: Final = 0x57E9_0001
CONNECT_SECONDS: Final = 3
RETRY_SECONDS: Final = 0.5


@cache
def _queries() -> Mapping[str, str]:
    """The named statements with psycopg's placeholders."""
    return {
        name: _members_of_text(re.sub(r"(?<!:):(\w+)", r"%(\1)s", text.replace("%", "%%")))
        for name, text in load_queries().items()
    }


def _members_of_text(statements: str) -> str:
    """SQLite finds a member in JSON text; here the text becomes jsonb first, which knows no NUL."""
    return re.sub(
        r"\(entry ->> '(\w+)'\)", r"(replace(entry, '\\u0000', '\\u0001')::jsonb ->> '\1')", statements
    )  # fmt: skip


class PostgreSQL:
    """A PostgreSQL database, shared by any number of server processes."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._lock = threading.RLock()
        self._connection: psycopg.Connection[Any] | None = None
        self._away_until = 0.0
        with self.transaction():
            pass

    def _connect(self) -> psycopg.Connection[Any]:
        if self._connection is not None and _lost(self._connection):
            self._connection.close()
            self._connection = None
        if self._connection is None:
            if time.monotonic() < self._away_until:
                raise DatabaseUnavailable("the database did not answer a moment ago")
            try:
                self._connection = self._open()
            except psycopg.Error:
                self._away_until = time.monotonic() + RETRY_SECONDS
                raise
        return self._connection

    def _open(self) -> psycopg.Connection[Any]:
        options = f"-c lock_timeout={int(BUSY_SECONDS * 1000)} -c idle_in_transaction_session_timeout=30000"
        connection = psycopg.connect(self._url, autocommit=True, options=options, connect_timeout=CONNECT_SECONDS)
        try:
            _migrate(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    @contextmanager
    def transaction(self) -> Iterator[Statements]:
        with self._transaction(f"SELECT pg_advisory_xact_lock({ADVISORY_LOCK})") as statements:
            yield statements

    @contextmanager
    def read(self) -> Iterator[Statements]:
        with self._transaction("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY") as statements:
            yield statements

    @contextmanager
    def _transaction(self, opening: str) -> Iterator[Statements]:
        with self._lock:
            try:
                connection = self._connect()
                with connection.transaction():
                    connection.execute(opening)
                    yield _Statements(connection)
            except psycopg.Error as error:
                self._drop()
                raise DatabaseUnavailable(str(error)) from error

    @asynccontextmanager
    async def together(self) -> AsyncIterator[None]:
        """Each transaction commits by itself: PostgreSQL gathers the writes of its connections as it sees fit (`commit_delay`)."""
        yield

    def _drop(self) -> None:
        if self._connection is not None and self._connection.broken:
            self._connection.close()
            self._connection = None

    def close(self) -> None:
        with self._lock:
            if self._connection is not None:
                self._connection.close()


def _lost(connection: psycopg.Connection[Any]) -> bool:
    """Whether it is closed, or its server has hung up: then an idle connection has something to read, namely the end."""
    return connection.closed or bool(select.select([connection.pgconn.socket], [], [], 0)[0])


def _migrate(connection: psycopg.Connection[Any]) -> None:
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s)", [ADVISORY_LOCK])
        connection.execute("CREATE TABLE IF NOT EXISTS schema_version (version INTEGER NOT NULL)")
        row = connection.execute("SELECT MAX(version) FROM schema_version").fetchone()
        current = (row and row[0]) or 0
        for version, script in migrations():
            if version > current:
                connection.execute(_members_of_text(script))
                connection.execute("INSERT INTO schema_version (version) VALUES (%s)", [version])


class _Statements:
    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection
        self._texts = _queries()

    def one(self, name: str, /, **values: Any) -> Row | None:
        return self._connection.execute(self._texts[name], values).fetchone()

    def all(self, name: str, /, **values: Any) -> list[Row]:
        return self._connection.execute(self._texts[name], values).fetchall()

    def run(self, name: str, /, **values: Any) -> int:
        return self._connection.execute(self._texts[name], values).rowcount

    def run_many(self, name: str, /, values: Sequence[Mapping[str, Any]]) -> None:
        with self._connection.cursor() as cursor:
            cursor.executemany(self._texts[name], values)
