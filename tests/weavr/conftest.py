"""A server in process with Weavr alone, its clock standing at noon; clients of both APIs; an enrolled phone; an embedder's receiver."""

from __future__ import annotations

import asyncio
import copy
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import httpx2
import pytest
from jsonschema_rs import Draft202012Validator

from authenticator.enrolling import Applicant
from server_stub.server import Server
from server_stub.webhooks import deliver_due
from tests.support.server import URL, Handset, Operator, client_of, enrolled, phones, servers

EMAIL = "alice@example.com"
PASSWORD = "Passw0rd!"
ALICE = "110000000000000001"
ACCOUNT = "130000000000000001"
NUMBER = "+447700900123"
HOOK = "http://embedder.test/hooks"
BASES = {"multi": "/weavr/multi", "payment-run": "/weavr/payment-run/v1"}
ISSUE = "/stepup/challenges/otp/SMS"
VERIFY = f"{ISSUE}/verify"
ENROL = "/authentication_factors/otp/SMS"
TRANSFER = {
    "sourceInstrument": {"type": "managed_accounts", "id": ACCOUNT},
    "transferAmount": {"currency": "GBP", "amount": 1050},
    "destinationBeneficiary": {
        "name": "ACME Ltd",
        "bankAccountDetails": {"sortCode": "112233", "accountNumber": "12345678"},
    },
}
RUN = {
    "payments": [
        {
            "paymentRef": "1",
            "paymentAmount": {"currency": "GBP", "amount": 2500},
            "supplier": {"name": "ACME Ltd", "bankAccountDetails": {"iban": "GB33BUKB20201555555555"}},
        }
    ]
}


class Document:
    """The server's OpenAPI document, as a judge of answers: status, body and headers, by a JSON Schema validator that is not ours."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.paths = {
            re.compile(re.sub(r"{\w+}", "[^/]+", path) + r"\Z"): operations
            for path, operations in document["paths"].items()
        }
        self.components = document["components"]

    def check(self, method: str, path: str, answer: httpx2.Response) -> None:
        """Assert that this answer is one that the document tells of; paths and methods that it does not know are 404 and 405."""
        found = [operations for pattern, operations in self.paths.items() if pattern.match(path)]
        if not any(method.lower() in operations for operations in found):
            assert answer.status_code == (405 if found else 404)
            return
        operation = next(operations[method.lower()] for operations in found if method.lower() in operations)
        documented = operation["responses"].get(str(answer.status_code))
        assert documented is not None, f"{method} {path}: {answer.status_code} is not documented"
        assert set(documented.get("headers", {})) <= set(answer.headers), f"{method} {path}: {documented['headers']}"
        if "content" not in documented:
            assert answer.content == b"", f"{method} {path}: {answer.content!r}"
            return
        schema = documented["content"]["application/json"]["schema"]
        Draft202012Validator({**schema, "components": self.components}).validate(answer.json())


@dataclass
class World(Operator):
    """The server with what its operator sees."""

    server: Server

    @cached_property
    def document(self) -> Document:
        """What every answer in these tests is held against."""
        return Document(self.http.get("/openapi.json").json())

    def put_user(self, **changes: Any) -> dict[str, Any]:
        return dict(self.stub("PUT", "/users", {"dialect": "weavr", "id": ALICE, **changes})[0])

    def code(self) -> str:
        return str(self.messages("sms")[-1]["code"])

    def client(self, surface: str = "multi", key: str = "demo-api-key") -> Api:
        return Api(self, surface, key)


@dataclass
class Api:
    """A client of one of the two APIs, written from the published pages."""

    world: World
    surface: str = "multi"
    key: str = "demo-api-key"
    token: str = ""

    def send(
        self, method: str, path: str, body: Any = None, *, base: str | None = None, **headers: str
    ) -> httpx2.Response:
        sent = {"api-key": self.key} | ({"Authorization": f"Bearer {self.token}"} if self.token else {})
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        content = body if isinstance(body, bytes) else None
        path = (BASES[self.surface] if base is None else base) + path
        return self.world.http.request(
            method, path, json=None if content is not None else body, content=content, headers=sent
        )

    def post(self, path: str, body: Any = None, **more: Any) -> httpx2.Response:
        return self.send("POST", path, body, **more)

    def login(self, password: str = PASSWORD, email: str = EMAIL, **headers: str) -> httpx2.Response:
        self.token = ""
        answer = self.post("/login_with_password", {"email": email, "password": {"value": password}}, **headers)
        if answer.status_code == 200:
            self.token = answer.json()["token"]
        return answer

    def issue(self, **headers: str) -> httpx2.Response:
        return self.post(ISSUE, **headers)

    def verify(self, code: str | None = None, **headers: str) -> httpx2.Response:
        return self.post(VERIFY, {"verificationCode": self.world.code() if code is None else code}, **headers)

    def wrong(self) -> str:
        """A code that is not the newest."""
        return f"{(int(self.world.code()) + 1) % 10**6:06d}"

    def step_up(self) -> None:
        assert self.issue().status_code == 204
        assert self.verify().status_code == 204

    def protected(self) -> httpx2.Response:
        """A call that needs a stepped-up token."""
        if self.surface == "multi":
            return self.send("GET", "/managed_accounts")
        return self.send("PATCH", "/buyers", {"tag": "x"})

    @property
    def stepped_up(self) -> bool:
        answer = self.protected()
        assert (answer.status_code, answer.content) in (
            (200, answer.content),
            (403, b'{"errorCode":"STEP_UP_REQUIRED"}'),
        ), answer.text
        return bool(answer.status_code == 200)

    def transfer(self, amount: int = 1050) -> str:
        body = {**TRANSFER, "transferAmount": {"currency": "GBP", "amount": amount}}
        answer = self.post("/outgoing_wire_transfers", body)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["id"])


def error_code(answer: httpx2.Response) -> tuple[int, str | None]:
    """Status and `errorCode` of an answer."""
    return answer.status_code, answer.json().get("errorCode") if answer.content else None


@pytest.fixture
def run() -> dict[str, Any]:
    """A payment run to one supplier."""
    return copy.deepcopy(RUN)


@pytest.fixture
def transfer_body() -> dict[str, Any]:
    """An outgoing wire transfer."""
    return copy.deepcopy(TRANSFER)


@pytest.fixture
def make_world() -> Iterator[Callable[..., World]]:
    """Servers with settings of one's own."""
    with servers() as new:

        def make(**settings: Any) -> World:
            server = new(dialects=("weavr",), **settings)
            world = World(client_of(server), server)
            world.stand_still()
            return world

        yield make


