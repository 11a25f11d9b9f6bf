"""A server inside a test: in process over ASGI, or on a port of its own in a thread; its clock steered, its state reset in milliseconds."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec

from device_keys.clock import parse_clock, parse_instant, rfc3339
from device_keys.entropy import SeededEntropy, SystemEntropy
from device_keys.genuine_dates import show_genuine_class
from server_stub.app import create_app
from server_stub.database import MEMORY, open_database
from server_stub.policy import LENIENT, SPEC_VECTOR, STRICT
from server_stub.records import ServerClock
from server_stub.server import Server, Settings
from server_stub.store import Store
from server_stub.trust import load_trust
from server_stub.verdict import Outcome, Verdict

if TYPE_CHECKING:
    import httpx2
    from starlette.testclient import TestClient
    from starlette.types import ASGIApp

POLICIES: Final = {policy.name: policy for policy in (STRICT, LENIENT, SPEC_VECTOR)}
DIALECTS: Final = ("bank", "weavr", "loginradius")
IN_PROCESS_URL: Final = "http://testserver"
START_SECONDS: Final = 60.0
STOP_SECONDS: Final = 5.0


class ServerHandle:
    """What a test does with a server, in process or live. `http` is a client of it; `url` its address."""

    def __init__(self, server: Server, url: str) -> None:
        self.server = server
        self.url = url

    @property
    def http(self) -> httpx2.Client:
        """A client of this server."""
        raise NotImplementedError

    def open_http(self, url: str) -> httpx2.Client:
        """A further client, as a phone opens it."""
        raise NotImplementedError

    def path(self, dialect: str, path: str) -> str:
        """A path of a dialect where this server mounts it: `path("bank", "/v1/oauth2/login")`."""
        return self.server.mount_of(dialect) + path

    def reset(self) -> None:
        """As a fresh server: the demo users and nothing else. The clock stays as it is, as with `/_stub/reset`."""
        self.server.reset()

    def release_clock(self) -> None:
        """The system's time (or freezegun's)."""
        with self.server.store.begin() as unit:
            unit.set_clock(ServerClock())

    # --- what happened ----------------------------------------------------------------------------------------------------

    def transactions(self) -> list[dict[str, Any]]:
        """Every challenge, newest first."""
        found: list[dict[str, Any]] = self._stub("GET", "transactions")
        return found

    def verdict(self, transaction_id: str | None = None, attempt: int | Literal["last"] | None = None) -> Verdict:
        """The verdict of a transaction's attempt; `LookupError` where there is none.

        `transaction_id`: by default the newest transaction that was judged. `attempt`: by default the latest that was not refused at the
        door (as a call of another user or session, or with an identifier that was used up); `last`: the newest of any kind.
        """
        if transaction_id is None:
            judged = [row["transactionId"] for row in self.transactions() if row["accepted"] is not None]
            if not judged:
                raise LookupError("no step-up was judged yet")
            transaction_id = judged[0]
        which = "" if attempt is None else f"?attempt={attempt}"
        answer = self.http.request("GET", f"/_stub/transactions/{transaction_id}/verdict{which}")
        if answer.status_code != 200:
            raise LookupError(f"no verdict for transaction {transaction_id}")
        return msgspec.json.decode(answer.content, type=Verdict)

    def messages(self, to: str = "", channel: str = "") -> list[dict[str, Any]]:
        """SMS, mail and push, oldest first."""
        query = {name: value for name, value in (("to", to), ("channel", channel)) if value}
        found: list[dict[str, Any]] = self.http.get("/_stub/messages", params=query).json()
        return found

    def requests(self) -> list[dict[str, Any]]:
        """The recorder: what was asked and answered, secrets left out."""
        found: list[dict[str, Any]] = self._stub("GET", "requests")
        return found

    def payments(self, user: str, dialect: str = "bank") -> list[dict[str, Any]]:
        """A user's executed payments."""
        found: list[dict[str, Any]] = self.http.get("/_stub/payments", params={"user": user, "dialect": dialect}).json()
        return found

    def explain(self) -> str:
        """The newest transaction's last attempt in words, refused at the door or not, for a test's failure message; empty without one."""
        tried = [row["transactionId"] for row in self.transactions() if row["attempts"]]
        try:
            return explain(self.verdict(tried[0], "last")) if tried else ""
        except LookupError:
            return ""

    # --- clock ------------------------------------------------------------------------------------------------------------

    def now(self) -> datetime:
        """The server's instant."""
        return parse_instant(self._stub("GET", "clock")["now"])

    def steer(self, body: dict[str, Any]) -> None:
        """`PUT /_stub/clock`."""
        self._stub("PUT", "clock", body)

    def advance(self, seconds: float) -> None:
        """`POST /_stub/clock/advance`."""
        self._stub("POST", "clock/advance", {"seconds": seconds})

    def _stub(self, method: str, path: str, body: Any = None) -> Any:
        answer = self.http.request(method, f"/_stub/{path}", json=body)
        answer.raise_for_status()
        return answer.json()


