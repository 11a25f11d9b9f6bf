"""A server in process, over ASGI, with a memory database; a client written from the seed document; and an enrolled phone."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest

from authenticator.ceremonies import HONEST, Edits
from authenticator.enrolling import Applicant
from server_stub.server import Server
from tests.support.http import open_http
from tests.support.server import URL, Handset, Operator, client_of, enrolled, phones, servers
from tests.support.waiting import PATIENCE_SECONDS

USER = "9de3e326-b5bb-4cdc-bf6d-f6b609fbb765"
PASSCODE = "111234"
NUMBER = "+447700900123"
ORDER = {
    "amount": "10.00",
    "currency": "GBP",
    "payee": {"name": "ACME Ltd", "sortCode": "112233", "accountNumber": "12345678"},
}


@pytest.fixture
def make_server() -> Iterator[Callable[..., Server]]:
    """Servers with settings of one's own."""
    with servers() as make:
        yield make


@pytest.fixture
def server(make_server: Callable[..., Server]) -> Server:
    """The bank, strict policy, the demo user."""
    return make_server(dialects=("bank",))


@dataclass
class Bank(Operator):
    """A client that knows the seed document and nothing of devices; and what the operator sees."""

    key: str = "demo-api-key"
    access: str = ""
    refresh: str = ""
    user: str = USER
    order: dict[str, Any] = field(default_factory=lambda: dict(ORDER))

    def call(self, path: str, body: Any, *, bearer: bool = True, **headers: str) -> httpx2.Response:
        sent = {"X-APIKEY": self.key} | ({"Authorization": f"Bearer {self.access}"} if bearer else {})
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        content = body if isinstance(body, bytes) else None
        return self.http.post(
            f"/bank{path}", json=None if content is not None else body, content=content, headers=sent | names
        )

    def keep(self, answer: httpx2.Response) -> httpx2.Response:
        if answer.status_code == 200:
            self.access, self.refresh = answer.json()["accessToken"], answer.json()["refreshToken"]
        return answer

    def login(self, passcode: str = PASSCODE) -> httpx2.Response:
        return self.keep(self.call("/v1/oauth2/login", {"username": self.user, "passcode": passcode}, bearer=False))

    def pay(self, transaction: str | None = None, order: Any = None, **headers: str) -> httpx2.Response:
        extra = {"X_TransactionId": transaction} if transaction else {}
        return self.call("/v1/payments/domestic", self.order if order is None else order, **extra, **headers)

    def start(self, order: Any = None) -> str:
        answer = self.pay(order=order)
        assert answer.status_code == 403, answer.text
        transaction: str = answer.json()["transactionId"]
        return transaction

    def step_up(self, transaction: str, body: Any = None, header: str | None = None) -> httpx2.Response:
        body = {"username": self.user, "passcode": PASSCODE} if body is None else body
        extra = {"X_Device_Assertion": header} if header is not None else {}
        return self.keep(self.call("/v1/oauth2/stepup", body, X_TransactionId=transaction, **extra))

    def biometric(self) -> dict[str, str]:
        return {"refreshToken": self.refresh, "authenticationMethod": "BIOMETRIC"}

    def balance(self) -> str:
        (user,) = [user for user in self.stub("GET", "/users") if user["id"] == self.user]
        balance: str = user["balances"]["GBP"]
        return balance


@pytest.fixture
def bank(server: Server) -> Bank:
    """A client of the in-process server, whose clock stands still at noon."""
    made = Bank(client_of(server))
    made.stand_still()
    return made


@pytest.fixture
def make_phone(bank: Bank, tmp_path: Path) -> Iterator[Callable[..., Handset]]:
    """Phones enrolled at the bank of this test."""
    with phones(tmp_path) as new:

        def make(
            profile: str = "pixel-9",
            user: str = USER,
            secret: str = PASSCODE,
            number: str = NUMBER,
            edits: Edits = HONEST,
        ) -> Handset:
            applicant = Applicant(URL, "bank", user, secret, profile, number, "demo-api-key")
            return enrolled(new(bank.http), applicant, edits)

        yield make


@pytest.fixture
def handset(make_phone: Callable[..., Handset], bank: Bank) -> Handset:
    """A pixel-9 enrolled for the demo user; the bank's client is logged in."""
    made = make_phone()
    bank.login()
    return made


class LiveServer:
    """A server process on a free port; `kill` is SIGKILL, `start` brings it back on the same database."""

    def __init__(self, *options: str) -> None:
        self.options = options
        self.url = ""
        self.process: subprocess.Popen[str] | None = None
        self.clients: list[httpx2.Client] = []

    def start(self) -> LiveServer:
        command = [sys.executable, "-m", "server_stub", "serve", "--port", "0", *self.options]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line.startswith("Listening on "), line
        self.url = line.removeprefix("Listening on ").strip()
        return self

    def kill(self) -> None:
        self._end("kill")

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        self._end("terminate")
        assert self.process is not None
        return self.process.returncode

    def _end(self, how: str) -> None:
        assert self.process is not None
        if self.process.poll() is None:
            getattr(self.process, how)()
        self.process.wait(PATIENCE_SECONDS)
        if self.process.stdout is not None:
            self.process.stdout.close()

    def bank(self) -> Bank:
        self.clients.append(open_http(self.url))
        return Bank(self.clients[-1])

    def hang_up(self) -> None:
        """Its clients' connections are closed."""
        while self.clients:
            self.clients.pop().close()

    def close(self) -> None:
        """End the process and its clients' connections."""
        self.hang_up()
        self.kill()


@pytest.fixture
def live() -> Iterator[Callable[..., LiveServer]]:
    """Server processes, ended after the test."""
    made: list[LiveServer] = []

    def make(*options: str) -> LiveServer:
        server = LiveServer(*options).start()
        made.append(server)
        return server

    yield make
    for server in made:
        server.close()


@pytest.fixture
def live_phone(tmp_path: Path) -> Iterator[Callable[[str], Handset]]:
    """A phone enrolled over a real socket."""
    with phones(tmp_path / "live") as new:
        yield lambda url: enrolled(new(), Applicant(url, "bank", USER, PASSCODE, "pixel-9", NUMBER, "demo-api-key"))
