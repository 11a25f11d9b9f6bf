"""More calls than the server can answer: refused at once with 503 and `Retry-After`; what is accepted is answered (issue 9, "Load")."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from threading import Event
from typing import Any

import httpx2
import pytest

from server_stub.app import create_app
from server_stub.recorder import Recorder
from server_stub.server import Server
from server_stub.shedding import ARRIVAL, Arrival, Limits, Load
from tests.support.waiting import PATIENCE_SECONDS

from ..server.conftest import PASSCODE, URL, USER, Bank, Handset, LiveServer

LOGIN = {"username": USER, "passcode": PASSCODE}
KEY = {"X-APIKEY": "demo-api-key"}


async def burst(server: Server, count: int, release: Event) -> list[httpx2.Response]:
    """So many logins at once, whose hashing ends only when all others were answered."""
    transport = httpx2.ASGITransport(create_app(server))
    async with httpx2.AsyncClient(transport=transport, base_url=URL) as client:
        calls = [
            asyncio.create_task(client.post("/bank/v1/oauth2/login", json=LOGIN, headers=KEY)) for _ in range(count)
        ]
        while server.load.working + sum(call.done() for call in calls) < count:
            await asyncio.sleep(0)
        health = await client.get("/_stub/health")
        # The question for its health is a call, too.
        assert health.json()["load"] == {"working": 9, "mostWorking": 9, "streams": 0, "shed": count - 8}
        release.set()
        return await asyncio.gather(*calls)


def test_too_many_calls_at_once_are_refused_in_the_banks_shape_and_the_rest_is_answered(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exactly as many are begun as the limit says; the health route answers meanwhile; afterwards all is well by itself."""
    release = Event()
    genuine = server_passwords().secret_matches
    monkeypatch.setattr(
        server_passwords(), "secret_matches", lambda *given: release.wait(PATIENCE_SECONDS) and genuine(*given)
    )
    server.load = Load(Limits(working=8))
    answers = asyncio.run(burst(server, 30, release))
    assert Counter(answer.status_code for answer in answers) == {200: 8, 503: 22}
    refused = next(answer for answer in answers if answer.status_code == 503)
    assert refused.headers["Retry-After"] == "1"
    assert refused.json() == {
        "code": "503.001.001",
        "message": "Service temporarily unavailable",
        "info": "Please try again later",
    }
    assert server.load.working == 0
    again = asyncio.run(one(server))
    assert again.status_code == 200


def server_passwords() -> Any:
    from server_stub import passwords

    return passwords


async def one(server: Server) -> httpx2.Response:
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(create_app(server)), base_url=URL) as client:
        return await client.post("/bank/v1/oauth2/login", json=LOGIN, headers=KEY)


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/bank/v1/oauth2/login", "503.001.001"),
        ("/weavr/multi/login_with_password", None),
        ("/loginradius/identity/v2/auth/login", None),
        ("/device/v1/step-ups", "unavailable"),
    ],
)
def test_a_call_that_waited_too_long_for_its_turn_is_refused_in_its_dialects_shape(
    make_server: Callable[..., Server], path: str, code: str | None
) -> None:
    """What has waited longer than the limit is not begun: nothing is looked up or counted for it."""
    server = make_server()
    server.load = Load(Limits(wait=1.0), timer=lambda: 101.5)
    status, headers, body = asyncio.run(late_call(server, path, arrived=100.0))
    assert (status, headers[b"retry-after"], server.load.shed) == (503, b"1", 1)
    if code is not None:
        assert code.encode() in body
    assert asyncio.run(late_call(server, path, arrived=100.6))[0] != 503
    assert asyncio.run(late_call(server, "/_stub/health", arrived=0.0, method="GET"))[0] == 200


