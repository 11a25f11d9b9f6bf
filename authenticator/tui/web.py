"""The phone's screen in a browser: textual-serve runs one phone for each page that is open; page, font and guard are ours.

Invariants: the listener is on loopback; a request under another name (DNS rebinding), from a page of another origin, or inside a frame is
refused; the page needs nothing from any other host; the phone's arguments, which may hold a token, are not printed.
"""

from __future__ import annotations

import os
import shlex
import sys
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from authenticator.control import LOOPBACK_NAMES, host_name

if TYPE_CHECKING:
    import socket
    from collections.abc import Awaitable, Callable

    from aiohttp import web

    from authenticator.output import Output

    Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


PAGE: Final = Path(__file__).parent / "page"
# An open page is told to close, and its phone to end, before the process goes.
SHUTDOWN_SECONDS: Final = 0.5
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; font-src 'self'; img-src data:; "
    "connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)
HEADERS: Final = {
    "Content-Security-Policy": _POLICY,
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-cache",
}


def serve(args: Namespace, output: Output) -> None:
    """Serve the phone of these arguments to browsers of this machine until told to stop; `Listening on URL` when it is ready."""
    from authenticator.listening import bind

    if args.token:
        os.environ["STEPUP_TOKEN"] = args.token
    run(command(args), bind("127.0.0.1", args.web), output)


def command(args: Namespace) -> str:
    """The shell command that opens the same phone for one page. The token is in the environment: everybody can read a command."""
    words = [sys.executable, "-m", "authenticator", "--server", args.server]
    for option in ("home", "clock"):
        value = getattr(args, option)
        words += [f"--{option}", value] if value else []
    return shlex.join(words)


def run(phone: str, listener: socket.socket, output: Output) -> None:
    """Serve pages that each run the shell command `phone`, until SIGINT or SIGTERM."""
    import logging

    from aiohttp import web

    def announce(_: str) -> None:
        host, port = listener.getsockname()[:2]
        output.result({"url": f"http://{host}:{port}"}, f"Listening on http://{host}:{port}")

    # What a phone says when it cannot start is printed anyway; a socket cut short is nobody's error.
    logging.getLogger("textual-serve").setLevel(logging.CRITICAL)
    web.run_app(make_app(phone), sock=listener, print=announce, access_log=None, shutdown_timeout=SHUTDOWN_SECONDS)


def make_app(phone: str) -> web.Application:
    """The page at `/`, the terminal's own files, and the socket that carries keys one way and paint the other."""
    from aiohttp import web
    from textual_serve.server import Server

    terminal = Server(phone)
    app = web.Application(middlewares=[_guard()])
    app.add_routes([
        web.get("/", _index),
        web.static("/page", PAGE),
        web.static("/static", terminal.statics_path),
        web.get("/ws", terminal.handle_websocket),
    ])  # fmt: skip
    return app


async def _index(request: web.Request) -> web.StreamResponse:
    from aiohttp import web

    return web.FileResponse(PAGE / "index.html")


def _guard() -> Any:
    from aiohttp import web

    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        why = refusal(request.headers)
        if why is not None:
            raise web.HTTPForbidden(text=why, headers=HEADERS)
        answer = await handler(request)
        if not answer.prepared:
            answer.headers.update(HEADERS)
        return answer

    return guard


def refusal(headers: Mapping[str, str]) -> str | None:
    """Why a request with these headers is refused; None for one by this machine's user: from our own page, a link, or a program."""
    host, origin = headers.get("Host", ""), headers.get("Origin")
    if host_name(host) not in LOOPBACK_NAMES:
        return "Host: expected a loopback name"
    if origin is not None and origin.partition("://")[2].lower() != host.lower():
        return "Origin: pages of other origins may not use the phone"
    foreign = headers.get("Sec-Fetch-Site", "none") in ("cross-site", "same-site")
    if foreign and (headers.get("Sec-Fetch-Mode"), headers.get("Sec-Fetch-Dest")) != ("navigate", "document"):
        return "Sec-Fetch-Site: pages of other origins may not use the phone"
    return None
