"""A server and a proxy as child processes over real sockets, a phone enrolled at the server, and an upstream that misbehaves on demand."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.support.http import open_http
from tests.support.waiting import PATIENCE_SECONDS

USER = "9de3e326-b5bb-4cdc-bf6d-f6b609fbb765"
PASSCODE = "111234"
KEY = {"X-APIKEY": "demo-api-key"}
ORDER = {
    "amount": "10.00",
    "currency": "GBP",
    "payee": {"name": "ACME Ltd", "sortCode": "112233", "accountNumber": "12345678"},
}


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Nothing of this user's: secret, CA and home are the test's."""
    folder = tmp_path_factory.mktemp("ca")
    return os.environ | {"STEPUP_PHONE_SECRET": "c2VjcmV0" * 6, "STEPUP_CA_DIR": str(folder)}


@contextmanager
def child(environment: dict[str, str], module: str, *arguments: str, log: Path) -> Iterator[str]:
    """The URL of a command that says `Listening on URL`."""
    with log.open("w") as err:
        process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments], env=environment, stdout=subprocess.PIPE, stderr=err, text=True
        )
        assert process.stdout is not None
        try:
            line = process.stdout.readline()
            assert line.startswith("Listening on "), log.read_text()
            yield line.removeprefix("Listening on ").strip()
        finally:
            process.terminate()
            assert process.wait(PATIENCE_SECONDS) is not None
            process.stdout.close()


@dataclass
class World:
    """A server, a phone's home, and proxies on demand."""

    environment: dict[str, str]
    folder: Path
    server: str
    stack: ExitStack
    logs: list[Path] = field(default_factory=list)

    def phone(self, *arguments: str, ok: bool = True) -> Any:
        command = [
            sys.executable,
            "-m",
            "authenticator",
            *arguments,
            "--json",
            "--server",
            self.server,
            "--home",
            self.home,
        ]
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=PATIENCE_SECONDS)
        assert not ok or done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout)

    @property
    def home(self) -> str:
        return str(self.folder / "home")

    def proxy(self, *arguments: str, upstream: str | None = None) -> str:
        self.logs.append(self.folder / f"proxy-{len(self.logs)}.log")
        options = ("--upstream", upstream or self.server, "--port", "0", "--home", self.home, *arguments)
        return self.stack.enter_context(child(self.environment, "authenticator", "proxy", *options, log=self.logs[-1]))

    def said(self) -> str:
        """What the latest proxy wrote to stderr."""
        return self.logs[-1].read_text()

    def verdicts(self, transaction_id: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        while True:
            with open_http(self.server) as http:
                answer = http.get(f"/_stub/transactions/{transaction_id}/verdict?attempt={len(found) + 1}")
            if answer.status_code == 404:
                return found
            found.append(answer.json())


@pytest.fixture(scope="module")
def world(environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("world")
    options = ("serve", "--port", "0", "--database", "memory", "--dialect", "bank")
    with ExitStack() as stack:
        server = stack.enter_context(child(environment, "server_stub", *options, log=folder / "server.log"))
        world = World(environment, folder, server, stack)
        world.phone("enrol", "--passcode", PASSCODE)
        yield world


class Client:
    """An unchanged client of the bank's API: it knows nothing of devices. Two methods, as the bank publishes them."""

    def __init__(self, url: str, **options: Any) -> None:
        self.http = open_http(url, headers=KEY, **options)
        self.tokens: dict[str, str] = {}

    def login(self) -> Client:
        self.tokens = self.send("/v1/oauth2/login", {"username": USER, "passcode": PASSCODE}).json()
        return self

    def send(self, path: str, body: Any, transaction_id: str | None = None, **options: Any) -> httpx2.Response:
        headers = {} if transaction_id is None else {"X-TransactionId": transaction_id}
        if self.tokens:
            headers["Authorization"] = f"Bearer {self.tokens['accessToken']}"
        return self.http.post(path, json=body, headers=headers, **options)

    def ask(self, order: dict[str, Any] = ORDER) -> str:
        refused = self.send("/v1/payments/domestic", order)
        assert refused.status_code == 403, refused.text
        transaction_id: str = refused.json()["transactionId"]
        return transaction_id

    def step_up(self, transaction_id: str, *, biometric: bool = False, **options: Any) -> httpx2.Response:
        body = {"username": USER, "passcode": PASSCODE}
        if biometric:
            body = {"refreshToken": self.tokens["refreshToken"], "authenticationMethod": "BIOMETRIC"}
        answer = self.send("/v1/oauth2/stepup", body, transaction_id, **options)
        if answer.status_code == 200:
            self.tokens = answer.json()
        return answer

    def replay(self, transaction_id: str, order: dict[str, Any] = ORDER) -> httpx2.Response:
        return self.send("/v1/payments/domestic", order, transaction_id)


@pytest.fixture
def client_of() -> Iterator[Callable[..., Client]]:
    """A logged-in client at a URL."""
    made: list[Client] = []

    def make(url: str, **options: Any) -> Client:
        made.append(Client(url, **options).login())
        return made[-1]

    yield make
    for client in made:
        client.http.close()


class Upstream:
    """A server in a thread that answers each connection with the bytes it was told, and keeps what it was sent."""

    def __init__(self) -> None:
        self.script: Callable[[socket.socket], None] = lambda connection: None
        self.received: list[bytes] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with connection:
            connection.settimeout(PATIENCE_SECONDS)
            self.script(connection)

    def close(self) -> None:
        self._listener.close()


def read_request(connection: socket.socket) -> bytes:
    """One request's head and as much body as its Content-Length says."""
    data = b""
    while b"\r\n\r\n" not in data:
        part = connection.recv(65536)
        if not part:
            return data
        data += part
    head, _, body = data.partition(b"\r\n\r\n")
    lengths = [line.split(b":")[1] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    while lengths and len(body) < int(lengths[0]):
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    made = Upstream()
    yield made
    made.close()
