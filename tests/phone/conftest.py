"""A phone in a temporary home, and a bank that is no part of the product: written here from the contract, to misbehave on demand."""

from __future__ import annotations

import io
import json
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path
from typing import Any, ClassVar

import httpx2
import pytest

from authenticator.apps.bank import BankApp, domestic_payment
from authenticator.cli import main
from authenticator.enrolling import Applicant, enrol
from authenticator.phone import Phone
from authenticator.state import Enrolment
from device_keys.encoding import b64url_decode, b64url_encode
from device_keys.messages import Kind, payload_digest, step_up_challenge

URL = "http://127.0.0.1:9"
USER = "9de3e326-b5bb-4cdc-bf6d-f6b609fbb765"
PASSCODE = "111234"
NUMBER = "+447700900123"
NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


@dataclass
class FakeBank:
    """The bank's side as far as a phone sees it. It judges nothing but passcode and code; it keeps what it was sent."""

    url: ClassVar[str] = URL
    user: ClassVar[str] = USER
    passcode: ClassVar[str] = PASSCODE
    number: ClassVar[str] = NUMBER
    now: datetime = NOW
    prefix: str = "/bank"
    requests: list[tuple[str, str, dict[str, str], Any]] = field(default_factory=list)
    inbox: list[dict[str, Any]] = field(default_factory=list)
    enrolments: list[dict[str, Any]] = field(default_factory=list)
    delivered: list[dict[str, Any]] = field(default_factory=list)
    pending: dict[str, dict[str, Any]] = field(default_factory=dict)
    kind: Kind = Kind.PAYMENT
    sms_arrives: bool = True
    refresh_works: bool = True
    access_works: bool = True
    device_known: bool = True
    alter_step_up: Callable[[dict[str, Any]], dict[str, Any]] = lambda answer: answer
    raw: bytes | None = None
    tokens: int = 0
    nonces: int = 0

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        body = json.loads(request.content) if request.content else None
        self.requests.append((request.method, request.url.path, dict(request.headers), body))
        status, answer = self.route(request, body)
        content = self.raw if self.raw is not None else b"" if answer is None else json.dumps(answer).encode()
        return httpx2.Response(status, content=content, headers={"Date": format_datetime(self.now, usegmt=True)})

    def route(self, request: httpx2.Request, body: Any) -> tuple[int, Any]:
        path = request.url.path
        if path == "/openapi.json":
            return 200, {"paths": {f"{self.prefix}/v1/oauth2/login": {}, "/weavr/multi/login_with_password": {}}}
        if path.startswith("/device/v1"):
            return self.device(request, path.removeprefix("/device/v1"), body)
        if path.startswith("/_stub/"):
            return 200, {}
        if path == "/weavr/multi/login_with_password":
            return (200, {"token": "weavr-token"}) if body["password"]["value"] == "Passw0rd!" else (403, None)
        return self.bank(request, path.removeprefix(f"{self.prefix}/v1"), body)

    def device(self, request: httpx2.Request, path: str, body: Any) -> tuple[int, Any]:
        if path == "/inbox":
            return 200, [m for m in self.inbox if m["to"] == request.url.params["to"]]
        if path == "/enrolments":
            if self.sms_arrives:
                self.send_sms("Your code is 424242", "424242")
            return 200, {"enrolmentId": "e1", "publicKey": self.creation_options()}
        if path == "/enrolments/e1":
            if body["activationCode"] != "424242":
                return 403, {"error": {"code": "activation_code", "message": "activationCode: expected another"}}
            self.enrolments.append(body)
            return 200, {"deviceId": "device-1", "deviceToken": "device-token"}
        if not self.device_known or request.headers.get("authorization") != "Bearer device-token":
            return 401, {"error": {"code": "unknown_device", "message": "unknown"}}
        if path == "/step-ups":
            return 200, [self.describe(name) for name in self.pending]
        name = path.removeprefix("/step-ups/")
        if name not in self.pending:
            return 404, {"error": {"code": "unknown_step_up", "message": "no such step-up"}}
        if request.method == "POST":
            self.delivered.append(body)
            return 204, None
        return 200, self.alter_step_up(self.describe(name, with_nonce=True))

    def creation_options(self) -> dict[str, Any]:
        return {
            "challenge": b64url_encode(b"C" * 32),
            "rp": {"id": "stepup-simulator.test", "name": "Bank"},
            "user": {"id": b64url_encode(b"user"), "name": USER, "displayName": USER},
            "pubKeyCredParams": [{"type": "public-key", "alg": -7}],
        }

    def send_sms(self, text: str, code: str | None = None, to: str = NUMBER) -> None:
        message = {"id": len(self.inbox) + 1, "channel": "sms", "from": "Bank", "to": to, "text": text}
        self.inbox.append(message | {"sentAt": "2026-03-01T12:00:00.000000Z"} | ({"code": code} if code else {}))

    def describe(self, name: str, *, with_nonce: bool = False) -> dict[str, Any]:
        payload = self.pending[name]
        answer: dict[str, Any] = {
            "transactionId": name,
            "dialect": "bank",
            "kind": str(self.kind),
            "payload": payload,
            "expiresAt": "2026-03-01T12:04:00.000000Z",
            "methods": ["PASSCODE", "BIOMETRIC"],
            "request": {"method": "POST", "path": f"{self.prefix}/v1/oauth2/stepup"},
        }
        if with_nonce:
            self.nonces += 1
            nonce = bytes([self.nonces]) * 32
            challenge = step_up_challenge(self.kind, nonce, name, payload_digest(payload))
            options = {"challenge": b64url_encode(challenge), "rpId": "stepup-simulator.test", "allowCredentials": []}
            answer |= {"nonce": b64url_encode(nonce), "publicKey": options}
        return answer

    def bank(self, request: httpx2.Request, path: str, body: Any) -> tuple[int, Any]:
        if path == "/oauth2/login":
            good = (body["username"], body["passcode"]) == (USER, PASSCODE)
            return (200, self.pair()) if good else (403, {"code": "403.000.52", "message": "Authentication failed"})
        if path == "/oauth2/refresh":
            return (200, self.pair()) if self.refresh_works else (401, {"code": "401.000.22", "message": "again"})
        if not self.access_works:
            self.access_works = True
            return 401, {"code": "401.000.22", "message": "Verify access token again"}
        if path == "/oauth2/stepup":
            return 200, self.pair()
        assert path == "/payments/domestic"
        if "x-transactionid" in request.headers:
            self.pending.pop(request.headers["x-transactionid"], None)
            return 201, {"paymentId": "p1", "status": "ACCEPTED"}
        name = str(uuid.uuid5(uuid.NAMESPACE_URL, str(len(self.requests))))
        self.pending[name] = body
        return 403, {"code": "403.000.51", "message": "Step-up required", "transactionId": name}

    def pair(self) -> dict[str, str]:
        self.tokens += 1
        return {"accessToken": f"access-{self.tokens}", "refreshToken": f"refresh-{self.tokens}"}

    def last(self, path_end: str) -> tuple[str, str, dict[str, str], Any]:
        return next(request for request in reversed(self.requests) if request[1].endswith(path_end))

    def evidence(self) -> dict[str, Any]:
        """The assertion in the header of the last step-up."""
        record: dict[str, Any] = json.loads(b64url_decode(self.last("/oauth2/stepup")[2]["x-device-assertion"]))
        return record

    def registrations(self) -> dict[str, dict[str, Any]]:
        """By factor, as last enrolled."""
        return {one["factor"]: one["registration"] for one in self.enrolments[-1]["credentials"]}


