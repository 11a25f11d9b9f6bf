"""`python -m benchmarks`: all rows, or those named, into `benchmarks/results/latest.json` and `latest.md`.

Rows that are not measured in this run keep their last result. `--fill-seconds`: for how long `growth` may fill each database.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final

from benchmarks.rounds import Row

RESULTS: Final = Path(__file__).parent / "results"
# The rows with a target and peers, in the table's order; and what is measured for information.
ROWS: Final = (
    "verify_assertion", "verify_registration", "make_assertion", "step_up_http", "growth", "server_start", "phone_start", "server_memory",
)  # fmt: skip
ALSO: Final = ("growth_postgresql", "demo", "reset", "passcode_login", "suite")

_MET: Final = {True: "met", False: "missed", None: "not at full size"}


def groups(fill_seconds: float) -> dict[str, Callable[[], Iterable[Row]]]:
    """What is measured together, each imported when its turn comes."""

    def verifying() -> Iterable[Row]:
        from benchmarks import verifying

        yield verifying.assertion_row()
        yield verifying.registration_row()

    def making() -> Iterable[Row]:
        from benchmarks import making

        yield making.row()

    def stepping_up() -> Iterable[Row]:
        from benchmarks import stepping_up

        yield stepping_up.row()

    def starting() -> Iterable[Row]:
        from benchmarks import starting

        yield from starting.server_rows()
        yield starting.phone_row()

    def also() -> Iterable[Row]:
        from benchmarks import also

        yield from also.rows()

    def growing() -> Iterable[Row]:
        from benchmarks import growing

        yield from growing.rows(fill_seconds)

    def suite() -> Iterable[Row]:
        from benchmarks import suite

        yield suite.row()

    return {
        "verify": verifying,
        "make": making,
        "step-up": stepping_up,
        "start": starting,
        "also": also,
        "growth": growing,
        "suite": suite,
    }


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("group", nargs="*", help="verify, make, step-up, start, also, growth, suite (default: all)")
    parser.add_argument("--fill-seconds", type=float, default=180.0)
    options = parser.parse_args()
    chosen = groups(options.fill_seconds)
    if unknown := set(options.group) - set(chosen):
        parser.error(f"no such group: {', '.join(sorted(unknown))}")
    failed = []
    for name, measure in chosen.items():
        if options.group and name not in options.group:
            continue
        print(f"{name} …", file=sys.stderr, flush=True)
        begun = time.monotonic()
        try:
            for row in measure():
                record = row.to_json()
                print(_line(record), flush=True)
                _write(_last() | {row.name: record})
        except Exception as problem:  # the other rows are still worth having
            failed.append(name)
            print(f"  {name} failed: {type(problem).__name__}: {problem}", file=sys.stderr)
        print(f"  {time.monotonic() - begun:.0f} s", file=sys.stderr)
    return 1 if failed else 0


def _last() -> dict[str, Any]:
    try:
        document = json.loads((RESULTS / "latest.json").read_text())
        return {row["name"]: row for row in [*document["rows"], *document.get("also", [])]}
    except (OSError, ValueError, KeyError):
        return {}


def _write(kept: dict[str, Any]) -> None:
    rows, also = ([kept[name] for name in names if name in kept] for names in (ROWS, ALSO))
    load = os.getloadavg()[0]
    machine = f"{os.cpu_count()} cores ({platform.machine()}), Python {platform.python_version()}, load average {load:.1f} at the end"
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "latest.json").write_text(
        json.dumps({"rows": rows, "also": also, "machine": machine}, indent=1, ensure_ascii=False) + "\n"
    )
    head = "| row | limit = 1.00 | ours (min–max) | target | peers |\n| --- | --- | --- | --- | --- |\n"
    text = f"# Results\n\nWritten by `make bench`. {machine}.\n\n{head}" + "".join(
        _line(row) + "\n" for row in [*rows, *also]
    )
    notes = [f"- {row['name']}: {note}\n" for row in [*rows, *also] for note in row["notes"]]
    (RESULTS / "latest.md").write_text(text + ("\n" + "".join(notes) if notes else ""))


def _line(row: dict[str, Any]) -> str:
    peers = " · ".join(f"{name} {value:.2f}" for name, value in row["peers"].items()) or "–"
    sign = "≥" if row["better"] == "higher" else "≤"
    target = "–" if row["target"] is None else f"{sign} {row['target']:.2f} {_MET[row['met']]}"
    return f"| `{row['name']}` | {row['limit']} | {row['ratio']:.2f} ({row['min']:.2f}–{row['max']:.2f}) | {target} | {peers} |"


if __name__ == "__main__":
    sys.exit(main())
