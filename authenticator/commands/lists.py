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
    """The misbehaviours that can be simulated; or one of them, run from enrolment to verdict."""
    from authenticator.faults import FAULTS, VARIANTS

    if args.run is not None:
        run_fault(args, output)
        return
    rows = [fault.to_json() for fault in (VARIANTS if args.variants else FAULTS).values()]
    cells = [(r["name"], r["check"], r["flow"], r["simulates"]) for r in rows]
    output.result(rows, table(cells, ("FAULT", "TRIPS", "FLOW", "SIMULATES")))


def run_fault(args: Namespace, output: Output) -> None:
    """Play a fault on a fresh phone, and show what it tripped."""
    import tempfile
    from pathlib import Path

    from authenticator.faults import find_fault
    from authenticator.faults.flows import Stage, run_by_name

    fault = find_fault(args.run)
    with tempfile.TemporaryDirectory() as home:
        result = run_by_name(fault, Stage(args.server, fault.profiles[0]), Path(home))
    cells = [(f["check"], f["reason"], f.get("expected", ""), f.get("actual", "")) for f in result["failed"]]
    output.result(result, table(cells, ("TRIPPED", "REASON", "EXPECTED", "WAS")))
