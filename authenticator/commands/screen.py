"""`stepup-phone` without a command: the phone's screen, in the terminal or a browser, with a server of its own if asked."""

from __future__ import annotations

from argparse import Namespace
from contextlib import AbstractContextManager, nullcontext

from authenticator.client import server_url
from authenticator.errors import Unreachable, UsageError
from authenticator.output import Output


def open_phone(args: Namespace, output: Output) -> int:
    """Run the screen until it is closed."""
    if args.json:
        raise UsageError("--json: the phone's screen has no JSON; give a command (see --help)", field="--json")
    args.server = server_url(args.server)
    if args.web is None:
        from authenticator.tui.app import run

        return run(args)
    from authenticator.tui.web import serve

    # The server outlives each page that is opened and closed, so it is not any page's own.
    with _server(args, output):
        serve(args, output)
    return 0


def _server(args: Namespace, output: Output) -> AbstractContextManager[object]:
    from authenticator.client import ServerClient, open_http
    from authenticator.server_process import server_at

    if not args.with_server:
        return nullcontext()
    client = ServerClient(args.server, open_http(args.server))
    try:
        client.call("GET", "/_stub/health")
    except Unreachable:
        output.say("Starting a server …")
        return server_at(args.server)
    finally:
        client.close()
    output.say(f"A server answers at {args.server} already.")
    return nullcontext()
