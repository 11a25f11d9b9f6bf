"""The control API in process, over a real server in process: no sockets."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from authenticator.control import create_app, open_control
from server_stub.testing import InProcessServer, new_server

USER, PASSCODE = "9de3e326-b5bb-4cdc-bf6d-f6b609fbb765", "111234"
ROOT = "/webauthn/authenticator"


@pytest.fixture(scope="module")
def bank() -> Iterator[InProcessServer]:
    server = InProcessServer(new_server()).start()
    yield server
    server.stop()


@pytest.fixture
def control(bank: InProcessServer, tmp_path: Path) -> Iterator[TestClient]:
    """A client of the control API; a fresh server behind it."""
    bank.reset()
    bank.release_clock()
    app = create_app(open_control(bank.url, tmp_path / "phones", http_factory=bank.open_http))
    with TestClient(app, base_url="http://127.0.0.1:7070") as client:
        yield client


@pytest.fixture
def value_of(control: TestClient) -> Callable[..., Any]:
    """The `value` of a command that must succeed."""

    def ask(method: str, path: str, body: Any = None) -> Any:
        answer = control.request(method, path, json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()["value"]

    return ask


@pytest.fixture
def error_of(control: TestClient) -> Callable[..., Any]:
    """Status and `value` of a command that must fail."""

    def ask(method: str, path: str, body: Any = None, **options: Any) -> tuple[int, Any]:
        answer = control.request(method, path, json=body, **options)
        assert answer.status_code >= 400, answer.text
        return answer.status_code, answer.json()["value"]

    return ask


@pytest.fixture
def phone(value_of: Callable[..., Any]) -> str:
    """The path of an enrolled phone."""
    path = f"{ROOT}/{value_of('POST', ROOT, {})}"
    value_of("POST", f"{path}/enrol", {})
    return path


class Client:
    """An unchanged client of the bank."""

    def __init__(self, server: InProcessServer) -> None:
        self.http = server.http
        self.tokens = self.send("/oauth2/login", {"username": USER, "passcode": PASSCODE}).json()

    def send(self, path: str, body: Any, transaction_id: str = "") -> Any:
        headers = {"X-APIKEY": "demo-api-key"}
        if hasattr(self, "tokens"):
            headers["Authorization"] = f"Bearer {self.tokens['accessToken']}"
        if transaction_id:
            headers["X-TransactionId"] = transaction_id
        return self.http.post(f"/bank/v1{path}", json=body, headers=headers)

    def ask(self, amount: str = "10.00") -> str:
        order = {"amount": amount, "currency": "GBP", "payee": {"name": "ACME Ltd", "accountNumber": "12345678"}}
        transaction_id: str = self.send("/payments/domestic", order).json()["transactionId"]
        return transaction_id

    def step_up(self, transaction_id: str, method: str = "PASSCODE") -> int:
        body = {"username": USER, "passcode": PASSCODE}
        if method == "BIOMETRIC":
            body = {"refreshToken": self.tokens["refreshToken"], "authenticationMethod": "BIOMETRIC"}
        answer = self.send("/oauth2/stepup", body, transaction_id)
        if answer.status_code == 200:
            self.tokens = answer.json()
        return int(answer.status_code)


@pytest.fixture
def client(bank: InProcessServer, control: TestClient) -> Client:
    return Client(bank)
