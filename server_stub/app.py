"""The whole server as an ASGI app: families of routes mounted by prefix, each with its own error shapes.

The only module that knows the web framework. Every answer bears the server's own `Date` and an `X-Request-Id`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import replace
from datetime import datetime
from email.utils import format_datetime
from functools import cached_property, lru_cache, partial
from ipaddress import ip_address
from typing import Any, Final
from urllib.parse import parse_qsl

import msgspec
from starlette.routing import Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from device_keys import __version__
from device_keys.clock import rfc3339
from device_keys.encoding import FormatError, b64url_encode
from server_stub.database.protocol import DatabaseUnavailable
from server_stub.dialects import load_dialect
from server_stub.http import MAX_BODY, TLS, Call, Dialect, Endpoint, Refusal, Reply
from server_stub.openapi import build_openapi
from server_stub.server import Server
from server_stub.shedding import ARRIVAL, Overloaded, SlowClient

LOG: Final = logging.getLogger("stepup.server")
# The operator looks at a server under load, too; and a path that does not exist costs nothing.
NEVER_SHED: Final = frozenset({"stub", "none"})


class TooLarge(Exception):
    """A body over the limit."""


class Gone(Exception):
    """The client went away before its request was whole."""


def create_app(server: Server) -> ASGIApp:
    """The ASGI app over a server."""
    vendors = server.settings.dialects
    loaders: dict[str, Callable[[], Dialect]]
    loaders = {} if server.settings.at_root else {f"/{name}": partial(load_dialect, name) for name in vendors}
    loaders |= {"/device/v1": _device, "/_stub": _stub}
    mounts: dict[str, ASGIApp] = {prefix: Family(server, load) for prefix, load in loaders.items()}
    mounts["/openapi.json"] = OpenApi(server)
    fallback = partial(load_dialect, vendors[0]) if server.settings.at_root else _outside
    return App(server, mounts, Family(server, fallback))


def _device() -> Dialect:
    from server_stub.device.routes import DIALECT

    return DIALECT


def _stub() -> Dialect:
    from server_stub.stub_api import DIALECT

    return DIALECT


def _outside() -> Dialect:
    """Paths outside every mount: the stub's error shape, and no routes."""
    return replace(_stub(), name="none", prefix="", endpoints=())


class App:
    """Dispatches by the first part of the path; runs the workers between start-up and shutdown."""

    def __init__(self, server: Server, mounts: Mapping[str, ASGIApp], fallback: ASGIApp) -> None:
        self.server = server
        self.mounts = mounts
        self.fallback = fallback

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            from server_stub.workers import lifespan

            await lifespan(self.server, receive, send)
            return
        if scope["type"] != "http":
            return
        path: str = scope["path"]
        for prefix, app in self.mounts.items():
            if path.startswith(prefix) and path[len(prefix) : len(prefix) + 1] in ("", "/"):
                await app({**scope, "path": path[len(prefix) :] or "/", "full_path": path}, receive, send)
                return
        await self.fallback({**scope, "full_path": path}, receive, send)


class Family:
    """The routes of one dialect, imported and put together with the first call to it: a server that is started for one API should not
    wait for the others."""

    def __init__(self, server: Server, load: Callable[[], Dialect]) -> None:
        self.server = server
        self.load = load

    @cached_property
    def app(self) -> ASGIApp:
        return family(self.server, self.load())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(scope, receive, send)


def family(server: Server, dialect: Dialect) -> ASGIApp:
    """The routes of one dialect."""
    by_path: dict[str, dict[str, Endpoint]] = {}
    for endpoint in dialect.endpoints:
        path = _lower_path(endpoint.path) if dialect.ignore_case else endpoint.path
        by_path.setdefault(path, {})[endpoint.method] = endpoint
    routes = [Route(path, PathApp(server, dialect, endpoints)) for path, endpoints in by_path.items()]
    router = Router(routes, default=Missing(server, dialect), redirect_slashes=False)
    if not dialect.ignore_case and not dialect.aliases:
        return router
    return Renamed(router, dialect)


def _lower_path(path: str) -> str:
    return "/".join(part if part.startswith("{") else part.lower() for part in path.split("/"))


