"""Whether the time of a refusal tells which element was wrong (RTS Art. 4(3)(a)): `python -m benchmarks.refusal_timing`.

The same step-up call is refused for several reasons, in turn, over one kept connection to a server process; the reasons are interleaved so
that the machine's drift falls on all alike. Printed: median and quartiles of each, and the largest difference between medians as a share
of the spread (interquartile range) of a single reason.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import median, quantiles

import httpx2

from authenticator.approving import client_request, fetch, sign
from authenticator.apps.bank import BankApp
from authenticator.client import Call
from authenticator.enrolling import enrol
from authenticator.faults import FAULTS
from authenticator.faults.flows import ORDER, Stage
from authenticator.phone import Phone
from authenticator.server_process import running_server
from authenticator.state import POSSESSION

ROUNDS = 60
REASONS = (
    "wrong-passcode",
    "foreign-username",
    "no-evidence",
    "garbled-evidence",
    "unknown-credential",
    "forged-signature",
    "altered-amount",
)


def refused_call(name: str, phone: Phone, stage: Stage, transaction_id: str) -> Call:
    """The step-up call under a fault."""
    edits = FAULTS[name].edits
    enrolment, step_up = fetch(phone, stage.server, transaction_id)
    approval = sign(phone, enrolment, step_up, POSSESSION, edits=edits)
    return client_request(phone, approval, passcode=stage.passcode, edits=edits)


def measure(http: httpx2.Client, phone: Phone, stage: Stage, rounds: int) -> dict[str, list[float]]:
    """Seconds of each refusal, by reason."""
    seen: dict[str, list[float]] = {name: [] for name in REASONS}
    enrolment = enrol(phone, stage.applicant())
    for number in range(rounds):
        for name in REASONS[number % len(REASONS) :] + REASONS[: number % len(REASONS)]:
            http.post(f"/_stub/users/{stage.user}/unblock", json={"proofRef": "timing"})
            client = BankApp(phone, enrolment)
            client.login(stage.passcode)
            call = refused_call(name, phone, stage, client.start(ORDER))
            session = client.enrolment.session
            assert session is not None
            headers = {"X-APIKEY": stage.api_key, "Authorization": f"Bearer {session.access_token}", **call.headers}
            started = time.perf_counter()
            answer = http.request(call.method, call.path, headers=headers, json=call.body)
            seen[name].append(time.perf_counter() - started)
            assert answer.json()["code"] == "403.000.52", (name, answer.text)
    return seen


def show(seen: dict[str, list[float]], write: Callable[[str], None]) -> None:
    """The table, and how much the reasons differ."""
    write("| refused for | lower quartile ms | median ms | upper quartile ms |")
    write("|---|---|---|---|")
    medians, spreads = [], []
    for name, times in seen.items():
        low, middle, high = (1000 * value for value in quantiles(times, n=4))
        medians.append(middle)
        spreads.append(high - low)
        write(f"| {name} | {low:.1f} | {middle:.1f} | {high:.1f} |")
    difference = max(medians) - min(medians)
    write(f"\nLargest difference of medians {difference:.1f} ms; spread of one reason {median(spreads):.1f} ms.")


def main() -> None:
    with running_server("--port", "0", "--database", "memory") as url, tempfile.TemporaryDirectory() as home:
        phone = Phone(Path(home), secret=b"s" * 32)
        with httpx2.Client(base_url=url) as http:
            show(measure(http, phone, replace(Stage(url)), ROUNDS), print)
        phone.close()


if __name__ == "__main__":
    main()
