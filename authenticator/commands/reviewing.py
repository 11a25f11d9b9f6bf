"""`stepup-phone attest` and `inspect`."""

from __future__ import annotations

import sys
from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from authenticator.commands.common import fixed_clock
from authenticator.errors import ExitCode, Unreadable, UsageError
from authenticator.output import Output

if TYPE_CHECKING:
    from device_keys.entropy import Entropy


def attest(args: Namespace, output: Output) -> None:
    """Four files: the attestation object, its chain, the root, the claims."""
    from authenticator.attest import generate
    from authenticator.phone import find_profile
    from device_keys.clock import system_clock
    from device_keys.encoding import FormatError, b64url_decode

    profile = find_profile(args.profile)
    clock = fixed_clock(args.clock) or system_clock
    try:
        challenge = b64url_decode(args.challenge, "--challenge")
    except FormatError as error:
        raise UsageError(str(error), field="--challenge") from error
    folder = Path(args.out)
    claims = generate(profile, challenge, args.format, args.fault, folder, clock(), _entropy(args.seed))
    if args.fault is not None and claims["fault"] is None:
        output.say(
            f"The fault {args.fault} does not act on {claims['format']} of {profile.name}: this attestation is honest."
        )
    output.result(claims, f"Wrote attestation.bin, chain.pem, root.pem and claims.json into {folder}.")


def _entropy(seed: str | None) -> Entropy:
    from device_keys.entropy import SeededEntropy, SystemEntropy

    return SystemEntropy() if seed is None else SeededEntropy(seed)


def inspect(args: Namespace, output: Output) -> ExitCode:
    """Whatever is in the file, in words or as JSON; exit 3 where it is nothing known."""
    from authenticator.inspect import UNKNOWN
    from authenticator.inspect import inspect as inspect_bytes

    report = inspect_bytes(_read(args.file))
    output.result(report.to_json(), report.words())
    return ExitCode.UNREACHABLE if report.kind == UNKNOWN else ExitCode.OK


def _read(name: str) -> bytes:
    if name == "-":
        return sys.stdin.buffer.read()
    try:
        return Path(name).read_bytes()
    except OSError as error:
        raise Unreadable("unreadable_file", f"{name} cannot be read: {error.strerror}") from error
