"""The command line `stepup-phone`: parse, one call, print, exit code. Everything heavy is imported by the command that needs it."""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Final, NoReturn, TextIO

from authenticator.errors import ExitCode, PhoneError, UsageError
from authenticator.output import Output

DEFAULT_SERVER: Final = "http://127.0.0.1:8080"
# Each command and the function that carries it out: (arguments, output) -> None or an exit code.
COMMANDS: Final = {
    "": "authenticator.commands.screen:open_phone",
    "demo": "authenticator.demo:run",
    "enrol": "authenticator.commands.enrol:run",
    "pay": "authenticator.commands.step_ups:pay",
    "pending": "authenticator.commands.step_ups:pending",
    "approve": "authenticator.commands.step_ups:approve",
    "decline": "authenticator.commands.step_ups:decline",
    "sms": "authenticator.commands.inbox:sms",
    "mail": "authenticator.commands.inbox:mail",
    "totp": "authenticator.commands.inbox:totp",
    "keys": "authenticator.commands.keys:run",
    "unlock": "authenticator.commands.keys:unlock",
    "profiles": "authenticator.commands.lists:profiles",
    "faults": "authenticator.commands.lists:faults",
    "scenarios": "authenticator.commands.lists:scenarios",
    "attest": "authenticator.commands.reviewing:attest",
    "inspect": "authenticator.commands.reviewing:inspect",
    "proxy": "authenticator.proxy_cli:main",
    "control": "authenticator.control:main",
}
_DASHED: Final = re.compile("-[^-]")
Command = Callable[[argparse.Namespace, Output], ExitCode | int | None]


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are ours, so that `--json` holds for them too."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message} (see: {self.prog} --help)")


def build_parser() -> _Parser:
    """The whole command line; the options that all commands share may stand before or after the command."""
    shared = _shared_options()
    parser = _Parser(
        prog="stepup-phone",
        description="A simulated phone for step-up (SCA) testing. Without a command it opens the phone's screen.",
        epilog="Exit codes: 0 accepted or done, 1 refused, 2 usage, 3 unreachable or unreadable.",
        parents=[shared],
    )
    parser.add_argument(
        "--web", nargs="?", type=_port, const=8000, metavar="PORT",
        help="serve the phone's screen to a browser of this machine (port 8000; 0 picks one)",
    )  # fmt: skip
    parser.add_argument("--with-server", action="store_true", help="start a server too, where none answers at --server")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", parser_class=_Parser)

    def command(name: str, summary: str) -> _Parser:
        return commands.add_parser(name, help=summary, description=summary, parents=[shared])

    command("demo", "the main job end to end, with no set-up: a payment stepped up with two factors, twice")
    _add_enrol(command("enrol", "enrol this phone at a server: login, SMS code, a key per factor"))
    _add_pay(command("pay", "make a payment in the phone's own bank app"))
    command("pending", "list the step-ups that wait for this phone")
    _add_approve(command("approve", "show a step-up, let the user authenticate, sign it"))
    command("decline", "refuse a step-up").add_argument("transaction", metavar="ID", help="the transaction id")
    _add_inboxes(command)
    keys = command("keys", "list the keys in the secure hardware, or wipe the phone")
    keys.add_argument("action", nargs="?", choices=["reset"], help="reset: delete all keys and enrolments")
    unlock = command("unlock", "give the screen lock's PIN: frees a locked biometric sensor")
    unlock.add_argument("--pin", default="1234", metavar="TEXT|-", help="the PIN (- reads stdin; default 1234)")
    command("profiles", "list the phones that can be simulated")
    faults = command("faults", "list the misbehaviours that can be simulated, each with the check that it trips")
    faults.add_argument(
        "--variants", action="store_true", help="list further ways to trip a check that has its fault already"
    )
    faults.add_argument("--run", metavar="NAME", help="play this fault against the server, from enrolment to verdict")
    scenarios = command("scenarios", "list the stories of attack, each with the checks that it trips")
    scenarios.add_argument("--run", metavar="NAME", help="play this story against the server")
    _add_reviewing(command)
    _add_services(command)
    return parser