async def late_call(
    server: Server, path: str, arrived: float, method: str = "POST"
) -> tuple[int, dict[bytes, bytes], bytes]:
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": b"{}", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    method = "GET" if path.endswith("step-ups") else method
    scope = {
        "type": "http", "method": method, "path": path, "raw_path": path.encode(), "query_string": b"",
        "headers": [(b"host", b"localhost")],
        "client": ("127.0.0.1", 1), "scheme": "http", ARRIVAL: Arrival(arrived),
    }  # fmt: skip
    await create_app(server)(scope, receive, send)
    return sent[0]["status"], dict(sent[0]["headers"]), sent[1]["body"]


def test_a_refused_call_counts_as_no_failed_attempt(server: Server) -> None:
    """RTS-4.3.b counts attempts that were evaluated."""
    server.load = Load(Limits(working=0))
    for _ in range(9):
        assert asyncio.run(one(server)).status_code == 503
    server.load = Load()
    assert asyncio.run(one(server)).status_code == 200
    with server.store.reading() as unit:
        (user,) = unit.users()
        assert user.failures == 0


def test_flooded_over_real_sockets_every_answer_is_right_or_503_and_the_server_recovers(
    live: Callable[..., LiveServer], live_phone: Callable[[str], Handset]
) -> None:
    """Ninety clients at once, each login a hash: no other answers than these two, then an honest payment."""
    server = live("--database", "memory")
    statuses, retry = asyncio.run(flood(server.url, clients=90, calls=2))
    assert set(statuses) <= {200, 503}
    assert statuses[200] > 0
    assert retry <= {"1"}
    handset, bank = live_phone(server.url), server.bank()
    bank.login()
    transaction = bank.start()
    assert bank.step_up(transaction, header=handset.header(transaction)).status_code == 200
    load = bank.stub("GET", "/health")["load"]
    assert load["mostWorking"] <= Limits().working + 1
    assert load["shed"] == statuses[503]


async def flood(url: str, clients: int, calls: int) -> tuple[Counter[int], set[str]]:
    limits = httpx2.Limits(max_connections=clients)
    async with httpx2.AsyncClient(base_url=url, limits=limits, timeout=PATIENCE_SECONDS, trust_env=False) as client:
        answers = await asyncio.gather(
            *(client.post("/bank/v1/oauth2/login", json=LOGIN, headers=KEY) for _ in range(clients * calls))
        )
    return Counter(a.status_code for a in answers), {a.headers["Retry-After"] for a in answers if a.status_code == 503}


def test_the_recorder_is_bounded_by_number_and_by_bytes() -> None:
    """DESIGN section 3, `GET requests`: memory stays flat whatever clients send."""
    recorder = Recorder(most_entries=50, most_bytes=200_000)

    def entry(size: int) -> dict[str, Any]:
        return {"id": "x", "path": "/", "query": {}, "headers": {}, "body": b"b" * size, "answer": b""}

    for _ in range(80):
        recorder.append(entry(10))
    assert len(recorder) == 50
    for _ in range(80):
        recorder.append(entry(60_000))
    assert len(recorder) == 3
    assert recorder.bytes <= 200_000
    recorder.clear()
    assert (len(recorder), recorder.bytes) == (0, 0)


def test_every_refusal_is_one_log_line_with_its_request_id_and_no_query(
    bank: Bank, caplog: pytest.LogCaptureFixture
) -> None:
    """Issue 9, observability."""
    with caplog.at_level("INFO", "stepup.server"):
        refused = bank.http.post("/bank/v1/oauth2/login?secret=hunter2", json={}, headers=KEY)
    (line,) = [record.getMessage() for record in caplog.records if record.name == "stepup.server"]
    expected = (
        f"request={refused.headers['X-Request-Id']} dialect=bank method=POST path=/bank/v1/oauth2/login status=400"
    )
    assert line == expected
    with caplog.at_level("DEBUG", "stepup.server"):
        caplog.clear()
        bank.login()
    assert [r.levelname for r in caplog.records if r.name == "stepup.server"] == ["DEBUG"]
