"""The product as its users meet it: a server in a process of its own, the two command lines, plain HTTP. Nothing is looked up inside."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest

from authenticator.cli import main as phone_main
from authenticator.server_process import running_server
from server_stub.cli import main as server_main
from tests.support.http import open_http
from tests.support.waiting import PATIENCE_SECONDS

PROGRAMS: dict[str, Callable[..., int]] = {"authenticator": phone_main, "server_stub": server_main}
USER = "9de3e326-b5bb-4cdc-bf6d-f6b609fbb765"
PASSCODE = "111234"
KEY = {"X-APIKEY": "demo-api-key"}
ORDER = {
    "amount": "10.00",
    "currency": "GBP",
    "payee": {"name": "ACME Ltd", "sortCode": "112233", "accountNumber": "12345678"},
}


@dataclass(frozen=True)
class Ran:
    """What a command did: its exit code, stdout, stderr."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one document on stdout; anything beside it is an error here."""
        return json.loads(self.out)


@pytest.fixture(scope="session")
def url() -> Iterator[str]:
    with running_server("--port", "0", "--database", "memory") as found:
        yield found


@pytest.fixture
def http(url: str) -> Iterator[httpx2.Client]:
    """The server as fresh, on the system's time."""
    with open_http(url) as client:
        assert client.post("/_stub/reset").is_success
        assert client.put("/_stub/clock", json={"frozen": False}).is_success
        yield client
        client.put("/_stub/clock", json={"frozen": False})


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Ran]:
    """A program of the package, in a home of its own: `command("authenticator", "keys")`; where a test says so, in a process of its own."""
    for name in [name for name in os.environ if name.startswith("STEPUP_")]:
        monkeypatch.delenv(name)
    for name in ("HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(tmp_path))

    def run(program: str, *arguments: str, stdin: str = "", apart: bool = False) -> Ran:
        if apart:
            whole = [sys.executable, "-m", program, *arguments]
            ended = subprocess.run(
                whole, input=stdin, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False
            )
            assert "Traceback" not in ended.stderr, ended.stderr
            return Ran(ended.returncode, ended.stdout, ended.stderr)
        out, err = io.StringIO(), io.StringIO()
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        with redirect_stdout(out), redirect_stderr(err):
            code = PROGRAMS[program](arguments)
        return Ran(code, out.getvalue(), err.getvalue())

    return run


@pytest.fixture
def phone(command: Callable[..., Ran], url: str, http: httpx2.Client) -> Callable[..., Ran]:
    """`stepup-phone` at the fresh server."""
    return lambda *arguments, **more: command("authenticator", *arguments, "--server", url, **more)


@dataclass
class Customer:
    """A client of the bank, written from the vendor's page alone; it knows nothing of devices."""

    http: httpx2.Client
    tokens: dict[str, Any]

    @property
    def headers(self) -> dict[str, str]:
        return {**KEY, "Authorization": f"Bearer {self.tokens['accessToken']}"}

    def pay(self, transaction_id: str | None = None) -> httpx2.Response:
        headers = self.headers | ({"X-TransactionId": transaction_id} if transaction_id else {})
        return self.http.post("/bank/v1/payments/domestic", json=ORDER, headers=headers)

    def start(self) -> str:
        """The transaction id of a payment that was refused with 403."""
        answer = self.pay()
        assert answer.status_code == 403
        found: str = answer.json()["transactionId"]
        return found

    def step_up(self, transaction_id: str, body: dict[str, Any] | None = None) -> httpx2.Response:
        body = body or {"username": USER, "passcode": PASSCODE}
        headers = self.headers | {"X-TransactionId": transaction_id}
        return self.http.post("/bank/v1/oauth2/stepup", json=body, headers=headers)

    def send(self, printed: dict[str, Any]) -> httpx2.Response:
        """The call that `approve --sign-only` printed, with this client's own bearer."""
        headers = self.headers | printed["headers"]
        return self.http.request(printed["method"], printed["path"], json=printed["body"], headers=headers)


@pytest.fixture
def customer(http: httpx2.Client) -> Callable[[], Customer]:
    """A login."""

    def login() -> Customer:
        answer = http.post("/bank/v1/oauth2/login", json={"username": USER, "passcode": PASSCODE}, headers=KEY)
        assert answer.status_code == 200
        return Customer(http, answer.json())

    return login
