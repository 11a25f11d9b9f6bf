"""Row `suite`, for information: how long the whole test suite takes, beside merely collecting it.

Each round runs another fifth of the tests, drawn evenly from all areas, so that the rounds are alike and every test runs once.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

from benchmarks.rounds import Costs, Row

ROUNDS: Final = 5
ROOT: Final = Path(__file__).parents[1]


def row() -> Row:
    """`RuntimeError` where a test fails: a suite that fails has no time worth keeping."""
    collecting, running = [], []
    for number in range(1, ROUNDS + 1):
        collecting.append(_pytest("--collect-only", "-n", "0"))
        running.append(_pytest("-n", "auto", "--dist", "worksteal", "-p", "benchmarks.every_nth", part=number))
        print(f"  fifth {number}: {running[-1]:.0f} s", file=sys.stderr, flush=True)
    costs = Costs({"limit": tuple(collecting), "ours": tuple(ROUNDS * seconds for seconds in running)})
    notes = [f"every test once, in five runs one after another: {sum(running):.0f} s, five starts of pytest included"]
    if not os.environ.get("STEPUP_VECTORS"):
        notes.append("without STEPUP_VECTORS: the tests that need the vectors were skipped")
    return Row(
        "suite", "collecting the tests", "lower", costs.multiple("ours", "limit"), None, {}, "s", costs.medians(), tuple(notes)
    )  # fmt: skip


def _pytest(*options: str, part: int = 1) -> float:
    """Wall seconds of a run of pytest over this checkout."""
    command = [sys.executable, "-m", "pytest", "-q", "--no-header", "-p", "no:cacheprovider", *options]
    environment = os.environ | {"STEPUP_EVERY": f"{part}/{ROUNDS}"}
    begun = time.perf_counter()
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - begun
    if done.returncode:
        raise RuntimeError("the suite does not pass: " + " | ".join(done.stdout.strip().splitlines()[-5:]))
    return seconds
