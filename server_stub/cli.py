"""`stepup-server`: serves, and reads what a server knows. stdout is data, stderr is talk."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any, Final, TextIO

from server_stub.exits import CommandError, Exit

DEFAULT_SERVER: Final = "http://127.0.0.1:8080"


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors can be reported as JSON like any other."""

    def error(self, message: str) -> Any:
        raise CommandError(Exit.USAGE, "usage", f"{message}; see {self.prog} --help")


def main(argv: Sequence[str] | None = None, *, out: TextIO | None = None) -> int:
    """Run a command; its exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    out = out or sys.stdout
    as_json = "--json" in arguments
    try:
        options = _parser().parse_args(arguments)
        command: Callable[[argparse.Namespace, TextIO], int] = options.command
        return command(options, out)
    except CommandError as problem:
        if as_json:
            print(json.dumps({"error": {"code": problem.code, "message": str(problem)}}), file=out)
        else:
            print(f"stepup-server: {problem}", file=sys.stderr)
        return problem.exit_code
    except BrokenPipeError:
        return Exit.UNREADABLE
    except KeyboardInterrupt:
        return 130


def _token() -> str | None:
    """From the environment, where other users of the machine do not see it as they see a command line."""
    return os.environ.get("STEPUP_TOKEN") or None


def _parser() -> Parser:
    parser = Parser(prog="stepup-server", description="The verification server of stepup-simulator.")
    parser.add_argument("--version", action="version", version=_version())
    commands = parser.add_subparsers(metavar="COMMAND", required=True, parser_class=Parser)
    _add_serve(commands)
    appraise = _add(commands, "appraise", "judge an evidence bundle offline", _lazy("appraise"))
    appraise.add_argument("file", metavar="FILE", help="the bundle; - reads stdin")
    appraise.add_argument("--now", metavar="ISO-8601", help="judge at this instant (default: the recorded one)")
    appraise.add_argument(
        "--policy",
        choices=("strict", "lenient", "spec-vector"),
        help="judge by this policy (default: the shipped one of the recorded name)",
    )
    appraise.add_argument("--trust-anchors", metavar="DIR", help="further root certificates (PEM) that you trust")
    appraise.add_argument(
        "--server-key",
        metavar="FILE",
        help="the server's public key (evidence-key prints it): the signature is checked",
    )
    appraise.add_argument(
        "--as-recorded", action="store_true", help="judge by the policy and trust anchors that the file itself brings"
    )
    appraise.add_argument("--html", metavar="OUT", help="write the report as one HTML file")
    for name, text in (
        ("report", "the compliance report of a transaction"),
        ("evidence", "its evidence bundle, for appraise"),
    ):
        command = _add(commands, name, text, _lazy(name), remote=True)
        command.add_argument("transaction", metavar="TRANSACTION_ID")
        command.add_argument(
            "--attempt",
            type=_attempt,
            metavar="N|last",
            help="which attempt; last: the newest of any kind (default: the latest that was not refused at the door)",
        )
        if name == "report":
            command.add_argument("--html", metavar="OUT", help="write the report as one HTML file")
    log = _add(commands, "log", "the event log: verify checks its hash chain", _lazy("log"), remote=True)
    log.add_argument("action", choices=("verify",))
    log.add_argument(
        "--head", type=_hash, metavar="HASH", help="a head that was kept elsewhere: it must still be there"
    )
    log.add_argument("--count", type=_count, metavar="N", help="the count that was kept with it")
    _add(
        commands, "evidence-key", "the public key that signs evidence bundles (PEM)", _lazy("evidence_key"), remote=True
    )
    clock = _add(commands, "clock", "show or steer the server's clock", _lazy("clock"), remote=True)
    clock.add_argument("action", choices=("show", "set", "advance", "release"))
    clock.add_argument("value", nargs="?", metavar="T|SECONDS", help="an ISO 8601 instant for set, seconds for advance")
    _add(commands, "ca", "print the path of the local test CA's certificate", _lazy("ca"), remote=True)
    return parser


def _version() -> str:
    from device_keys import __version__

    return f"stepup-simulator {__version__}"


def _lazy(name: str) -> Callable[[argparse.Namespace, TextIO], int]:
    """A command whose module is imported when it runs: start-up stays quick."""

    def run(options: argparse.Namespace, out: TextIO) -> int:
        from server_stub import commands

        chosen: Callable[[argparse.Namespace, TextIO], int] = getattr(commands, name)
        return chosen(options, out)

    return run


def _add(commands: Any, name: str, text: str, command: Callable[..., int], *, remote: bool = False) -> Parser:
    parser: Parser = commands.add_parser(name, help=text, description=text.capitalize() + ".")
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout and nothing else")
    if remote:
        parser.add_argument(
            "--server", default=DEFAULT_SERVER, metavar="URL", help=f"the server (default {DEFAULT_SERVER})"
        )
        parser.add_argument(
            "--token", metavar="TEXT", default=_token(), help="the token that serve was given (or STEPUP_TOKEN)"
        )
    parser.set_defaults(command=command)
    return parser


def _example(options: argparse.Namespace, out: TextIO) -> int:
    """`serve --declarations example`: such a file, and no server."""
    from server_stub.declarations import example

    print(json.dumps({"declarations": example()}) if options.json else example(), end="", file=out)
    return Exit.DONE


def _add_serve(commands: Any) -> None:
    def run(options: argparse.Namespace, out: TextIO) -> int:
        if options.declarations == "example":
            return _example(options, out)
        if options.workers > 1:
            from server_stub.multiprocess import serve_many

            return serve_many(options, out)
        from server_stub.serving import serve

        return serve(options, out)

    serve = _add(commands, "serve", "run the server", run)
    serve.add_argument("--host", default="127.0.0.1", help="address to listen on (default 127.0.0.1)")
    serve.add_argument("--port", type=_port, default=8080, help="port; 0 picks one (default 8080)")
    serve.add_argument(
        "--dialect",
        choices=("all", "bank", "weavr", "loginradius"),
        default="all",
        help="one dialect stands at the root",
    )
    serve.add_argument(
        "--database", type=_database, metavar="URL|memory", help="default: a SQLite file in the platform's data folder"
    )
    serve.add_argument("--workers", type=int, default=1, metavar="N", help="processes on this machine")
    serve.add_argument("--policy", choices=("strict", "lenient"), default="strict")
    serve.add_argument(
        "--seed", metavar="TEXT", help="every random value derived from this text: runs repeat byte for byte"
    )
    serve.add_argument("--clock", metavar="ISO-8601", help="start with the clock frozen there")
    serve.add_argument(
        "--methods", metavar="PASSCODE,BIOMETRIC", help="pin the authentication methods that the bank offers"
    )
    serve.add_argument("--fixed-otp", metavar="CODE", help="every one-time code is this one, as in a vendor's sandbox")
    serve.add_argument(
        "--token",
        metavar="TEXT",
        default=_token(),
        help="bearer token of the operator's routes; needed off loopback (or STEPUP_TOKEN)",
    )
    serve.add_argument("--tls", action="store_true", help="serve HTTPS with a certificate of the local test CA")
    serve.add_argument("--tls-cert", metavar="FILE", help="serve HTTPS with this certificate chain …")
    serve.add_argument("--tls-key", metavar="FILE", help="… and this key")
    serve.add_argument("--trust-anchors", metavar="DIR", help="further root certificates (PEM) to trust")
    serve.add_argument(
        "--revocation-list", metavar="FILE", help="revoked attestation certificates, in Google's status format"
    )
    serve.add_argument(
        "--declarations",
        metavar="FILE|example",
        help="what only an operator can state (TOML); example prints such a file, and no server starts",
    )
    serve.add_argument("--webhook", type=_web_address, metavar="URL", help="where Weavr's webhooks go")
    serve.add_argument("--sms-webhook", type=_web_address, metavar="URL", help="where every SMS is posted too")
    serve.add_argument(
        "--smtp", type=_host_and_port, metavar="HOST:PORT", help="mail server that every e-mail is sent through too"
    )


def _attempt(text: str) -> str:
    if text != "last" and not (text.isascii() and text.isdigit() and 0 < len(text) < 10):
        raise argparse.ArgumentTypeError(f"expected the number of an attempt, or last, not {text!r}")
    return text


def _hash(text: str) -> str:
    if len(text) != 64 or set(text) - set("0123456789abcdef"):
        raise argparse.ArgumentTypeError("expected a SHA-256 in lower-case hex")
    return text


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 16):
        raise argparse.ArgumentTypeError(f"expected a number of entries, not {text!r}")
    return int(text)


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) < 65536):
        raise argparse.ArgumentTypeError(f"expected a port, 0 to 65535, not {text!r}")
    return int(text)


def _database(text: str) -> str:
    scheme, separator, _ = text.partition("://")
    if separator and scheme not in ("sqlite", "postgresql", "postgres"):
        raise argparse.ArgumentTypeError("expected memory, a file, sqlite:///FILE or postgresql://…")
    return "memory" if text == ":memory:" else text


def _web_address(text: str) -> str:
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(text)
        valid = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        valid = False
    if not valid:
        raise argparse.ArgumentTypeError(f"expected an http or https URL, not {text!r}")
    return text


def _host_and_port(text: str) -> str:
    host, _, port = text.rpartition(":")
    if not host or not _port(port):
        raise argparse.ArgumentTypeError(f"expected HOST:PORT, not {text!r}")
    return text


if __name__ == "__main__":
    sys.exit(main())