def explain(verdict: Verdict) -> str:
    """A verdict in words: accepted, or refused by which check, why, and what it saw."""
    head = f"step-up {verdict.transaction_id}, attempt {verdict.attempt}, policy {verdict.policy}"
    first = verdict.first_failure
    if first is None:
        return f"{head}: accepted" if verdict.accepted else f"{head}: refused, though no check failed"
    lines = [f"{head}: refused by {first.check}: {first.reason}  [{first.citation}]"]
    lines += [f"  expected: {first.expected}"] if first.expected is not None else []
    lines += [f"  actual:   {first.actual}"] if first.actual is not None else []
    later = [f.check for f in verdict.findings if f.outcome is Outcome.FAIL][1:]
    lines += [f"  also failed: {', '.join(later)}"] if later else []
    return "\n".join(lines)


class InProcessServer(ServerHandle):
    """The server over ASGI, without a socket: its calls run in one event loop in a thread, whose timers no frozen clock stops."""

    def __init__(self, server: Server) -> None:
        super().__init__(server, IN_PROCESS_URL)
        self.app: ASGIApp = create_app(server)
        self._http = self._client(self.url)

    def start(self) -> InProcessServer:
        """Ready for calls."""
        self._http.__enter__()
        return self

    def stop(self) -> None:
        """Its thread has ended."""
        self._http.__exit__()

    @property
    def http(self) -> httpx2.Client:
        return self._http

    def open_http(self, url: str) -> httpx2.Client:
        client = self._client(url)
        client.portal = self._http.portal
        return client

    def _client(self, url: str) -> TestClient:
        from starlette.testclient import TestClient

        return TestClient(self.app, base_url=url, backend_options={"loop_factory": RealTimeLoop})

    def async_transport(self) -> httpx2.AsyncBaseTransport:
        """For an `httpx2.AsyncClient` of the test's own."""
        import httpx2

        return httpx2.ASGITransport(self.app)


class LiveServer(ServerHandle):
    """The server on a port of its own, in a daemon thread whose event loop has the real time even where the test's is frozen."""

    def __init__(self, server: Server) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        super().__init__(server, f"http://127.0.0.1:{self._listener.getsockname()[1]}")
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="stepup live server", daemon=True)
        self._http: httpx2.Client | None = None
        self._runner: Any = None

    def start(self) -> LiveServer:
        """Listening when it returns; `RuntimeError` where it does not come up."""
        self._thread.start()
        if not self._ready.wait(START_SECONDS):
            raise RuntimeError("the live verification server did not start")
        return self

    def stop(self) -> None:
        """Stopped, or left to its daemon thread after some seconds."""
        self.server.stopping = True
        if self._http is not None:
            self._http.close()
        if self._runner is not None:
            self._runner.should_exit = True
        self._thread.join(STOP_SECONDS)

    @property
    def http(self) -> httpx2.Client:
        if self._http is None:
            self._http = self.open_http(self.url)
        return self._http

    def open_http(self, url: str) -> httpx2.Client:
        import httpx2

        return httpx2.Client(base_url=url, verify=False, timeout=30, trust_env=False)

    def _run(self) -> None:
        import uvicorn

        from server_stub.connection import connection_class

        config = uvicorn.Config(
            create_app(self.server), log_config=None, access_log=False, date_header=False, server_header=False, proxy_headers=False,
            ws="none", lifespan="on", timeout_graceful_shutdown=1, http=connection_class(self.server.load),
        )  # fmt: skip
        ready = self._ready

        class Ready(uvicorn.Server):
            async def startup(self, sockets: list[socket.socket] | None = None) -> None:
                await super().startup(sockets)
                ready.set()

        self._runner = Ready(config)
        with asyncio.Runner(loop_factory=RealTimeLoop) as runner:
            runner.run(self._runner.serve(sockets=[self._listener]))


