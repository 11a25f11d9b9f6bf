"""Calls that arrive together share one write to the disk and nothing else: each is kept or undone by itself, and none answered early."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from server_stub.database.protocol import DatabaseUnavailable
from server_stub.database.sqlite import SQLite

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def database(tmp_path: Path) -> Iterator[SQLite]:
    made = SQLite(str(tmp_path / "server.sqlite3"))
    yield made
    made.close()


@pytest.fixture
def outside(tmp_path: Path, database: SQLite) -> Iterator[Callable[[str], str | None]]:
    """What another process reads."""
    connection = sqlite3.connect(tmp_path / "server.sqlite3")

    def read(name: str) -> str | None:
        row = connection.execute("SELECT value FROM settings WHERE name = ?", [name]).fetchone()
        return None if row is None else row[0]

    yield read
    connection.close()


def put(database: SQLite, name: str) -> None:
    with database.transaction() as statements:
        statements.run("put_setting", name=name, value="written")


async def call(database: SQLite, name: str, error: Exception | None = None) -> None:
    async with database.together():
        with database.transaction() as statements:
            statements.run("put_setting", name=name, value="written")
            if error is not None:
                raise error


async def test_callers_who_come_together_are_committed_at_once(
    database: SQLite, outside: Callable[[str], str | None]
) -> None:
    before = database.commits
    await asyncio.gather(*(call(database, f"call {number}") for number in range(8)))
    assert database.commits == before + 1
    assert all(outside(f"call {number}") == "written" for number in range(8))


async def test_nobody_is_answered_before_the_commit(database: SQLite, outside: Callable[[str], str | None]) -> None:
    async with database.together():
        put(database, "mine")
        assert outside("mine") is None
    assert outside("mine") == "written"


@pytest.mark.parametrize("failing", [0, 1, 2])
async def test_one_that_fails_undoes_itself_and_no_other(
    database: SQLite, outside: Callable[[str], str | None], failing: int
) -> None:
    calls = [call(database, f"call {n}", ValueError("refused") if n == failing else None) for n in range(3)]
    results = await asyncio.gather(*calls, return_exceptions=True)
    assert [isinstance(result, ValueError) for result in results] == [n == failing for n in range(3)]
    assert [outside(f"call {n}") for n in range(3)] == [None if n == failing else "written" for n in range(3)]


async def test_a_reader_who_saw_what_is_not_yet_durable_waits_for_it(database: SQLite) -> None:
    async with database.together():
        put(database, "seen")
        commits = database.commits
        async with database.together():
            with database.read() as statements:
                assert statements.one("get_setting", name="seen") == ("written",)
        assert database.commits == commits + 1


async def test_whoever_does_not_wait_never_sees_it_open(database: SQLite, outside: Callable[[str], str | None]) -> None:
    """Webhooks, mail and event streams tell others what they read at once."""
    async with database.together():
        put(database, "first")
        worker = threading.Thread(target=put, args=(database, "from a thread"))
        worker.start()
        worker.join()
        assert (outside("first"), outside("from a thread")) == ("written", "written")
        put(database, "second")
    with database.read() as statements:
        assert statements.one("get_setting", name="second") == ("written",)
    assert outside("second") == "written"


def fill_up(database: SQLite) -> None:
    (pages,) = database._connection.execute("PRAGMA page_count").fetchone()
    database._connection.execute(f"PRAGMA max_page_count = {pages}")


async def write_much(database: SQLite, name: str, size: int) -> None:
    async with database.together():
        with database.transaction() as statements:
            statements.run("put_setting", name=name, value="x" * size)


async def test_a_full_disk_is_told_to_all_whom_it_undid(database: SQLite, outside: Callable[[str], str | None]) -> None:
    fill_up(database)
    results = await asyncio.gather(
        write_much(database, "small", 10), write_much(database, "large", 10**6), return_exceptions=True
    )
    assert isinstance(results[1], DatabaseUnavailable)
    kept = outside("small")
    assert (kept is None) == isinstance(results[0], DatabaseUnavailable)
    await call(database, "afterwards")
    assert outside("afterwards") == "written"


async def test_a_commit_that_fails_is_told_to_every_caller(
    database: SQLite, outside: Callable[[str], str | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken:
        """The connection, whose COMMIT meets an error of the disk."""

        def __getattr__(self, name: str) -> object:
            return getattr(genuine, name)

        def execute(self, statement: str, *values: object) -> object:
            if statement == "COMMIT":
                raise sqlite3.OperationalError("disk I/O error")
            return genuine.execute(statement, *values)

    async def late() -> None:
        """One that had something else to wait for after it wrote: the commit fails long before its answer is due."""
        async with database.together():
            put(database, "late")
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            await asyncio.sleep(0)

    genuine = database._connection
    monkeypatch.setattr(database, "_connection", Broken())
    results = await asyncio.gather(call(database, "a"), late(), call(database, "b"), return_exceptions=True)
    monkeypatch.undo()
    assert all(isinstance(result, DatabaseUnavailable) for result in results)
    assert (outside("a"), outside("late"), outside("b")) == (None, None, None)
    await call(database, "afterwards")
    assert outside("afterwards") == "written"


async def test_what_sqlite_undoes_as_a_whole_is_told_to_every_caller(
    database: SQLite, outside: Callable[[str], str | None]
) -> None:
    """Some errors of the disk end the transaction at once (sqlite.org/lang_transaction.html, section 3)."""

    async def unlucky() -> None:
        async with database.together():
            with database.transaction() as statements:
                statements.run("put_setting", name="b", value="written")
                database._connection.execute("ROLLBACK")
                raise sqlite3.OperationalError("disk I/O error")

    results = await asyncio.gather(call(database, "a"), unlucky(), call(database, "c"), return_exceptions=True)
    assert [isinstance(result, DatabaseUnavailable) for result in results] == [True, True, False]
    assert [outside(name) for name in "abc"] == [None, None, "written"]
