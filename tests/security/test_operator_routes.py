"""Who may use `/_stub`, the inbox and the control API: programs on this machine, never a web page that its developer has open."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from authenticator.control import create_app as create_control
from authenticator.control import open_control
from server_stub.app import create_app
from server_stub.server import Server

from ..in_process import InProcessClient

FOREIGN = [
    {"host": "evil.example"},
    {"host": "evil.example:8080"},
    {"host": "127.0.0.1.evil.example"},
    {"host": "localhost.evil.example"},
    {"host": "user@evil.example"},
    {"host": "[::1"},
    {"host": ""},
    {"origin": "https://evil.example"},
    {"origin": "http://127.0.0.1.evil.example"},
    {"origin": "null"},
    {"origin": "http://[::1"},
    {"origin": ""},
    {"sec-fetch-site": "cross-site"},
]
OWN = [
    {},
    {"host": "localhost:8080"},
    {"host": "[::1]:8080"},
    {"origin": "http://localhost:3000", "sec-fetch-site": "same-site"},
]
ROUTES = [
    ("GET", "/_stub/users"),
    ("POST", "/_stub/reset"),
    ("PUT", "/_stub/clock"),
    ("GET", "/device/v1/inbox?to=x"),
    ("GET", "/_stub/requests"),
]


def named(headers: dict[str, str]) -> str:
    return ", ".join(f"{name}={value}" for name, value in headers.items()) or "plain"


@pytest.fixture
def client(server: Server) -> TestClient:
    return InProcessClient(create_app(server), base_url="http://127.0.0.1:8080")


@pytest.mark.parametrize(("method", "path"), ROUTES)
@pytest.mark.parametrize("headers", FOREIGN, ids=named)
def test_a_rebound_name_or_a_foreign_origin_may_not(
    client: TestClient, method: str, path: str, headers: dict[str, str]
) -> None:
    """DNS rebinding (Host), CSRF (Origin, Fetch Metadata): 403 in the route's own shape, and nothing done."""
    answer = client.request(method, path, headers=headers, json={} if method != "GET" else None)
    assert answer.status_code == 403, answer.text
    assert set(answer.json()) == {"error"}
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize("headers", OWN, ids=named)
def test_programs_and_pages_of_this_machine_may(client: TestClient, headers: dict[str, str]) -> None:
    assert client.get("/_stub/users", headers=headers).status_code == 200


def test_no_route_answers_a_preflight_so_that_no_page_can_send_json_or_headers(client: TestClient) -> None:
    asked = {"origin": "https://evil.example", "access-control-request-method": "POST"}
    for path in ("/_stub/reset", "/bank/v1/oauth2/login", "/device/v1/enrolments"):
        answer = client.options(path, headers=asked)
        assert answer.status_code in (403, 404, 405)
        assert not [name for name in answer.headers if name.startswith("access-control-")]


@pytest.mark.parametrize("given", [None, "Bearer wrong", "Bearer ", "Basic dG9rZW4=", "Bearer tokenn", "Bearer é"])
def test_with_a_token_only_its_bearer_may_whatever_the_host(
    make_server: Callable[..., Server], given: str | None
) -> None:
    client = InProcessClient(create_app(make_server(token="token", loopback=False)), base_url="http://10.0.0.7:8080")
    headers = {} if given is None else {"authorization": given.encode("latin-1")}
    assert client.get("/_stub/users", headers=headers).status_code == 401
    assert client.get("/_stub/users", headers={"authorization": "Bearer token"}).status_code == 200


def test_without_a_token_no_header_makes_another_machine_local(client: TestClient) -> None:
    """Forwarding headers are not believed: the Host header alone decides."""
    forwarded = {
        "host": "evil.example",
        "x-forwarded-host": "localhost",
        "x-forwarded-for": "127.0.0.1",
        "forwarded": "host=localhost",
    }
    assert client.get("/_stub/users", headers=forwarded).status_code == 403


@pytest.mark.parametrize("headers", FOREIGN, ids=named)
def test_the_control_api_refuses_the_same(tmp_path: Path, headers: dict[str, str]) -> None:
    app = create_control(open_control("http://127.0.0.1:9", tmp_path))
    with TestClient(app, base_url="http://127.0.0.1:7070") as client:
        answer = client.post("/webauthn/authenticator", json={}, headers=headers)
    assert answer.status_code == 403, answer.text


@pytest.mark.parametrize(
    "body",
    [
        b'{"a":1,"a":2}',
        b'{"seconds":1,"seconds":2}',
        b"[" * 40 + b"]" * 40,
        b'{"a":' * 5000,
        b"{" * 60_000,
        b'{"seconds":NaN}',
        b"\xff\xfe{}",
        b"",
        b"null",
    ],
)
def test_duplicate_keys_deep_nesting_and_bytes_that_are_no_json_are_400(client: TestClient, body: bytes) -> None:
    """Traps 5: limits on JSON depth, duplicate members."""
    key = {"x-apikey": "demo-api-key"}
    assert client.post("/_stub/clock/advance", content=body).status_code == 400
    assert client.post("/bank/v1/oauth2/login", content=body, headers=key).json()["code"] == "400.000.51"


def test_a_body_over_64_kib_is_413(client: TestClient) -> None:
    body = b'{"username":"' + b"x" * 70_000 + b'"}'
    assert (
        client.post("/bank/v1/oauth2/login", content=body, headers={"x-apikey": "demo-api-key"}).json()["code"]
        == "413.000.51"
    )
    assert client.put("/_stub/users", content=body).status_code == 413
    assert client.post("/device/v1/enrolments/x", content=body).status_code == 413
