"""A server in process, over ASGI, with a memory database."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from starlette.testclient import TestClient

from server_stub.app import create_app
from server_stub.database import MEMORY, open_database
from server_stub.server import Server, Settings
from server_stub.store import Store
from server_stub.trust import load_trust


@pytest.fixture
def server() -> Iterator[Server]:
    """All dialects, strict policy, the demo users."""
    made = Server(Store(open_database(MEMORY)), load_trust(), settings=Settings())
    made.start()
    yield made
    made.store.database.close()


@pytest.fixture
def client(server: Server) -> TestClient:
    """An HTTP client of that server."""
    return TestClient(create_app(server))
