"""`stepup-phone proxy`."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from authenticator.client import open_http, server_url, tls_context
from authenticator.commands.common import edits_of, fixed_clock
from authenticator.errors import UsageError

if TYPE_CHECKING:
    from authenticator.output import Output
    from authenticator.phone import Phone


def main(args: Namespace, output: Output) -> None:
    """Forward until told to stop; the phone at `--home` answers the step-ups."""
    import httpx2

    from authenticator.faults import SIGN_ONLY
    from authenticator.listening import bind, serve
    from authenticator.phone import Phone, default_home
    from authenticator.proxy import Proxy
    from authenticator.rules import parse_rule
    from authenticator.transport import Adapter

    upstream, server = _upstream(args)
    rule = parse_rule(args.approve)
    edits = edits_of(args.fault, SIGN_ONLY, output)
    home = Path(args.home) if args.home else default_home()
    phone = Phone(home, clock=fixed_clock(args.clock), token=args.token, http_factory=open_http)
    _say_if_not_enrolled(phone, server, output)
    outcome = args.biometric or "match"
    adapter = Adapter(phone, server, rule=rule, outcome=outcome, edits=edits, say=output.say)
    verify = tls_context() if upstream.startswith("https:") else False
    # One second less than what servers usually keep an idle connection for.
    limits = httpx2.Limits(max_connections=None, max_keepalive_connections=20, keepalive_expiry=4.0)
    proxy = Proxy(upstream, adapter, httpx2.AsyncHTTPTransport(verify=verify, trust_env=False, limits=limits))
    try:
        serve(proxy, bind(args.host, args.port), output, tls_host=args.host if args.tls else None)
    finally:
        phone.close()


def _upstream(args: Namespace) -> tuple[str, str]:
    """The upstream as given, and the server that the phone is enrolled at: `--server` if given, else the upstream without its path."""
    from urllib.parse import urlsplit

    from authenticator.cli import DEFAULT_SERVER

    try:
        upstream = server_url(args.upstream)
    except UsageError as error:
        raise UsageError(error.message.replace("--server", "--upstream"), field="--upstream") from error
    parts = urlsplit(upstream)
    given = server_url(args.server)
    return upstream, f"{parts.scheme}://{parts.netloc}" if given == DEFAULT_SERVER else given


def _say_if_not_enrolled(phone: Phone, server: str, output: Output) -> None:
    try:
        phone.enrolments(server)
    except UsageError as error:
        output.say(f"{error.message} Until then step-ups go on without evidence.")
