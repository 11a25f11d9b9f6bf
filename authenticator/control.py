"""The control API: headless phones driven over HTTP by tests in any language (`stepup-phone control`).

Answers are `{"value": …}` and errors `{"value": {"error", "message", "stacktrace", "data"}}`, as in W3C WebDriver, whose command names and
paths are used where they cover the same thing. Programs on this machine may use it; web pages of other origins may not.
"""

from __future__ import annotations

import hmac
from argparse import Namespace
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from authenticator.errors import PhoneError, Refused, Unreachable, Unreadable, UsageError

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.types import ASGIApp

    from authenticator.control_commands import Command, Control
    from authenticator.output import Output

LOOPBACK_NAMES: Final = frozenset({"127.0.0.1", "localhost", "::1", "testserver"})
MAX_BODY: Final = 64 * 1024
# Error words of WebDriver section 6.6 where it has one.
_WORDS: Final[dict[type[PhoneError], tuple[int, str]]] = {
    UsageError: (400, "invalid argument"),
    Refused: (403, "refused"),
    Unreachable: (502, "server unreachable"),
    Unreadable: (502, "server unreadable"),
}


class ControlError(Exception):
    """An answer that is an error: HTTP status, WebDriver's error word, and what was expected."""

    def __init__(self, status: int, error: str, message: str, **data: str | None) -> None:
        super().__init__(message)
        self.status = status
        self.value = {
            "error": error,
            "message": message,
            "stacktrace": "",
            "data": {k: v for k, v in data.items() if v},
        }


def main(args: Namespace, output: Output) -> None:
    """Serve the control API until told to stop."""
    import tempfile
    from ipaddress import ip_address
    from pathlib import Path

    from authenticator.listening import bind, serve

    near = args.host == "localhost" or ip_address(args.host).is_loopback
    if not near and not args.token:
        raise UsageError("--host: another address than loopback demands --token", field="--host")
    with tempfile.TemporaryDirectory(prefix="stepup-phones-") as temporary:
        folder, secret = Path(temporary), None
        if args.home:  # phones that stay: sealed under this user's secret, found again at the next start
            from authenticator.phone import default_secret

            folder, secret = Path(args.home) / "control", default_secret()
        listener = bind(args.host, args.port)
        serve(create_app(open_control(args.server, folder, args.token, secret=secret), args.token), listener, output)


def open_control(
    server: str, folder: Any, token: str | None = None, http_factory: Any = None, secret: bytes | None = None
) -> Control:
    """The state behind the API: one server, and the phones that `folder` holds. `secret` None: sealed for this process alone."""
    from authenticator.client import ServerClient, open_http, server_url
    from authenticator.control_commands import Control
    from authenticator.control_events import Events
    from authenticator.control_phones import Phones
    from authenticator.virtual import VirtualAuthenticator

    url, factory, events = server_url(server), http_factory or open_http, Events()

    def make(home: Any, **options: Any) -> VirtualAuthenticator:
        return VirtualAuthenticator(home, url, http_factory=factory, token=token, secret=secret, **options)

    return Control(Phones(folder, make, events), ServerClient(url, factory(url), token=token), events)


def create_app(control: Control, token: str | None = None) -> ASGIApp:
    """The ASGI app over it. Commands run in threads, so that a waiting one holds up no other."""
    from collections.abc import AsyncIterator
    from contextlib import asynccontextmanager

    from starlette.applications import Starlette
    from starlette.concurrency import run_in_threadpool
    from starlette.exceptions import HTTPException
    from starlette.responses import JSONResponse, StreamingResponse
    from starlette.routing import Route

    from authenticator.control_commands import COMMANDS
    from authenticator.control_openapi import build_openapi

    def answer(status: int, value: Any) -> Response:
        return JSONResponse({"value": value}, status, headers={"Cache-Control": "no-cache"})

    def route(command: Command) -> Route:
        async def endpoint(request: Request) -> Response:
            check_caller(request.headers, token)
            body = await _read_body(request)
            return answer(200, await run_in_threadpool(_run, command, control, request, body))

        return Route(command.path, endpoint, methods=[command.method])

    async def openapi(_: Request) -> Response:
        return JSONResponse(build_openapi(COMMANDS))

    async def events(request: Request) -> Response:
        check_caller(request.headers, token)
        return StreamingResponse(
            control.events.stream(), media_type="text/event-stream", headers={"Cache-Control": "no-store"}
        )

    async def control_error(_: Request, error: Exception) -> Response:
        assert isinstance(error, ControlError)
        return answer(error.status, error.value)

    async def phone_error(_: Request, error: Exception) -> Response:
        assert isinstance(error, PhoneError)
        status, word = next(words for kind, words in _WORDS.items() if isinstance(error, kind))
        return await control_error(_, ControlError(status, word, error.message, code=error.code, field=error.field))

    async def unknown(_: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        word = "unknown method" if error.status_code == 405 else "unknown command"
        return await control_error(_, ControlError(error.status_code, word, "see GET /openapi.json"))

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        control.phones.start()
        yield
        await run_in_threadpool(control.phones.close)
        control.server.close()

    routes = [Route("/openapi.json", openapi), Route("/events", events), *map(route, COMMANDS)]
    handlers: Any = {ControlError: control_error, PhoneError: phone_error, HTTPException: unknown}
    return Starlette(routes=routes, exception_handlers=handlers, lifespan=lifespan)


def _run(command: Command, control: Control, request: Request, body: bytes) -> Any:
    from authenticator.control_commands import Asked

    strange = set(request.query_params) - set(command.query)
    if strange:
        raise UsageError(f"{min(strange)}: unknown query parameter", field=min(strange))
    return command.run(control, Asked(request.path_params, request.query_params, _parameters(command, body)))


def _parameters(command: Command, body: bytes) -> Any:
    """The body as the command's parameters; whatever it does not know is an error."""
    import msgspec

    from device_keys.encoding import FormatError, parse_json_object

    try:
        given = parse_json_object(body, "body") if body.strip() else {}
        return msgspec.convert(given, command.parameters)
    except FormatError as error:
        raise UsageError(str(error), field=error.field) from error
    except msgspec.ValidationError as error:
        message, _, where = str(error).partition(" - at `$.")
        raise UsageError(f"{where.rstrip('`') or 'body'}: {message}", field=where.rstrip("`") or "body") from error


async def _read_body(request: Request) -> bytes:
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > MAX_BODY:
            raise ControlError(413, "invalid argument", "expected a body of at most 64 KiB")
        parts.append(part)
    return b"".join(parts)


def check_caller(headers: Mapping[str, str], token: str | None) -> None:
    """Refuse whoever is neither a program on this machine nor the bearer of the token (a page of another origin, a rebound name)."""
    if token is not None:
        scheme, _, given = headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not hmac.compare_digest(given.strip().encode(), token.encode()):
            raise ControlError(401, "refused", "Authorization: expected the bearer token given to control --token")
    elif host_name(headers.get("host", "")) not in LOOPBACK_NAMES:
        raise ControlError(403, "refused", "Host: expected a loopback name; elsewhere serve with --token")
    origin = headers.get("origin")
    foreign = origin is not None and host_name(origin.partition("://")[2]) not in LOOPBACK_NAMES
    if foreign or headers.get("sec-fetch-site", "none") == "cross-site":
        raise ControlError(403, "refused", "Origin: web pages of other origins may not use this API")


def host_name(host: str) -> str:
    """The name in a Host header, without its port; empty where it is none."""
    try:
        return (urlsplit(f"//{host}").hostname or "").lower()
    except ValueError:  # as in "[::1"
        return ""
