"""An hour of idle and a thousand approvals on the phone's screen, in compressed time: memory must stay flat and the screen responsive.

    python -m benchmarks.soak_phone [--approvals 1000] [--idle-seconds 3600] [--budget 900]

A real server process, a client that knows of no phone, and the screen without a terminal. Every approval slides in by its push, is approved
with one key, and is finished by the client. `--budget` ends it after so many real seconds, and says how far it came. Prints one JSON
document; exit 1 where memory grew by more than the allowance between the first third and the end.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import statistics
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
from textual.pilot import Pilot

from authenticator.server_process import running_server
from authenticator.tui.app import PhoneApp
from authenticator.tui.demo_details import DEMO
from authenticator.tui.handset import Handset
from authenticator.tui.views.approval import Approval

ALLOWANCE_MIB = 8.0
START = datetime(2026, 3, 1, 9, 41, 0, tzinfo=UTC)
PATIENCE_SECONDS = 60.0


class Client:
    """A bank's client: asks, and steps up when the phone has signed."""

    def __init__(self, url: str) -> None:
        self._http = httpx2.Client(
            base_url=f"{url}/bank/v1", verify=False, trust_env=False, headers={"X-APIKEY": "demo-api-key"}
        )
        self._tokens: dict[str, str] = self._post(
            "oauth2/login", {"username": DEMO["bank"].user, "passcode": DEMO["bank"].secret}
        )

    def _post(self, path: str, body: Any, **headers: str) -> Any:
        answer = self._http.post(f"/{path}", json=body, headers=headers)
        return answer.json()

    def begin(self) -> str:
        payee = {"name": "ACME Ltd", "sortCode": "112233", "accountNumber": "12345678"}
        bearer = f"Bearer {self._tokens['accessToken']}"
        answer = self._post(
            "payments/domestic", {"amount": "0.01", "currency": "GBP", "payee": payee}, Authorization=bearer
        )
        return str(answer["transactionId"])

    def step_up(self, transaction_id: str) -> None:
        body = {"refreshToken": self._tokens["refreshToken"], "authenticationMethod": "BIOMETRIC"}
        bearer = f"Bearer {self._tokens['accessToken']}"
        self._tokens = self._post("oauth2/stepup", body, Authorization=bearer, **{"X-TransactionId": transaction_id})
        assert "accessToken" in self._tokens, self._tokens


def resident_mib() -> float:
    """This process's resident memory."""
    gc.collect()
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise OSError("no VmRSS")


async def until(pilot: Pilot[int], condition: Any, what: str) -> None:
    end = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(what)
        await pilot.pause(0.01)


async def soak(url: str, home: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Idle, then approvals; what was seen."""
    now = [START]
    app = PhoneApp(Handset(url, home=home, clock=lambda: now[0], secret=b"s" * 32), still=True)
    memory: list[float] = []
    waits: list[float] = []
    deadline = time.monotonic() + options.budget
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: app.stage.top is not None, "the first view")
        demo = DEMO["bank"]
        await app.owning.enrol("bank", demo.user, demo.secret, number=demo.number, api_key=demo.api_key)
        await app.action_home()
        await until(pilot, lambda: app.desk.line.up, "the line")
        idle_start = resident_mib()
        for second in range(options.idle_seconds):
            now[0] += timedelta(seconds=1)
            app._tick()
            if second % 60 == 0:
                await pilot.pause(0)
        idle_end = resident_mib()
        now[0] = START
        client = await app.do(lambda: Client(url))
        done = 0
        while done < options.approvals and time.monotonic() < deadline:
            transaction_id = await app.do(client.begin)

            def on_screen(wanted: str = transaction_id) -> bool:
                top = app.stage.top
                return isinstance(top, Approval) and top.offer.transaction_id == wanted and top._ready

            await until(pilot, on_screen, "the sheet")
            pressed = time.perf_counter()
            await pilot.press("b")
            await until(pilot, lambda: not app.desk.waiting(), "the approval")
            waits.append((time.perf_counter() - pressed) * 1000)
            await app.do(lambda wanted=transaction_id: client.step_up(wanted))
            done += 1
            if done % max(1, options.approvals // 30) == 0:
                memory.append(round(resident_mib(), 1))
    return report(done, memory, waits, idle_start, idle_end)


def report(done: int, memory: list[float], waits: list[float], idle_start: float, idle_end: float) -> dict[str, Any]:
    """The document that is printed."""
    third = memory[len(memory) // 3 :]
    growth = round(third[-1] - third[0], 1) if third else 0.0
    return {
        "approvals": done,
        "memoryMiB": memory,
        "growthMiB": growth,
        "idleGrowthMiB": round(idle_end - idle_start, 1),
        "keyToDoneMs": {"median": round(statistics.median(waits)), "worst": round(max(waits))} if waits else None,
        "flat": growth <= ALLOWANCE_MIB and idle_end - idle_start <= ALLOWANCE_MIB,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description="An hour of idle and a thousand approvals on the phone's screen.")
    parser.add_argument("--approvals", type=int, default=1000)
    parser.add_argument("--idle-seconds", type=int, default=3600)
    parser.add_argument("--budget", type=float, default=900.0, help="real seconds after which it ends")
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as home,
        running_server("--port", "0", "--database", "memory", "--clock", START.isoformat()) as url,
    ):
        seen = asyncio.run(soak(url, Path(home), options))
    print(json.dumps(seen))
    return 0 if seen["flat"] else 1


if __name__ == "__main__":
    sys.exit(main())
