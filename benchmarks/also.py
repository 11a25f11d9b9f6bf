"""Further rows, for information: what a person waits for. Their limit is the interpreter's own start, or one Argon2id hash."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from benchmarks.rounds import Costs, Row
from server_stub.passwords import DEFAULT_COST, hash_secret, secret_matches
from server_stub.testing import InProcessServer, new_server

ROUNDS: Final = 5


def rows() -> list[Row]:
    return [_demo(), _reset(), _passcode()]


def _timed(functions: dict[str, Callable[[], object]]) -> Costs:
    kept: dict[str, list[float]] = {name: [] for name in functions}
    for number in range(ROUNDS + 1):
        for name, function in functions.items():
            begun = time.perf_counter()
            function()
            if number:  # the first round warms
                kept[name].append(time.perf_counter() - begun)
    return Costs({name: tuple(values) for name, values in kept.items()})


def _demo() -> Row:
    def command(*arguments: str) -> Callable[[], object]:
        return lambda: subprocess.run(
            [sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

    costs = _timed(
        {
            "limit": command("-c", "import textual.app, starlette.routing, uvicorn"),
            "ours": command("-m", "authenticator", "demo"),
        }
    )
    limit = "importing Textual and uvicorn once"
    return Row("demo", limit, "lower", costs.multiple("ours", "limit"), None, {}, "s", costs.medians())


def _reset() -> Row:
    """`POST /_stub/reset`, beside an empty call to the same server in process."""
    server = InProcessServer(new_server()).start()
    try:
        costs = _timed(
            {
                "limit": lambda: [server.http.get("/_stub/health") for _ in range(20)],
                "ours": lambda: [server.http.post("/_stub/reset") for _ in range(20)],
            }
        )
    finally:
        server.stop()
    return Row(
        "reset", "GET /_stub/health", "lower", costs.multiple("ours", "limit"), None, {}, "ms", costs.medians(50)
    )


def _passcode() -> Row:
    """Login with a passcode, in process, beside the one Argon2id hash that it must do."""
    from device_keys.entropy import SystemEntropy

    stored = hash_secret("111234", SystemEntropy(), DEFAULT_COST)
    with tempfile.TemporaryDirectory() as folder:
        from server_stub.database import open_database
        from server_stub.server import Server
        from server_stub.store import Store
        from server_stub.trust import load_trust

        store = Store(open_database(str(Path(folder) / "s.sqlite3")))
        made = Server(store, load_trust())
        made.start()
        server = InProcessServer(made).start()
        body = {"username": "9de3e326-b5bb-4cdc-bf6d-f6b609fbb765", "passcode": "111234"}

        def login() -> None:
            server.http.post(
                "/bank/v1/oauth2/login", json=body, headers={"X-APIKEY": "demo-api-key"}
            ).raise_for_status()

        try:
            costs = _timed({"limit": lambda: secret_matches(stored, "111234"), "ours": login})
        finally:
            server.stop()
            store.database.close()
    return Row(
        "passcode_login",
        "one Argon2id hash",
        "lower",
        costs.multiple("ours", "limit"),
        None,
        {},
        "ms",
        costs.medians(1000),
    )
