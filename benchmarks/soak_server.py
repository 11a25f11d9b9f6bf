"""The server's memory over many step-ups: `python -m benchmarks.soak_server [--step-ups N]`, bounded, prints a line for each part.

One process on SQLite with one core. Each step-up is a new payment of one of eight phones with a session, nonce and signature of its own,
sent over kept connections; the phones' side prepares them in parts, beside the running server, on the same database.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from benchmarks.prepared import Prepared
from benchmarks.servers import free_port, ours, serving
from benchmarks.stepping_up import CONNECTIONS, Under, core

PART = 5_000
# Between the end of the first tenth, when the recorder and every cache are full, and the end.
ALLOWED_MIB = 8.0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak_server", description=__doc__)
    parser.add_argument("--step-ups", type=int, default=200_000)
    wanted = parser.parse_args().step_ups
    points: list[tuple[int, float]] = []
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        prepared = Prepared(str(Path(folder) / "server.sqlite3"), CONNECTIONS)
        stack.callback(prepared.close)
        port = free_port()
        command = ours(port, "--dialect", "bank", "--database", prepared.url)
        process = stack.enter_context(serving(command, port, "/_stub/health", core=core()))
        seconds = 0.0
        for start in range(0, wanted, PART):
            count = min(PART, wanted - start)
            client = Under(stack, process, prepared.requests(count), once=True)
            seconds += client.send(count)
            client.client.close()
            points.append((start + count, process.resident_mib))
            print(
                f"{start + count:>9,} step-ups  {process.resident_mib:6.1f} MiB  {(start + count) / seconds:5.0f}/s",
                flush=True,
            )
    warm = next(mib for done, mib in points if done >= wanted / 10)
    growth = points[-1][1] - warm
    print(f"growth after the first tenth: {growth:+.1f} MiB (allowed {ALLOWED_MIB:.0f})")
    return 0 if growth <= ALLOWED_MIB else 1


if __name__ == "__main__":
    sys.exit(main())