class RealTimeLoop(asyncio.SelectorEventLoop):
    """An event loop whose timers run while freezegun holds `time.monotonic` still."""

    def time(self) -> float:
        if hasattr(time, "clock_gettime"):  # which freezegun leaves alone
            return time.clock_gettime(time.CLOCK_MONOTONIC)
        return super().time()


def new_server(policy: str = "strict", dialect: str = "all", seed: str | None = None) -> Server:
    """A server with a memory database, as `serve` would make it from these options; `ValueError` names a wrong one."""
    if policy not in POLICIES:
        raise ValueError(f"policy: expected one of {', '.join(POLICIES)}, not {policy!r}")
    if dialect not in ("all", *DIALECTS):
        raise ValueError(f"dialect: expected one of all, {', '.join(DIALECTS)}, not {dialect!r}")
    show_genuine_class()
    settings = Settings(dialects=DIALECTS if dialect == "all" else (dialect,), at_root=dialect != "all", seed=seed)
    entropy = SystemEntropy() if seed is None else SeededEntropy(seed)
    server = Server(Store(open_database(MEMORY), entropy=entropy), load_trust(), POLICIES[policy], settings)
    server.start()
    return server


class SimulatorClock:
    """Steers the clock of every server that the test uses; phones take their time from their server. `times_set` counts calls of `set`.

    Nothing is patched: the same state that `/_stub/clock` steers. Where freezegun is active too, this clock counts on from its time.
    """

    def __init__(self) -> None:
        self._servers: list[ServerHandle] = []
        self._history: list[Callable[[ServerHandle], None]] = []
        self.times_set = 0

    def attach(self, server: ServerHandle) -> None:
        """Steer this server too; it catches up with what was said before."""
        for step in self._history:
            step(server)
        self._servers.append(server)

    @property
    def now(self) -> datetime:
        """The first server's instant; `LookupError` where the test uses no server."""
        if not self._servers:
            raise LookupError("simulator_clock: the test uses no server whose clock it could read")
        return self._servers[0].now()

    def set(self, instant: datetime | str, *, frozen: bool = True) -> None:
        """The time is `instant`, and stands still there unless `frozen` is false."""
        self.times_set += 1
        moment = parse_clock(instant, "instant") if isinstance(instant, str) else instant
        self._do(lambda server: server.steer({"now": rfc3339(moment), "frozen": frozen}))

    def freeze(self) -> None:
        """The time stands still."""
        self._do(lambda server: server.steer({"frozen": True}))

    def advance(self, by: float | timedelta) -> None:
        """Later by seconds or a timedelta, standing still or running as before."""
        seconds = by.total_seconds() if isinstance(by, timedelta) else float(by)
        self._do(lambda server: server.advance(seconds))

    def release(self) -> None:
        """The system's time again (or freezegun's)."""
        self._do(lambda server: server.steer({"frozen": False}))

    def _do(self, step: Callable[[ServerHandle], None]) -> None:
        self._history.append(step)
        for server in self._servers:
            step(server)
