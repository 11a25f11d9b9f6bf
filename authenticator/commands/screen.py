"""`stepup-phone` without a command: the phone's screen, in the terminal or a browser, with a server of its own if asked."""

from __future__ import annotations

from argparse import Namespace
from contextlib import ExitStack

from authenticator.client import server_url
from authenticator.errors import Unreachable, UsageError
from authenticator.output import Output


def open_phone(args: Namespace, output: Output) -> int:
    """Run the screen until it is closed."""
    if args.json:
        raise UsageError("--json: the phone's screen has no JSON; give a command (see --help)", field="--json")
    with ExitStack() as stack:
        if args.with_server:
            args.server = _find_or_start_server(server_url(args.server), stack, output)
        if args.web is not None:
            from authenticator.tui.web import serve

            serve(args, output)
            return 0
        from authenticator.tui.app import run

        return int(run(args) or 0)


def _find_or_start_server(url: str, stack: ExitStack, output: Output) -> str:
    from authenticator.client import ServerClient, open_http

    client = ServerClient(url, open_http(url))
    try:
        client.call("GET", "/_stub/health")
    except Unreachable:
        output.say("Starting a server …")
        return start_server(url, stack)
    finally:
        client.close()
    output.say(f"A server answers at {url} already.")
    return url


def start_server(url: str, stack: ExitStack) -> str:
    """A server at this address, as a child process that ends with `stack`; its URL."""
    from urllib.parse import urlsplit

    from authenticator.server_process import running_server

    parts = urlsplit(url)
    return stack.enter_context(running_server("--host", parts.hostname or "127.0.0.1", "--port", str(parts.port or 80)))
