"""`stepup-phone profiles` and `faults`."""

from __future__ import annotations

from argparse import Namespace

from authenticator.output import Output, table


def profiles(args: Namespace, output: Output) -> None:
    """The phones that can be simulated."""
    from authenticator.profiles import PROFILES

    rows = [profile.summary() for profile in PROFILES.values()]
    cells = [(r["name"], r["platform"], r["securityLevel"], ", ".join(r["formats"])) for r in rows]
    output.result(rows, table(cells, ("PROFILE", "PLATFORM", "KEYS LIVE IN", "ATTESTS WITH")))


def faults(args: Namespace, output: Output) -> None:
    """The misbehaviours that can be simulated."""
    from authenticator.faults import FAULTS

    rows = [fault.to_json() for fault in FAULTS.values()]
    cells = [(r["name"], r["check"], r["flow"], r["simulates"]) for r in rows]
    output.result(rows, table(cells, ("FAULT", "TRIPS", "FLOW", "SIMULATES")))
