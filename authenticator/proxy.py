"""The transport adapter as a proxy: an unchanged client of the bank's API, pointed here, gets through a step-up.

Everything passes as it is, streamed both ways, without redirects, cookies, retries or time-outs of its own. The step-up call alone is held:
the phone approves it, the evidence is added, and its answer belongs to whoever sent those very bytes. So a client that gives up and
repeats the call joins the approval that is waiting, or takes the answer that it did not wait for; it never makes a second attempt.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import httpx2

from authenticator.client import Call
from authenticator.transport import MAX_BODY, Adapter, Amended, amend_async, step_up_of

if TYPE_CHECKING:
    from starlette.types import Message, Receive, Scope, Send

HOP_BY_HOP: Final = frozenset(
    {b"connection", b"keep-alive", b"proxy-connection", b"te", b"trailer", b"transfer-encoding", b"upgrade", b"expect"}
)
LOOPBACK_NAMES: Final = frozenset({"127.0.0.1", "localhost", "::1"})
# An answer that nobody waited for is kept this long for the client's repetition.
KEEP_SECONDS: Final = 300.0
_BODY_HEADERS: Final = frozenset({b"content-length", b"transfer-encoding"})

Headers = list[tuple[bytes, bytes]]


class ClientGone(Exception):
    """The client hung up before its request was whole."""


@dataclass(frozen=True, slots=True)
class Kept:
    """An upstream's answer, whole."""

    status: int
    headers: Headers
    body: bytes


