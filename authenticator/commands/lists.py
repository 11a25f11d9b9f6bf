"""`stepup-phone profiles` and `faults`."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from authenticator.output import Output, table
from device_keys.clock import parse_instant

if TYPE_CHECKING:
    from authenticator.phone import Phone

LONGEST_HONEST_RUN: Final = timedelta(seconds=60)


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

    from authenticator.client import server_url
    from authenticator.faults import find_fault
    from authenticator.faults.flows import Stage, own_stage, play, summary
    from authenticator.phone import Phone

    fault, server = find_fault(args.run, "--run"), server_url(args.server)
    with tempfile.TemporaryDirectory() as home:
        phone = Phone(Path(home), secret=b"a fresh phone for one run of one", token=args.token)
        profile = fault.profiles[0]
        stage = own_stage(server, profile, phone) if fault.code_script is None else Stage(server, profile)
        with _noticed_clock(phone, server, output):
            result = summary(fault.name, play(fault, stage, phone))
        phone.close()
    show_run(result, output)


@contextmanager
def _noticed_clock(phone: Phone, server: str, output: Output) -> Iterator[None]:
    """Says so where the run has advanced the server's clock: other phones and sessions of that server are older now."""

    def now() -> datetime:
        return parse_instant(phone.server(server).stub("GET", "clock")["now"])

    before = now()
    yield
    if now() - before > LONGEST_HONEST_RUN:
        output.say("This run advanced the server's clock. To put it back: stepup-server clock release")


def show_run(result: dict[str, Any], output: Output) -> None:
    """The checks that a run tripped, with what was expected and seen."""
    cells = [(f["check"], f["reason"], f.get("expected", ""), f.get("actual", "")) for f in result["failed"]]
    output.result(result, table(cells, ("TRIPPED", "REASON", "EXPECTED", "WAS")))


def scenarios(args: Namespace, output: Output) -> None:
    """The stories of attack; or one of them, played."""
    from authenticator.scenarios import SCENARIOS

    if args.run is not None:
        run_scenario(args, output)
        return
    rows = [scenario.to_json() for scenario in SCENARIOS.values()]
    cells = [(r["name"], ", ".join(r["trips"]), r["story"]) for r in rows]
    output.result(rows, table(cells, ("SCENARIO", "TRIPS", "STORY")))


def run_scenario(args: Namespace, output: Output) -> None:
    """Play a story on a fresh phone, and show what it tripped."""
    import tempfile
    from pathlib import Path

    from authenticator.client import server_url
    from authenticator.errors import UsageError
    from authenticator.faults.flows import own_stage, summary
    from authenticator.phone import Phone
    from authenticator.scenarios import SCENARIOS

    scenario = SCENARIOS.get(args.run)
    if scenario is None:
        raise UsageError(f"--run: no scenario is called {args.run!r}; stepup-phone scenarios lists them", field="--run")
    with tempfile.TemporaryDirectory() as home:
        phone = Phone(Path(home), secret=b"a fresh phone for one run of one", token=args.token)
        stage = own_stage(server_url(args.server), scenario.profile, phone)
        with _noticed_clock(phone, stage.server, output):
            result = summary(scenario.name, scenario.play(stage, phone))
        phone.close()
    show_run(result, output)
