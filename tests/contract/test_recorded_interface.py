"""What clients and reviewers build on changes only on purpose: every operation and schema of the OpenAPI document, every check.

After a change that is meant, `STEPUP_UPDATE_SNAPSHOTS=1` records them anew. The document is kept as one digest for each
operation and schema, the checks as they are served.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from server_stub.app import create_app
from server_stub.database import MEMORY, open_database
from server_stub.server import Server, Settings
from server_stub.store import Store
from server_stub.trust import load_trust

from ..in_process import InProcessClient

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def client() -> Iterator[InProcessClient]:
    server = Server(Store(open_database(MEMORY)), load_trust(), settings=Settings())
    server.start()
    yield InProcessClient(create_app(server), base_url="http://127.0.0.1:9")
    server.store.database.close()


def as_recorded(found: dict[str, Any], name: str) -> None:
    """Compare with the record of that name, or make it."""
    record = HERE / name
    if os.environ.get("STEPUP_UPDATE_SNAPSHOTS"):
        record.write_text("{\n" + ",\n".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in found.items()) + "\n}\n")
    recorded = json.loads(record.read_text())
    changed = {key for key in found.keys() | recorded.keys() if found.get(key) != recorded.get(key)}
    assert not changed, "if this is meant, record it with STEPUP_UPDATE_SNAPSHOTS=1"
    assert list(found) == list(recorded)


def digest(part: Any) -> str:
    return hashlib.sha256(json.dumps(part, sort_keys=True).encode()).hexdigest()[:16]


def test_each_operation_and_schema_of_the_openapi_document_is_the_recorded_one(client: InProcessClient) -> None:
    document = client.get("/openapi.json").json()
    parts = {
        f"{method.upper()} {path}": operation
        for path, operations in document.pop("paths").items()
        for method, operation in operations.items()
    }
    parts |= {f"schema {name}": schema for name, schema in document["components"].pop("schemas").items()}
    document["info"].pop("version")
    as_recorded({"document": digest(document)} | {name: digest(parts[name]) for name in sorted(parts)}, "openapi.json")


def test_each_check_has_the_recorded_citation_and_needs(client: InProcessClient) -> None:
    """What a check needs decides what a verdict calls not run: a need that is lost shows as a second failure."""
    checks = {check["id"]: [check["citation"], *check["needs"]] for check in client.get("/_stub/checks").json()}
    as_recorded(checks, "checks.json")


def test_the_built_in_users_are_the_recorded_ones(client: InProcessClient) -> None:
    """README and others' scripts name them, with their secrets, which guard nothing."""
    users = {f"{user['dialect']} {user['id']}": user for user in client.get("/_stub/users").json()}
    as_recorded(users, "users.json")