@pytest.fixture
def world(make_world: Callable[..., World]) -> World:
    """Random codes, webhooks for an embedder that nobody reaches until a test does."""
    return make_world(webhook=HOOK)


@pytest.fixture(params=["multi", "payment-run"])
def api(world: World, request: pytest.FixtureRequest) -> Api:
    """A client logged in at either API: what both have is tested at both."""
    client = world.client(request.param)
    assert client.login().status_code == 200
    return client


@pytest.fixture
def multi(world: World) -> Api:
    """A client logged in at Multi."""
    client = world.client()
    assert client.login().status_code == 200
    return client


@pytest.fixture
def payment_run(world: World) -> Api:
    """A client logged in at Payment Run."""
    client = world.client("payment-run")
    assert client.login().status_code == 200
    return client


@pytest.fixture
def handset(world: World, tmp_path: Path) -> Iterator[Handset]:
    """A pixel-9, enrolled with Alice's password and the code of its own SMS inbox."""
    with phones(tmp_path) as new:
        yield enrolled(new(world.http), Applicant(URL, "weavr", EMAIL, PASSWORD, "pixel-9", NUMBER, "demo-api-key"))


@dataclass
class Embedder:
    """A receiver of webhooks that can be down (`up` False), or refuse with a status."""

    server: Server
    up: bool = True
    status: int = 204
    received: list[httpx2.Request] = field(default_factory=list)
    seconds: float = 0.0

    def _answer(self, request: httpx2.Request) -> httpx2.Response:
        if not self.up:
            raise httpx2.ConnectError("connection refused", request=request)
        self.received.append(request)
        return httpx2.Response(self.status)

    def round(self) -> int:
        """One round of delivery."""
        from datetime import UTC, datetime, timedelta

        now = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=self.seconds)

        async def deliver() -> int:
            async with httpx2.AsyncClient(transport=httpx2.MockTransport(self._answer)) as client:
                return await deliver_due(self.server, client, clock=lambda: now)

        return asyncio.run(deliver())

    def bodies(self, path: str = "") -> list[dict[str, Any]]:
        """What arrived at this path, after a round."""
        import json

        self.round()
        return [json.loads(r.content) for r in self.received if r.url.path.endswith(path)]


@pytest.fixture
def embedder(world: World) -> Embedder:
    """The embedder's receiver."""
    return Embedder(world.server)
