"""What is no step-up passes through the proxy as it is (issue 8): bytes, streams, connections, errors and waiting."""

from __future__ import annotations

import http.client
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.proxy.conftest import Upstream, child, read_request
from tests.support.waiting import PATIENCE_SECONDS


@pytest.fixture(scope="module")
def address(
    upstream: Upstream, environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, int]]:
    """Where a proxy before the misbehaving upstream listens."""
    folder = tmp_path_factory.mktemp("proxy")
    options = ("proxy", "--upstream", f"{upstream.url}/base", "--port", "0", "--home", str(folder / "home"))
    with child(environment, "authenticator", *options, log=folder / "proxy.log") as url:
        parts = urlsplit(url)
        yield parts.hostname or "", parts.port or 0


@pytest.fixture
def proxied(address: tuple[str, int], upstream: Upstream) -> Iterator[socket.socket]:
    """A raw connection to it."""
    upstream.received.clear()
    with socket.create_connection(address, timeout=20) as connection:
        yield connection


def respond(*answers: bytes, received: list[bytes]) -> Callable[[socket.socket], None]:
    """Answer the requests of one connection in turn."""

    def script(connection: socket.socket) -> None:
        for answer in answers:
            received.append(read_request(connection))
            connection.sendall(answer)

    return script


def answer_of(connection: socket.socket, method: str = "GET") -> tuple[http.client.HTTPResponse, bytes]:
    response = http.client.HTTPResponse(connection, method=method)
    response.begin()
    return response, response.read()


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nDate: Sat, 31 Jan 2026 12:00:00 GMT\r\n"


def test_target_headers_and_body_arrive_byte_for_byte(proxied: socket.socket, upstream: Upstream) -> None:
    upstream.script = respond(OK + b"\r\nhi", received=upstream.received)
    proxied.sendall(
        b"POST /v1/a%2Fb//c;x=%7E?q=a+b&q=%20&empty HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n"
        b"X-Twice: one\r\nX-Twice: two\r\nAccept-Encoding: br\r\nUser-Agent: odd/1\r\n"
        b"Connection: keep-alive, X-Hop\r\nX-Hop: gone\r\n\r\n\x00\xff{[\n"
    )
    response, body = answer_of(proxied)
    head, _, sent = upstream.received[0].partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    assert lines[0] == b"POST /base/v1/a%2Fb//c;x=%7E?q=a+b&q=%20&empty HTTP/1.1"
    assert sent == b"\x00\xff{[\n"
    headers = [line.lower() for line in lines[1:]]
    assert [h for h in headers if h.startswith(b"x-twice")] == [b"x-twice: one", b"x-twice: two"]
    assert b"accept-encoding: br" in headers
    assert b"user-agent: odd/1" in headers
    assert f"host: {urlsplit(upstream.url).netloc}".encode() in headers
    assert not any(h.startswith((b"x-hop", b"connection")) for h in headers)
    assert (response.status, body) == (200, b"hi")


def test_status_reason_free_headers_and_encodings_come_back_as_they_are(
    proxied: socket.socket, upstream: Upstream
) -> None:
    upstream.script = respond(
        b"HTTP/1.1 302 Found\r\nLocation: http://elsewhere.example/\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n"
        b"Content-Encoding: gzip\r\nContent-Length: 3\r\nServer: odd\r\n\r\n\x1f\x8b\x00",
        received=upstream.received,
    )
    proxied.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nCookie: c=3\r\n\r\n")
    response, body = answer_of(proxied)
    assert (response.status, body) == (302, b"\x1f\x8b\x00")  # neither followed nor decoded
    assert response.headers.get_all("Set-Cookie") == ["a=1", "b=2"]
    assert response.headers.get_all("Server") == ["odd"]
    assert response.headers.get_all("Date") is None  # nothing is added
    assert b"cookie: c=3" in upstream.received[0].lower()


@pytest.mark.parametrize("status", [204, 304])
def test_answers_without_a_body_keep_the_connection(proxied: socket.socket, upstream: Upstream, status: int) -> None:
    upstream.script = respond(b"HTTP/1.1 %d X\r\nETag: x\r\n\r\n" % status, OK + b"\r\nhi", received=upstream.received)
    for expected in (status, 200):
        proxied.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert answer_of(proxied)[0].status == expected