def _shared_options() -> _Parser:
    shared = _Parser(add_help=False, argument_default=argparse.SUPPRESS)
    group = shared.add_argument_group("shared options")
    group.add_argument("--server", metavar="URL", help=f"the verification server (default {DEFAULT_SERVER})")
    group.add_argument("--token", help="the server's token, where it is not on loopback (or STEPUP_TOKEN)")
    group.add_argument("--home", metavar="DIR", help="the phone's folder (default: in the platform's data folder)")
    group.add_argument("--clock", metavar="ISO-8601", help="the phone's clock stands at this instant")
    group.add_argument("--json", action="store_true", help="one JSON document on stdout; talk goes to stderr")
    return shared


def _add_enrol(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--dialect", choices=["bank", "weavr"], default="bank", help="whose API (default bank)")
    parser.add_argument("--qr", metavar="URI", help="register for LoginRadius push instead, by the text of the QR code")
    parser.add_argument("--user", help="user name (default: the dialect's demo user)")
    _add_passcode(parser, "the passcode")
    parser.add_argument(
        "--password", metavar="TEXT|-", help="the password, at Weavr (- reads stdin; or STEPUP_PASSWORD)"
    )
    parser.add_argument("--profile", default="pixel-9", help="which phone this is (default pixel-9; see: profiles)")
    parser.add_argument("--number", default="+447700900123", help="this phone's number")
    parser.add_argument("--api-key", default="demo-api-key", help="the client's API key")
    parser.add_argument("--seed", metavar="TEXT", help="repeatable keys and ids; remembered")
    parser.add_argument("--code", help="the activation code (default: read from this phone's SMS inbox)")
    _add_fault(parser)


def _add_passcode(parser: argparse.ArgumentParser, what: str) -> None:
    parser.add_argument("--passcode", metavar="TEXT|-", help=f"{what} (- reads stdin; or STEPUP_PASSCODE)")


def _add_biometric(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--biometric",
        nargs="?",
        const="match",
        choices=["match", "no-match", "cancel"],
        help="approve by the biometric sensor, and what it meets (default match)",
    )


def _add_fault(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--fault", metavar="NAME", help="misbehave in this way (see: faults)")


def _add_pay(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--amount", required=True, help="such as 10.00")
    parser.add_argument("--currency", default="GBP", help="three letters (default GBP)")
    parser.add_argument("--payee", default="ACME Ltd", help="the payee's name (default ACME Ltd)")
    parser.add_argument("--sort-code", default="112233", help="the payee's sort code (default 112233)")
    parser.add_argument("--account", default="12345678", help="the payee's account number (default 12345678)")
    _add_passcode(parser, "the passcode: logs in, and approves unless --biometric is given")
    _add_biometric(parser)
    _add_fault(parser)


def _add_approve(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("transaction", metavar="ID", help="the transaction id")
    _add_passcode(parser, "approve with the passcode; it is not sent without --sign-only")
    _add_biometric(parser)
    parser.add_argument(
        "--sign-only", action="store_true", help="print the client's step-up request instead of delivering"
    )
    parser.add_argument("--refresh-token", metavar="TOKEN", help="the client's refresh token, for a biometric request")
    _add_fault(parser)


def _add_inboxes(command: Callable[[str, str], argparse.ArgumentParser]) -> None:
    for name, summary in (("sms", "read this phone's SMS"), ("mail", "read the user's mail")):
        parser = command(name, summary)
        parser.add_argument("--to", help="the number or address (default: the enrolment's, else the demo user's)")
        parser.add_argument("--wait", type=float, metavar="SECONDS", help="wait for a message not yet read")
        parser.add_argument("--code-only", action="store_true", help="print the newest code and nothing else")
    totp = command("totp", "the authenticator app: running codes")
    totp.add_argument("action", nargs="?", choices=["add", "remove"], help="add URI, or remove LABEL")
    totp.add_argument(
        "value", nargs="?", metavar="URI|LABEL", help="an otpauth URI (- reads stdin), or an account's label"
    )
    totp.add_argument("--wait", type=float, metavar="SECONDS", help="accepted as for sms; codes are always there")
    totp.add_argument("--code-only", action="store_true", help="print the newest account's code and nothing else")


def _add_reviewing(command: Callable[[str, str], argparse.ArgumentParser]) -> None:
    attest = command("attest", "make an attestation for testing any verifier; needs no server")
    attest.add_argument("--profile", default="pixel-9", help="which phone attests (default pixel-9)")
    attest.add_argument(
        "--challenge", required=True, metavar="B64URL", help="the exact bytes to be attested, base64url"
    )
    attest.add_argument("--format", help="the statement's format (default: the profile's first)")
    attest.add_argument("--out", required=True, metavar="DIR", help="where the four files are written")
    attest.add_argument("--seed", metavar="TEXT", help="repeatable keys and certificates")
    _add_fault(attest)
    inspect = command("inspect", "explain a registration, assertion, attestation, chain, JWS or evidence bundle")
    inspect.add_argument("file", metavar="FILE", help="the file, or - for stdin")


def _add_services(command: Callable[[str, str], argparse.ArgumentParser]) -> None:
    proxy = command("proxy", "forward an unchanged client's calls and add the device evidence to its step-up")
    proxy.add_argument("--upstream", metavar="URL", required=True, help="the server behind the proxy")
    proxy.add_argument("--host", default="127.0.0.1", help="the address to listen at (default 127.0.0.1)")
    proxy.add_argument("--port", type=_port, required=True, help="the port to listen at (0 picks one)")
    proxy.add_argument("--tls", action="store_true", help="serve TLS with a certificate of the local test CA")
    _add_passcode(proxy, "accepted for scripts; the passcode itself comes from the client")
    proxy.add_argument(
        "--approve", metavar="RULE", default="always", help="always, ask (default always), or a rule: amount<=X"
    )
    _add_biometric(proxy)
    _add_fault(proxy)
    control = command("control", "a headless phone, driven over HTTP by tests in any language")
    control.add_argument("--host", default="127.0.0.1", help="the address to listen at (default 127.0.0.1)")
    control.add_argument("--port", type=_port, required=True, help="the port to listen at (0 picks one)")


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) < 65536):
        raise argparse.ArgumentTypeError(f"expected a port, 0 to 65535, not {text!r}")
    return int(text)


def main(argv: Sequence[str] | None = None, *, stdout: TextIO | None = None, stderr: TextIO | None = None) -> int:
    """Run one command; its exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    output = Output(as_json="--json" in arguments, stdout=stdout, stderr=stderr)
    try:
        args = build_parser().parse_args(_with_values(arguments), _defaults())
        return int(_command(args.command or "")(args, output) or ExitCode.OK)
    except PhoneError as error:
        output.error(error)
        return error.exit_code
    except KeyboardInterrupt:
        output.error(PhoneError("interrupted", "interrupted"))
        return ExitCode.REFUSED
    except BrokenPipeError:
        return ExitCode.OK  # the reader of our output has seen enough


def _with_values(words: Sequence[str]) -> list[str]:
    """Options and values that begin with a dash, as one refresh token in 64 does, as one word each: argparse would take such a value for
    an option. No option has a single dash but -h."""
    joined: list[str] = []
    for word in words:
        if joined and joined[-1].startswith("--") and "=" not in joined[-1] and _DASHED.match(word) and word != "-h":
            joined[-1] += f"={word}"
        else:
            joined.append(word)
    return joined


def _defaults() -> argparse.Namespace:
    token = os.environ.get("STEPUP_TOKEN") or None
    return argparse.Namespace(server=DEFAULT_SERVER, token=token, home=None, clock=None, json=False)


def _command(name: str) -> Command:
    module, function = COMMANDS[name].split(":")
    command: Command = getattr(import_module(module), function)
    return command
