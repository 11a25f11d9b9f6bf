"""A start waits for nothing that its first answer does not need; what is imported late stands where it is looked for."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import pytest

from server_stub.app import Family, create_app
from server_stub.http import Dialect
from server_stub.server import Server

LATE = ("cryptography", "server_stub.checks", "server_stub.rules", "httpx2", "jinja2", "nacl", "psycopg")


def test_a_server_answers_its_first_call_without_dialects_checks_or_cryptography() -> None:
    """DESIGN section 9: server_start."""
    program = (
        "import sys; from starlette.testclient import TestClient; import httpx2\n"
        "before = set(sys.modules)\n"
        "from server_stub.cli import main; from server_stub.app import create_app\n"
        "from server_stub.serving import build_server\n"
        "from server_stub.cli import _parser\n"
        "options = _parser().parse_args(['serve', '--database', 'memory'])\n"
        "client = TestClient(create_app(build_server(options)), base_url='http://127.0.0.1:9')\n"
        "assert client.get('/_stub/health').status_code == 200\n"
        "print(*(set(sys.modules) - before))"
    )
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    assert "server_stub.dialects.weavr.people" in loaded
    assert not [name for name in loaded if name.startswith(LATE) or name.endswith(".dialect")]


def test_every_family_stands_under_its_own_prefix(server: Server) -> None:
    app = create_app(server)
    for prefix, mounted in app.mounts.items():  # type: ignore[attr-defined]
        if isinstance(mounted, Family):
            dialect: Dialect = mounted.load()
            assert dialect.prefix == prefix


@pytest.mark.parametrize("name", ["bank", "weavr", "loginradius"])
def test_a_dialect_that_is_not_served_is_none(make_server: Callable[..., Server], name: str) -> None:
    server = make_server(dialects=("bank",))
    assert (server.dialect(name) is None) == (name != "bank")
