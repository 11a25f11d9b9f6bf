"""What the subcommands share: the phone of the arguments, and secrets that need not stand on a command line."""

from __future__ import annotations

import os
import sys
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from authenticator import client
from authenticator.errors import UsageError
from device_keys.clock import Clock, parse_clock
from device_keys.encoding import FormatError

if TYPE_CHECKING:
    from authenticator.ceremonies import Edits
    from authenticator.output import Output
    from authenticator.phone import Phone


@contextmanager
def opened_phone(args: Namespace) -> Iterator[tuple[Phone, str]]:
    """The phone at `--home`, and the server's URL; closed afterwards."""
    from authenticator.phone import Phone, default_home

    url = client.server_url(args.server)
    home = Path(args.home) if args.home else default_home()
    phone = Phone(home, clock=fixed_clock(args.clock), token=args.token, http_factory=client.open_http)
    try:
        yield phone, url
    finally:
        phone.close()


def fixed_clock(text: str | None) -> Clock | None:
    """The clock of `--clock`."""
    if text is None:
        return None
    try:
        instant = parse_clock(text, "--clock")
    except FormatError as error:
        raise UsageError(str(error), field="--clock") from error
    return lambda: instant


def secret_argument(value: str | None, variable: str, option: str) -> str | None:
    """A secret from the option, from stdin (`-`), or from the environment."""
    if value == "-":
        value = sys.stdin.readline().rstrip("\r\n")
        if not value:
            raise UsageError(f"{option} -: nothing was read from stdin", field=option)
    return value if value is not None else os.environ.get(variable) or None


def demand_secret(value: str | None, variable: str, option: str) -> str:
    """As `secret_argument`; asked for on a terminal, `UsageError` elsewhere."""
    secret = secret_argument(value, variable, option)
    if secret is None and sys.stdin is not None and sys.stdin.isatty():
        from getpass import getpass

        secret = getpass(f"{option.removeprefix('--').capitalize()}: ")
    if not secret:
        raise UsageError(f"{option}: expected a value, - for stdin, or the variable {variable}", field=option)
    return secret


def edits_of(name: str | None, command: str, output: Output) -> Edits:
    """The edits of `--fault`, honest where none is named; a note where the fault acts elsewhere."""
    from authenticator.ceremonies import HONEST
    from authenticator.faults import find_fault

    if name is None:
        return HONEST
    fault = find_fault(name)
    if not fault.acts_in(command):
        output.say(f"The fault {name} does not act in {command}: the phone behaves honestly here.")
        return HONEST
    return fault.edits
