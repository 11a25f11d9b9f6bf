"""pytest plugin of the server's side (entry point `stepup_server`; off with `-p no:stepup_server`).

Loaded in every pytest run on the machine, so it imports pytest alone; the rest comes with the first fixture that is used.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from server_stub.testing import InProcessServer, LiveServer, ServerHandle, SimulatorClock

_FIXTURES = ("verification_server", "live_verification_server")
_MARKERS = (
    "stepup_policy(name): the servers judge by this policy: strict (default), lenient, spec-vector",
    "stepup_dialect(name): the servers serve this dialect alone, at the root: bank, weavr, loginradius; all (default) mounts each",
    "stepup_clock(instant): the servers' clocks stand still at this ISO 8601 instant from the set-up on",
    "stepup_seed(text): ids, tokens, nonces, keys and certificates of server and phone repeat byte for byte",
)


def pytest_configure(config: pytest.Config) -> None:
    for marker in _MARKERS:
        config.addinivalue_line("markers", marker)


class _Servers:
    """One server for each combination of options and kind, kept for the session, reset for each test."""

    def __init__(self) -> None:
        self.made: dict[tuple[str, ...], InProcessServer | LiveServer] = {}

    def get(self, kind: type[Any], options: dict[str, str]) -> Any:
        from server_stub.testing import new_server

        key = (kind.__name__, *(f"{name}={value}" for name, value in sorted(options.items())))
        if key in self.made:
            self.made[key].release_clock()
            self.made[key].reset()
        else:
            try:
                self.made[key] = kind(new_server(**options)).start()
            except ValueError as error:
                raise pytest.UsageError(f"marker stepup_{error}") from error
        return self.made[key]

    def close(self) -> None:
        for handle in self.made.values():
            handle.stop()
            handle.server.store.database.close()


@pytest.fixture(scope="session")
def _stepup_servers() -> Iterator[_Servers]:
    servers = _Servers()
    yield servers
    servers.close()


@pytest.fixture
def _stepup_server_options(request: pytest.FixtureRequest) -> dict[str, str]:
    """What the test's markers say of its servers."""
    found = {name: _text_of(request, name) for name in ("policy", "dialect", "seed")}
    return {name: text for name, text in found.items() if text is not None}


def _text_of(request: pytest.FixtureRequest, name: str) -> str | None:
    """The one text of a marker, if the test bears it."""
    marker = request.node.get_closest_marker(f"stepup_{name}")
    if marker is None:
        return None
    if len(marker.args) == 1 and not marker.kwargs and isinstance(marker.args[0], str):
        return marker.args[0]
    raise pytest.UsageError(f"marker stepup_{name}: expected one text, such as stepup_{name}({_EXAMPLES[name]!r})")


_EXAMPLES = {"policy": "lenient", "dialect": "bank", "clock": "2026-01-31T12:00:00Z", "seed": "golden"}


@pytest.fixture
def simulator_clock(request: pytest.FixtureRequest) -> SimulatorClock:
    """Set, advance, freeze or release the time of the simulator: `set("2026-01-31T12:00:00Z")`, `advance(301)`, `freeze()`, `release()`."""
    from server_stub.testing import SimulatorClock

    clock = SimulatorClock()
    instant = _text_of(request, "clock")
    if instant is not None:
        try:
            clock.set(instant)
        except ValueError as error:
            raise pytest.UsageError(f"marker stepup_clock: {error}") from error
    return clock


@pytest.fixture
def verification_server(
    _stepup_servers: _Servers, _stepup_server_options: dict[str, str], simulator_clock: SimulatorClock
) -> InProcessServer:
    """A fresh verification server in this process: `.http` is a client, `.app` the ASGI app, `.verdict()` the latest judgement that
    was not refused at the door."""
    from server_stub.testing import InProcessServer

    server: InProcessServer = _stepup_servers.get(InProcessServer, _stepup_server_options)
    simulator_clock.attach(server)
    return server


@pytest.fixture
def live_verification_server(
    _stepup_servers: _Servers, _stepup_server_options: dict[str, str], simulator_clock: SimulatorClock
) -> LiveServer:
    """The same on a port of its own (`.url`), for clients that need a socket."""
    from server_stub.testing import LiveServer

    server: LiveServer = _stepup_servers.get(LiveServer, _stepup_server_options)
    simulator_clock.attach(server)
    return server


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, None]:
    """A failed test's report tells how the newest step-up was judged."""
    outcome = yield
    report = outcome.get_result()
    if report.when != "call" or not report.failed:
        return
    used = getattr(item, "funcargs", {})
    for name in _FIXTURES:
        if name in used:
            said = _explained(used[name])
            if said:
                report.sections.append((f"step-up verdict ({name})", said))


def _explained(server: ServerHandle) -> str:
    try:
        return server.explain()
    except Exception as error:  # a report must not fail because the server did
        return f"the verdict cannot be read: {error}"