@pytest.fixture
def bank() -> FakeBank:
    return FakeBank()


@pytest.fixture
def make_phone(bank: FakeBank, tmp_path: Path) -> Iterator[Callable[..., Phone]]:
    made: list[Phone] = []

    def make(name: str = "home", **options: Any) -> Phone:
        options.setdefault("secret", b"s" * 32)
        options.setdefault("http_factory", lambda url: httpx2.Client(transport=httpx2.MockTransport(bank)))
        made.append(Phone(tmp_path / name, **options))
        return made[-1]

    yield make
    for phone in made:
        phone.close()


@pytest.fixture
def phone(make_phone: Callable[..., Phone]) -> Phone:
    return make_phone()


@pytest.fixture
def applicant() -> Callable[..., Applicant]:
    """The demo user with a Pixel 9, changed as asked."""

    def make(**changes: Any) -> Applicant:
        values: dict[str, Any] = {
            "server": URL,
            "dialect": "bank",
            "user": USER,
            "secret": PASSCODE,
            "profile": "pixel-9",
            "number": NUMBER,
            "api_key": "demo-api-key",
        }
        return Applicant(**values | changes)

    return make


@pytest.fixture
def enrolled(phone: Phone, applicant: Callable[..., Applicant]) -> Enrolment:
    return enrol(phone, applicant())


@pytest.fixture
def app(phone: Phone, enrolled: Enrolment) -> BankApp:
    return BankApp(phone, enrolled)


@pytest.fixture
def order() -> dict[str, Any]:
    return domestic_payment("10.00", "GBP", "ACME Ltd", "112233", "12345678")


@dataclass(frozen=True)
class Ran:
    """What a command did."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@pytest.fixture
def stepup_phone(bank: FakeBank, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Ran]:
    """`stepup-phone` in process, its home temporary and its server the fake bank."""
    monkeypatch.setenv("STEPUP_PHONE_SECRET", b64url_encode(b"s" * 32))
    for variable in ("STEPUP_PASSCODE", "STEPUP_PASSWORD"):
        monkeypatch.delenv(variable, raising=False)
    fake = httpx2.MockTransport(bank)
    monkeypatch.setattr("authenticator.client.open_http", lambda url: httpx2.Client(transport=fake))

    def run(*arguments: str) -> Ran:
        out, err = io.StringIO(), io.StringIO()
        options = ("--server", URL, "--home", str(tmp_path / "cli"))
        code = main([*arguments, *options], stdout=out, stderr=err)
        return Ran(code, out.getvalue(), err.getvalue())

    return run
