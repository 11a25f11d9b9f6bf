"""A server's memory stays flat, however many step-ups it has judged (issue 9, "Load")."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ..server.conftest import Bank, Handset, LiveServer

# Whole payments. `python -m benchmarks.soak_server` sends 200,000 step-up calls with nothing around them.
STEP_UPS = int(os.environ.get("STEPUP_MEMORY_STEP_UPS", "10000"))
# Between two points of a run whose caches are warm. A leak of a kilobyte for each step-up would be ten times as much in the deep run.
ALLOWED_MIB = 20.0


def resident(server: LiveServer) -> float:
    """MiB that the server process holds."""
    assert server.process is not None
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    (line,) = [line for line in status.splitlines() if line.startswith("VmRSS")]
    return int(line.split()[1]) / 1024


def pay(bank: Bank, handset: Handset) -> None:
    transaction = bank.start()
    header = handset.header(transaction, "biometric")
    assert bank.step_up(transaction, bank.biometric(), header).status_code == 200


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.parametrize("count", [400, pytest.param(STEP_UPS, marks=pytest.mark.deep)])
def test_memory_is_flat_over_many_step_ups(
    live: Callable[..., LiveServer], live_phone: Callable[[str], Handset], tmp_path: Path, count: int
) -> None:
    """Step-ups with their payment refused, nonce, signature, verdict and log entries, on a SQLite file; the recorder full on the way."""
    server = live("--database", str(tmp_path / "server.sqlite3"), "--dialect", "all")
    handset, bank = live_phone(server.url), server.bank()
    bank.login()
    warm = min(count // 2, 2000)  # the recorder and every cache are full by then
    for _ in range(warm):
        pay(bank, handset)
    points = [(warm, resident(server))]
    for number in range(warm + 1, count + 1):
        pay(bank, handset)
        if number % max(1, count // 10) == 0:
            points.append((number, resident(server)))
            print(points[-1], flush=True)  # noqa: T201
    growth = points[-1][1] - points[0][1]
    print(f"step-ups {count}; resident MiB: {points}; growth {growth:.1f}")  # noqa: T201 (what a deep run records)
    assert growth < ALLOWED_MIB