class Proxy:
    """An ASGI app before `upstream` (a URL, perhaps with a base path)."""

    def __init__(self, upstream: str, adapter: Adapter, transport: httpx2.AsyncBaseTransport) -> None:
        parts = urlsplit(upstream)
        self.origin, self.base = f"{parts.scheme}://{parts.netloc}", parts.path.rstrip("/")
        self.authority = parts.netloc.encode()
        self.adapter = adapter
        self.transport = transport
        self._exchanges: dict[bytes, asyncio.Task[Kept]] = {}
        self._turns: dict[str, asyncio.Task[Kept]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["type"] == "http":
            await self._handle(scope, receive, send)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        for exchange in self._exchanges.values():
            exchange.cancel()
        await asyncio.gather(*self._exchanges.values(), return_exceptions=True)
        await self.transport.aclose()
        await send({"type": "lifespan.shutdown.complete"})

    async def _handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        incoming = Incoming(scope, receive)
        await _until_gone(asyncio.ensure_future(self._work(scope, incoming, send)), incoming)

    async def _work(self, scope: Scope, incoming: Incoming, send: Send) -> None:
        transaction_id = step_up_of(scope["method"], scope["path"], _mapping(scope["headers"]))
        body = None if transaction_id is None else await incoming.start(MAX_BODY)
        if transaction_id is None or body is None:
            await self._pass(scope, incoming, send)
        else:
            await self._step_up(scope, incoming, send, transaction_id, body)

    # --- everything but the step-up ---------------------------------------------------------------------------------------

    async def _pass(self, scope: Scope, incoming: Incoming, send: Send) -> None:
        """Forward, streaming. What breaks before the answer begins is 502; what breaks later ends the client's connection too."""
        headers = self._request_headers(scope)
        started = False
        try:
            response = await self.transport.handle_async_request(self._request(scope, headers, incoming.stream()))
            try:
                await send(_start(response.status_code, _forwardable(response.headers.raw)))
                started = True
                assert isinstance(response.stream, httpx2.AsyncByteStream)
                async for part in response.stream:
                    await send({"type": "http.response.body", "body": part, "more_body": True})
            finally:
                await response.aclose()
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        except httpx2.TransportError as error:
            if not started:
                await _send_whole(send, unreachable(self.origin, error))

    def _request(self, scope: Scope, headers: Headers, stream: httpx2.AsyncByteStream) -> httpx2.Request:
        raw = scope.get("raw_path") or scope["path"].encode()
        target = self.base.encode() + raw + (b"?" + scope["query_string"] if scope["query_string"] else b"")
        # No time-out of ours: the client's own decides. The target goes out byte for byte.
        extensions = {"timeout": {}, "target": target}
        return httpx2.Request(scope["method"], self.origin, headers=headers, stream=stream, extensions=extensions)

    def _request_headers(self, scope: Scope) -> Headers:
        """The client's own, less those of the connection. Host becomes the upstream's only where it named this proxy on loopback:
        a page of another site must not gain a loopback name by passing through here."""
        sent = [
            (name, self.authority if name == b"host" and _local(scope, value) else value)
            for name, value in _forwardable(scope["headers"])
        ]
        chunked = any(name == b"transfer-encoding" for name, _ in scope["headers"])
        sized = any(name == b"content-length" for name, _ in sent)
        return [*sent, (b"transfer-encoding", b"chunked")] if chunked and not sized else sent

    # --- the step-up ------------------------------------------------------------------------------------------------------

    async def _step_up(self, scope: Scope, incoming: Incoming, send: Send, transaction_id: str, body: bytes) -> None:
        key = _fingerprint(scope, body)
        exchange = self._exchanges.get(key)
        if exchange is None:
            exchange = asyncio.create_task(self._exchange(scope, transaction_id, body))
            self._exchanges[key] = exchange
            exchange.add_done_callback(lambda done: self._forget_later(key, done))
        kept = await asyncio.shield(exchange)
        await _send_whole(send, kept)
        if not incoming.gone and self._exchanges.get(key) is exchange:
            del self._exchanges[key]  # delivered: the next call with these bytes is the client's own new attempt

    def _forget_later(self, key: bytes, exchange: asyncio.Task[Kept]) -> None:
        def forget() -> None:
            if self._exchanges.get(key) is exchange:
                del self._exchanges[key]

        if exchange.cancelled() or exchange.exception() is not None:
            forget()
        else:
            asyncio.get_running_loop().call_later(KEEP_SECONDS, forget)

    async def _exchange(self, scope: Scope, transaction_id: str, body: bytes) -> Kept:
        """Approve, forward, keep the answer. Calls that differ but bear one transaction id take turns."""
        before, this = self._turns.get(transaction_id), asyncio.current_task()
        assert this is not None
        self._turns[transaction_id] = this
        try:
            if before is not None:
                await asyncio.wait([before])
            call = Call(scope["method"], scope["path"], {})
            return await self._forward(scope, body, await amend_async(self.adapter, call, transaction_id, body))
        finally:
            if self._turns.get(transaction_id) is this:
                del self._turns[transaction_id]

    async def _forward(self, scope: Scope, body: bytes, amended: Amended) -> Kept:
        body = body if amended.body is None else amended.body
        changed = {name.lower().encode(): value for name, value in amended.headers.items()}
        headers = [(n, v) for n, v in self._request_headers(scope) if n not in changed and n not in _BODY_HEADERS]
        headers += [(name, value.encode()) for name, value in changed.items() if value is not None]
        headers.append((b"content-length", str(len(body)).encode()))
        request = self._request(scope, headers, httpx2.ByteStream(body))
        try:
            response = await self.transport.handle_async_request(request)
            try:
                assert isinstance(response.stream, httpx2.AsyncByteStream)
                content = b"".join([part async for part in response.stream])
            finally:
                await response.aclose()
        except httpx2.TransportError as error:
            return unreachable(self.origin, error)
        return Kept(response.status_code, _forwardable(response.headers.raw), content)


class Incoming:
    """The client's request as it arrives, and its hanging up."""

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self._receive = receive
        self._has_body = any(name in _BODY_HEADERS for name, _ in scope["headers"])
        self._read: list[bytes] = []
        self._whole = asyncio.Event()
        self.gone = False
        if not self._has_body:
            self._whole.set()

    async def start(self, most: int) -> bytes | None:
        """The whole body if it has at most `most` bytes; None if it is longer (it can still be streamed)."""
        size = 0
        async for part in self._parts():
            self._read.append(part)
            size += len(part)
            if size > most:
                return None
        return b"".join(self._read)

    async def _parts(self) -> AsyncIterator[bytes]:
        while not self._whole.is_set():
            message: Message = await self._receive()
            if message["type"] == "http.disconnect":
                self.gone = True
                raise ClientGone
            if not message.get("more_body", False):
                self._whole.set()
            if message.get("body"):
                yield message["body"]

    def stream(self) -> httpx2.AsyncByteStream:
        """The body for the upstream, as it comes."""
        return _Stream(self._all())

    async def _all(self) -> AsyncIterator[bytes]:
        for part in self._read:
            yield part
        async for part in self._parts():
            yield part

    async def hung_up(self) -> None:
        """Returns when the client has gone, once its request is whole."""
        await self._whole.wait()
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self.gone = True


class _Stream(httpx2.AsyncByteStream):
    def __init__(self, parts: AsyncIterator[bytes]) -> None:
        self._parts = parts

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for part in self._parts:
            yield part


async def _until_gone(work: asyncio.Future[None], incoming: Incoming) -> None:
    """Do the work, unless the client goes away first; an exchange that it waited for goes on without it."""
    watch = asyncio.ensure_future(incoming.hung_up())
    try:
        await asyncio.wait({work, watch}, return_when=asyncio.FIRST_COMPLETED)
        if work.done():
            work.result()
    except ClientGone:
        pass
    finally:
        for task in (work, watch):
            task.cancel()
        await asyncio.gather(work, watch, return_exceptions=True)


def _mapping(headers: Iterable[tuple[bytes, bytes]]) -> httpx2.Headers:
    return httpx2.Headers(list(headers))


def _forwardable(headers: Iterable[tuple[bytes, bytes]]) -> Headers:
    """Without what belongs to one connection only (RFC 9110 section 7.6.1)."""
    listed = [(name.lower(), value) for name, value in headers]
    named = {token.strip().lower() for name, value in listed if name == b"connection" for token in value.split(b",")}
    return [(name, value) for name, value in listed if name not in HOP_BY_HOP | named]


def _local(scope: Scope, host: bytes) -> bool:
    try:
        near = ip_address((scope.get("client") or ("",))[0]).is_loopback
    except ValueError:
        near = True  # in process
    return near and (urlsplit(f"//{host.decode('latin-1')}").hostname or "") in LOOPBACK_NAMES


def _fingerprint(scope: Scope, body: bytes) -> bytes:
    """Equal for a repetition of the same call by the same client, and for nothing else."""
    wanted = (b"authorization", b"x-apikey", b"x-transactionid")
    named = sorted(value for name, value in scope["headers"] if name in wanted)
    parts = [scope["method"].encode(), scope["path"].encode(), scope["query_string"], *named, body]
    return hashlib.sha256(b"".join(len(part).to_bytes(4, "big") + part for part in parts)).digest()


def unreachable(origin: str, error: Exception) -> Kept:
    """502, in the simulator's own shape: no server answers."""
    import msgspec

    message = f"The server at {origin} did not answer: {str(error) or type(error).__name__}"
    body = msgspec.json.encode({"error": {"code": "unreachable", "message": message}})
    return Kept(502, [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())], body)


def _start(status: int, headers: Headers) -> Message:
    return {"type": "http.response.start", "status": status, "headers": headers}


async def _send_whole(send: Send, kept: Kept) -> None:
    await send(_start(kept.status, kept.headers))
    await send({"type": "http.response.body", "body": kept.body, "more_body": False})
