"""Row `step_up_http`: the biometric step-up call alone, over HTTP, with verdict, log and durable commit, on one core."""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from benchmarks.material import ORIGIN, RP_ID, Authenticator, b64url
from benchmarks.prepared import Prepared
from benchmarks.processes import node, peer
from benchmarks.rounds import Row
from benchmarks.servers import Client, Process, bare, free_port, ours, post, serving

CONNECTIONS: Final = 8
ROUNDS: Final = 7
SLICES: Final = 5
BATCH: Final = 40  # requests of each server in a slice
LIMIT: Final = "starlette + bare verify + one durable SQLite commit"


class Under:
    """A server under load: its client, and the requests still to be sent."""

    def __init__(self, stack: ExitStack, process: Process, requests: Sequence[bytes], *, once: bool) -> None:
        self.process = process
        self.client = Client(process.port, CONNECTIONS)
        stack.callback(self.client.close)
        self._requests, self._once, self._next = requests, once, 0

    def send(self, count: int) -> float:
        """The next `count` requests; the seconds they took. `once`: each may be sent a single time."""
        if self._once and self._next + count > len(self._requests):
            raise RuntimeError("more requests are needed than were prepared")
        chosen = [self._requests[(self._next + i) % len(self._requests)] for i in range(count)]
        self._next += count
        return self.client.send_all(chosen)


def take_turns(servers: dict[str, Under], *, rounds: int = ROUNDS) -> dict[str, list[float]]:
    """Requests per second of each server, round by round; they take turns within a round, and idle while others work."""
    for server in servers.values():
        server.send(BATCH)
    names = list(servers)
    rates: dict[str, list[float]] = {name: [] for name in names}
    for number in range(rounds):
        spent = dict.fromkeys(names, 0.0)
        for turn in range(SLICES):
            shift = (number + turn) % len(names)
            for name in names[shift:] + names[:shift]:
                spent[name] += servers[name].send(BATCH)
        for name in names:
            rates[name].append(SLICES * BATCH / spent[name])
    return rates


def needed(rounds: int = ROUNDS) -> int:
    """How many requests `take_turns` sends to each server."""
    return BATCH * (1 + SLICES * rounds)


def core() -> int | None:
    """The one core for the servers; None where there is but one."""
    cores = sorted(os.sched_getaffinity(0))
    return cores[-1] if len(cores) > 1 else None


def row() -> Row:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        prepared = Prepared(str(folder / "ours.sqlite3"), CONNECTIONS)
        requests = prepared.requests(needed())
        prepared.close()
        port = free_port()
        process = stack.enter_context(
            serving(ours(port, "--dialect", "bank", "--database", prepared.url), port, "/_stub/health", core=core())
        )
        servers = {"limit": _limit(stack, folder), "ours": Under(stack, process, requests, once=True)}
        servers |= _peers(stack, folder)
        rates = take_turns(servers)
    shares = {name: [a / b for a, b in zip(values, rates["limit"], strict=True)] for name, values in rates.items()}
    peers = {name: statistics.median(values) for name, values in shares.items() if name not in ("limit", "ours")}
    absolute = {name: statistics.median(values) for name, values in rates.items()}
    return Row("step_up_http", LIMIT, "higher", tuple(shares["ours"]), 0.60, peers, "requests/s", absolute)


def _limit(stack: ExitStack, folder: Path) -> Under:
    device = Authenticator()
    point = device.key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint).hex()
    file = folder / "limit.json"
    file.write_text(json.dumps({"point": point, "database": str(folder / "limit.sqlite3")}))
    signed = [device.sign(number) for number in range(100)]
    bodies = [json.dumps({"signature": b64url(one.signature), "signed": b64url(one.signed)}).encode() for one in signed]
    port = free_port()
    process = stack.enter_context(serving(bare("limit", port, str(file)), port, "/idle", core=core()))
    return Under(stack, process, [post("/", body) for body in bodies], once=False)


def _peers(stack: ExitStack, folder: Path) -> dict[str, Under]:
    device = Authenticator()
    signed = [device.sign(number + 1) for number in range(100)]
    bodies = [
        json.dumps({"challenge": b64url(one.challenge), "assertion": json.loads(one.text)}).encode() for one in signed
    ]
    file = folder / "peers.json"
    file.write_text(
        json.dumps(
            {
                "rpId": RP_ID, "origin": ORIGIN, "credentialId": b64url(device.credential_id), "cose": device.cose.hex(),
                "challenges": [b64url(one.challenge) for one in signed], "database": str(folder / "peers.sqlite3"),
            }
        )
    )  # fmt: skip
    ports = free_port(), free_port()
    commands = {
        "FastAPI + py_webauthn + SQLAlchemy": (peer("stack", "stack.py", str(ports[0]), str(file)), ports[0]),
        "Node + SimpleWebAuthn without a database": (node("stepup.mjs", str(ports[1]), str(file)), ports[1]),
    }
    found = {}
    for name, (command, port) in commands.items():
        if command is None:
            continue
        try:
            process = stack.enter_context(serving(command, port, core=core()))
        except (OSError, RuntimeError) as problem:
            print(f"  {name} is left out: {problem}", file=sys.stderr)
            continue
        found[name] = Under(stack, process, [post("/", body) for body in bodies], once=False)
    return found
