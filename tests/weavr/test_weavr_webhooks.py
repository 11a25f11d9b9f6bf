"""Webhooks (weavr.md section 8): signed as published, delivered in order, and again until the receiver takes them."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

KEY = b"demo-api-key"


def mac(message: bytes) -> str:
    """What a receiver computes with its key."""
    return base64.b64encode(hmac.new(KEY, message, hashlib.sha256).digest()).decode()


def test_a_receiver_verifies_both_signatures_with_its_key(multi: Any, embedder: Any) -> None:
    """Section 8: over the timestamp; over call-ref, payload and timestamp as they arrived."""
    multi.issue()
    multi.verify(call_ref="my-ref")
    multi.login("wrong")
    embedder.round()
    assert [r.url.path for r in embedder.received] == [
        "/hooks/login/watch",
        "/hooks/stepup/watch",
        "/hooks/login/watch",
    ]
    for request, call_ref in zip(embedder.received, ("", "my-ref", ""), strict=True):
        timestamp, payload = request.headers["published-timestamp"].encode(), request.content
        assert request.headers["signature"] == mac(timestamp)
        assert request.headers["signature-v2"] == mac(call_ref.encode() + payload + timestamp)
        assert request.headers["signature-v2"] != mac(call_ref.encode() + payload + b"x" + timestamp)
        assert request.headers.get("call-ref", "") == call_ref
        assert json.loads(payload)["publishedTimestamp"] == int(timestamp)
        assert request.headers["content-type"] == "application/json"


def test_what_each_webhook_says(multi: Any, embedder: Any, world: Any) -> None:
    """Section 8: bodies with their required members; `type` is PASSWORD at login, the channel elsewhere (12.5)."""
    credential, identity = (
        {"type": "ROOT", "id": "110000000000000001"},
        {"type": "CORPORATE", "id": "120000000000000001"},
    )
    login = {"credential": credential, "identity": identity, "type": "PASSWORD", "publishedTimestamp": 1772452800000}
    world.put_user(factors={})
    multi.post("/authentication_factors/otp/SMS")
    multi.post("/authentication_factors/otp/SMS/verify", {"verificationCode": world.code()})
    multi.step_up()
    multi.login("wrong")
    bodies = embedder.bodies()
    assert bodies[0] == {**login, "status": "VERIFIED"}
    assert bodies[1] == {
        "credentialId": credential,
        "status": "ACTIVE",
        "type": "SMS",
        "publishedTimestamp": 1772452800000,
    }
    step_up = {
        "credential": credential,
        "identity": identity,
        "status": "VERIFIED",
        "type": "SMS",
        "publishedTimestamp": 1772452800000,
    }
    assert bodies[2] == {**step_up, "challengeId": world.transactions()[0]["transactionId"]}
    assert bodies[3] == {**login, "status": "DECLINED"}


def test_used_up_codes_are_told_as_declined(multi: Any, embedder: Any) -> None:
    """Section 8: once, with the fifth wrong code."""
    multi.issue()
    for _ in range(7):
        multi.verify(multi.wrong())
    assert [body["status"] for body in embedder.bodies("/stepup/watch")] == ["DECLINED"]


def test_without_a_receiver_nothing_is_queued(make_world: Callable[..., Any]) -> None:
    """`serve` without `--webhook`."""
    world = make_world()
    world.client().login()
    assert world.stub("GET", "/webhooks") == []


def test_a_receiver_that_was_down_misses_nothing_and_gets_it_in_order(multi: Any, embedder: Any, world: Any) -> None:
    """Issue 5, done when 4: refused connections hold the queue; later events wait behind the first; the delivery log tells."""
    embedder.up = False
    assert embedder.round() == 0
    multi.step_up()
    for seconds in range(1, 8):
        embedder.seconds = seconds
        assert embedder.round() == 0
    multi.login("wrong")
    (first, *_) = reversed(world.stub("GET", "/webhooks"))
    assert (first["state"], first["attempts"]) == ("waiting", 4), "at 0, 1, 3 and 7 seconds: each wait doubles"
    assert [entry["error"] for entry in first["history"]] == ["ConnectError"] * 4
    embedder.up = True
    assert embedder.round() == 0, "not before its time"
    embedder.seconds = 15
    assert embedder.round() == 3
    assert [r.url.path for r in embedder.received] == [
        "/hooks/login/watch",
        "/hooks/stepup/watch",
        "/hooks/login/watch",
    ]
    assert embedder.round() == 0
    assert {entry["state"] for entry in world.stub("GET", "/webhooks")} == {"delivered"}


@pytest.mark.parametrize("status", [300, 400, 404, 500, 503])
def test_an_answer_that_is_no_success_is_tried_again_and_holds_up_nothing(
    multi: Any, embedder: Any, world: Any, status: int
) -> None:
    """One bad message must not block the others."""
    embedder.status = status
    embedder.round()
    embedder.status = 204
    multi.step_up()
    assert embedder.round() == 1
    embedder.seconds = 1
    assert embedder.round() == 1
    login = world.stub("GET", "/webhooks")[-1]
    assert [entry.get("status") for entry in login["history"]] == [status, 204]
    assert [r.url.path for r in embedder.received] == [
        "/hooks/login/watch",
        "/hooks/stepup/watch",
        "/hooks/login/watch",
    ]


def test_retries_go_on_by_real_time_while_the_servers_clock_stands_still(multi: Any, embedder: Any, world: Any) -> None:
    """A frozen clock holds up no retry, and a clock set far ahead sends nothing early."""
    embedder.up = False
    embedder.round()
    world.stub("PUT", "/clock", {"now": "2040-01-01T00:00:00Z", "frozen": True})
    embedder.up = True
    assert embedder.round() == 0
    embedder.seconds = 1
    assert embedder.round() == 1


def test_two_processes_share_one_queue(multi: Any, embedder: Any, world: Any) -> None:
    """A claim is a lease: what one process is sending no other sends; if it dies, another does after the lease."""
    from datetime import UTC, datetime, timedelta

    from server_stub.webhooks import _claim

    now = datetime(2026, 1, 1, tzinfo=UTC)
    assert len(_claim(world.server, now)) == 1
    multi.step_up()
    assert embedder.round() == 0, "in order: what follows waits too"
    embedder.seconds = timedelta(seconds=30).total_seconds()
    assert embedder.round() == 2


def test_the_delivery_log_keeps_no_token(multi: Any, handset: Any, embedder: Any, world: Any) -> None:
    """RTS Art. 22(2)(b): `authToken` is gone from the store once the receiver has it, and was there until then."""
    multi.login()
    handset.approve(multi.post("/stepup/challenges/push/BIOMETRIC").json()["id"])
    assert multi.token in json.dumps(world.stub("GET", "/webhooks"))
    assert embedder.bodies("/stepup/watch")[-1]["authToken"] == multi.token
    assert multi.token not in json.dumps(world.stub("GET", "/webhooks"))
    assert multi.token not in json.dumps(world.stub("GET", "/log"))


class _Receiver(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.got.append((self.path, body))  # type: ignore[attr-defined]
        self.server.arrived.set()  # type: ignore[attr-defined]
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: Any) -> None: ...


@pytest.fixture
def receiver() -> Iterator[Any]:
    """A real HTTP server of the standard library."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Receiver)
    server.got, server.arrived = [], threading.Event()  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_worker_posts_over_a_real_socket_and_ends_when_cancelled(
    make_world: Callable[..., Any], receiver: Any
) -> None:
    """`webhooks.run` as the server starts it: login and SMS arrive at a server that we did not write."""
    from server_stub.webhooks import run

    url = f"http://127.0.0.1:{receiver.server_port}"
    world = make_world(webhook=f"{url}/hooks/", sms_webhook=f"{url}/sms")
    multi = world.client()
    multi.login()
    multi.issue()

    async def work() -> None:
        worker = asyncio.create_task(run(world.server))
        while len(receiver.got) < 2 and not worker.done():
            await asyncio.to_thread(receiver.arrived.wait, 5)
            receiver.arrived.clear()
        worker.cancel()
        with pytest.raises(asyncio.CancelledError):
            await worker

    asyncio.run(asyncio.wait_for(work(), 20))
    found = dict(receiver.got)
    assert json.loads(found["/hooks/login/watch"])["status"] == "VERIFIED"
    sms = json.loads(found["/sms"])
    assert (sms["to"], world.code() in sms["text"]) == ("+447700900123", True)