class Renamed:
    """Rewrites a path before it is matched: letter case, and the dialect's other spellings."""

    def __init__(self, app: ASGIApp, dialect: Dialect) -> None:
        self.app = app
        self.dialect = dialect

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"].lower() if self.dialect.ignore_case else scope["path"]
        for short, full in self.dialect.aliases.items():
            if path.startswith(short):
                path = full + path[len(short) :]
        await self.app({**scope, "path": path}, receive, send)


class PathApp:
    """One path: picks the endpoint by method and turns what it does into an answer."""

    def __init__(self, server: Server, dialect: Dialect, endpoints: Mapping[str, Endpoint]) -> None:
        self.server = server
        self.dialect = dialect
        self.endpoints = endpoints

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        endpoint = self.endpoints.get(scope["method"])
        if endpoint is None:
            await answer(
                self.server,
                self.dialect,
                scope,
                receive,
                send,
                lambda _, call: _ready(self._not_allowed(call)),
            )
        else:
            await answer(self.server, self.dialect, scope, receive, send, endpoint.handler)

    def _not_allowed(self, call: Call) -> Reply:
        """The dialect's answer; a 405 names the methods that the path has (RFC 9110 section 15.5.6)."""
        reply = self.dialect.method_not_allowed(call)
        if reply.status != 405:
            return reply
        return replace(reply, headers={**reply.headers, "Allow": ", ".join(sorted(self.endpoints))})


class Missing:
    """Any other path of a dialect."""

    def __init__(self, server: Server, dialect: Dialect) -> None:
        self.server = server
        self.dialect = dialect

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await answer(
            self.server, self.dialect, scope, receive, send, lambda _, call: _ready(self.dialect.not_found(call))
        )


class OpenApi:
    """`GET /openapi.json`."""

    def __init__(self, server: Server) -> None:
        self.server = server

    @cached_property
    def document(self) -> bytes:
        families = [*map(load_dialect, self.server.settings.dialects), _device(), _stub()]
        return build_openapi(families, at_root=self.server.settings.at_root, version=__version__)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        reply = Reply(200, self.document, {"Content-Type": "application/json"})
        await send_reply(self.server, reply, "", receive, send)


async def _ready(reply: Reply) -> Reply:
    return reply


async def answer(
    server: Server, dialect: Dialect, scope: Scope, receive: Receive, send: Send, handler: Callable[..., Any]
) -> None:
    """Read the call, run the handler, send what it (or a refusal) answers, and record both."""
    call = _call(server, dialect, scope)
    try:
        call = replace(call, body=await _read_in_time(server, receive))
        with server.load.work(scope.get(ARRIVAL), always=dialect.name in NEVER_SHED):
            async with server.store.database.together():
                reply = await handler(server, call)
        if isinstance(reply.body, AsyncIterator) and server.load.streams_full:
            raise Overloaded
    except Gone:
        return
    except Exception as problem:
        reply = _reply_to(dialect, call, problem)
    if dialect.decorate is not None:
        reply = dialect.decorate(call, reply)
    _log_answer(dialect, call, reply)
    raw = await send_reply(server, reply, call.request_id, receive, send)
    if dialect.name == "stub":
        return  # a reviewer who looks at the recorder does not fill it
    at = rfc3339(_now(server))
    asked = {"id": call.request_id, "at": at, "method": call.method, "path": scope["full_path"], "query": call.query}
    server.requests.append(asked | {"headers": call.headers, "body": call.body, "status": reply.status, "answer": raw})


def _log_answer(dialect: Dialect, call: Call, reply: Reply) -> None:
    """One line per call: refusals at INFO, all others at DEBUG; the path without its query, where secrets travel."""
    level = logging.INFO if reply.status >= 400 else logging.DEBUG
    if LOG.isEnabledFor(level):
        path = call.target.partition("?")[0]
        path = path if path.isprintable() else repr(path)
        LOG.log(
            level,
            "request=%s dialect=%s method=%s path=%s status=%d",
            call.request_id,
            dialect.name,
            call.method,
            path,
            reply.status,
        )