def test_head_has_the_length_and_no_body(proxied: socket.socket, upstream: Upstream) -> None:
    upstream.script = respond(b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n", received=upstream.received)
    proxied.sendall(b"HEAD / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    response, body = answer_of(proxied, "HEAD")
    assert (response.headers["Content-Length"], body) == ("999", b"")


def test_a_stream_arrives_piece_by_piece(proxied: socket.socket, upstream: Upstream) -> None:
    """Each piece is seen before the next is sent: a proxy that collects would wait for ever."""
    seen = threading.Semaphore(0)

    def script(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        for piece in (b"data: 1\n\n", b"data: 2\n\n"):
            connection.sendall(b"%x\r\n%s\r\n" % (len(piece), piece))
            assert seen.acquire(timeout=PATIENCE_SECONDS)
        connection.sendall(b"0\r\n\r\n")

    upstream.script = script
    proxied.sendall(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")
    response = http.client.HTTPResponse(proxied)
    response.begin()
    for number in (b"1", b"2"):
        assert response.read1(9) == b"data: " + number + b"\n\n"
        seen.release()
    assert response.read() == b""


def test_an_upload_is_passed_on_as_it_comes(proxied: socket.socket, upstream: Upstream) -> None:
    halfway = threading.Event()

    def script(connection: socket.socket) -> None:
        data = b""
        while b"first" not in data:
            data += connection.recv(65536)
        halfway.set()
        while b"0\r\n\r\n" not in data:
            data += connection.recv(65536)
        upstream.received.append(data)
        connection.sendall(OK + b"\r\nhi")

    upstream.script = script
    proxied.sendall(b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n")
    assert halfway.wait(PATIENCE_SECONDS)
    proxied.sendall(b"6\r\nsecond\r\n0\r\n\r\n")
    assert answer_of(proxied)[0].status == 200
    assert b"second" in upstream.received[0]


def test_an_answer_cut_short_is_cut_short_for_the_client(proxied: socket.socket, upstream: Upstream) -> None:
    def script(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")

    upstream.script = script
    proxied.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    with pytest.raises(http.client.IncompleteRead) as caught:
        answer_of(proxied)
    assert caught.value.partial == b"half"


@pytest.mark.parametrize("status", [500, 503, 504])
def test_errors_of_the_server_are_the_servers(proxied: socket.socket, upstream: Upstream, status: int) -> None:
    upstream.script = respond(
        b"HTTP/1.1 %d X\r\nRetry-After: 1\r\nContent-Length: 4\r\n\r\nbody" % status, received=upstream.received
    )
    proxied.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    response, body = answer_of(proxied)
    assert (response.status, response.headers["Retry-After"], body) == (status, "1", b"body")


def test_a_server_that_hangs_up_unanswered_is_502_in_one_clear_sentence(
    proxied: socket.socket, upstream: Upstream
) -> None:
    upstream.script = lambda connection: None
    proxied.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    response, body = answer_of(proxied)
    assert response.status == 502
    assert b'"code":"unreachable"' in body


def test_a_client_that_gives_up_ends_the_call_upstream_too(proxied: socket.socket, upstream: Upstream) -> None:
    """Time-outs are the client's own: the proxy has none, and leaves nothing behind when the client goes."""
    asked, ended = threading.Event(), threading.Event()

    def script(connection: socket.socket) -> None:
        read_request(connection)
        asked.set()
        if connection.recv(1) == b"":
            ended.set()

    upstream.script = script
    proxied.sendall(b"GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert asked.wait(PATIENCE_SECONDS)
    proxied.close()
    assert ended.wait(PATIENCE_SECONDS)


def test_a_foreign_host_name_gains_nothing_by_passing_through(proxied: socket.socket, upstream: Upstream) -> None:
    """DNS rebinding: the upstream's guard must still see the name that the page used."""
    upstream.script = respond(OK + b"\r\nhi", received=upstream.received)
    proxied.sendall(b"GET /_stub/users HTTP/1.1\r\nHost: rebound.example\r\n\r\n")
    answer_of(proxied)
    assert b"host: rebound.example" in upstream.received[0].lower()


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        (("--upstream", "ftp://x"), "--upstream"),
        (("--upstream", "http://127.0.0.1:9", "--approve", "sometimes"), "--approve"),
        (("--upstream", "http://127.0.0.1:9", "--fault", "no-such"), "--fault"),
    ],
)
def test_a_wrong_option_is_one_clear_error(
    environment: dict[str, str], tmp_path: Path, arguments: tuple[str, ...], field: str
) -> None:
    import json
    import subprocess
    import sys

    command = [
        sys.executable,
        "-m",
        "authenticator",
        "proxy",
        "--port",
        "0",
        "--home",
        str(tmp_path),
        "--json",
        *arguments,
    ]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=PATIENCE_SECONDS)
    assert done.returncode == 2, done.stderr
    assert json.loads(done.stdout)["error"]["field"] == field