def _reply_to(dialect: Dialect, call: Call, problem: Exception) -> Reply:
    if isinstance(problem, Refusal):
        return problem.reply
    if isinstance(problem, FormatError):
        return dialect.bad_format(call, problem)
    if isinstance(problem, TooLarge):
        return dialect.too_large(call)
    if isinstance(problem, SlowClient):
        late = dialect.bad_format(call, FormatError("body", "all of it in time"))
        return replace(late, status=408, headers={**late.headers, "Connection": "close"})
    if isinstance(problem, Overloaded):
        return dialect.unavailable(call)
    if isinstance(problem, DatabaseUnavailable):
        LOG.warning("request %s: database unavailable: %s", call.request_id, problem)
        return dialect.unavailable(call)
    LOG.exception("request %s failed", call.request_id, exc_info=problem)
    return dialect.broken(call)


def _call(server: Server, dialect: Dialect, scope: Scope) -> Call:
    """The call without its body, which may still be on its way."""
    pairs = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
    return Call(
        method=scope["method"],
        path=scope["path"],
        params=scope.get("path_params", {}),
        query={(k.lower() if dialect.ignore_case else k): v for k, v in reversed(pairs)},
        headers={name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]},
        body=b"",
        transport=_transport(scope),
        request_id=b64url_encode(server.store.entropy.bytes("request id", 12)),
        target=_target(scope),
        tls=scope.get(TLS),
    )


def _target(scope: Scope) -> str:
    """Path and query as the client wrote them: a signed request covers these very bytes."""
    path = scope.get("raw_path") or scope["full_path"].encode()
    query = scope["query_string"]
    return bytes(path + b"?" + query if query else path).decode("latin-1")


def _transport(scope: Scope) -> str:
    if scope.get("scheme") == "https":
        return "tls"
    return "http-loopback" if _is_loopback((scope.get("client") or ("127.0.0.1",))[0]) else "http"


@lru_cache(maxsize=256)
def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:  # an in-process client has a name, not an address
        return True


async def _read_in_time(server: Server, receive: Receive) -> bytes:
    try:
        async with asyncio.timeout(server.load.limits.body):
            return await _read_body(receive)
    except TimeoutError as problem:
        raise SlowClient from problem


async def _read_body(receive: Receive) -> bytes:
    """The body, or `TooLarge`; what is too large is read on and dropped, so that the client can take the answer."""
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Gone
        part = message.get("body", b"")
        size += len(part)
        if size > 16 * MAX_BODY:
            raise TooLarge
        if size <= MAX_BODY:
            parts.append(part)
        if not message.get("more_body", False):
            if size > MAX_BODY:
                raise TooLarge
            return b"".join(parts)


def _now(server: Server) -> datetime:
    return server.store.latest or server.store.source_clock()


async def send_reply(server: Server, reply: Reply, request_id: str, receive: Receive, send: Send) -> bytes:
    """Send a reply; the bytes of its body (empty for a stream)."""
    headers = (
        {"Date": _http_date(_now(server).replace(microsecond=0)), "X-Request-Id": request_id} if request_id else {}
    )
    headers |= reply.headers
    if isinstance(reply.body, AsyncIterator):
        with server.load.stream():
            await _send_stream(reply, headers, receive, send)
        return b""
    raw = _encoded(reply.body, headers)
    headers["Content-Length"] = str(len(raw))
    if reply.status == 204:
        del headers["Content-Length"]
    await send({"type": "http.response.start", "status": reply.status, "headers": _raw(headers)})
    await send({"type": "http.response.body", "body": raw})
    return raw


@lru_cache(maxsize=8)
def _http_date(second: datetime) -> str:
    return format_datetime(second, usegmt=True)


def _encoded(body: Any, headers: dict[str, str]) -> bytes:
    if body is None:
        return b""
    if isinstance(body, bytes):
        return body
    if isinstance(body, str):
        headers.setdefault("Content-Type", "text/plain; charset=utf-8")
        return body.encode()
    headers.setdefault("Content-Type", "application/json")
    return msgspec.json.encode(body)


def _raw(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]


async def _send_stream(reply: Reply, headers: dict[str, str], receive: Receive, send: Send) -> None:
    import anyio

    await send({"type": "http.response.start", "status": reply.status, "headers": _raw(headers)})
    async with anyio.create_task_group() as group:

        async def until_gone() -> None:
            while (await receive())["type"] != "http.disconnect":
                pass
            group.cancel_scope.cancel()

        group.start_soon(until_gone)
        async for part in reply.body:
            await send({"type": "http.response.body", "body": part, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})
        group.cancel_scope.cancel()
