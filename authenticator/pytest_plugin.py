"""pytest plugin of the phone's side (entry point `stepup_phone`; off with `-p no:stepup_phone`).

Loaded in every pytest run on the machine, so it imports pytest alone; the rest comes with the first fixture that is used. The server
is found by fixture name: between phone and server there is HTTP and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from typing import TYPE_CHECKING, Any, Protocol

import pytest

if TYPE_CHECKING:
    import httpx2

    from authenticator.virtual import VirtualAuthenticator

_MARKERS = (
    "stepup_profile(name): the test's phones are of this profile (see: stepup-phone profiles)",
    "stepup_fault(name): the test's phones misbehave in this way (see: stepup-phone faults)",
)


class Endpoint(Protocol):
    """A server as the phone needs it: where it is, and how to open a client of it."""

    url: str

    def open_http(self, url: str) -> httpx2.Client:
        """A client of the server."""
        ...


_PHONES: pytest.StashKey[list[VirtualAuthenticator]] = pytest.StashKey()


def pytest_configure(config: pytest.Config) -> None:
    for marker in _MARKERS:
        config.addinivalue_line("markers", marker)


def _marked(request: pytest.FixtureRequest, name: str) -> str | None:
    """The text of a marker of one text."""
    marker = request.node.get_closest_marker(f"stepup_{name}")
    if marker is None:
        return None
    if len(marker.args) == 1 and not marker.kwargs and isinstance(marker.args[0], str):
        return marker.args[0]
    if name == "seed":
        raise pytest.UsageError('marker stepup_seed: expected one text, such as stepup_seed("golden")')
    raise pytest.UsageError(f"marker stepup_{name}: expected one name, see: stepup-phone {name}s")


def _server_of_test(request: pytest.FixtureRequest) -> Endpoint:
    """The test's own server: the live one if it asks for that alone, else the one in process."""
    names = request.fixturenames
    live = "live_verification_server" in names and "verification_server" not in names
    try:
        found: Endpoint = request.getfixturevalue("live_verification_server" if live else "verification_server")
    except pytest.FixtureLookupError:
        raise pytest.UsageError(
            "make_virtual_authenticator: no fixture verification_server (is the plugin stepup_server switched off?); give server=URL"
        ) from None
    return found


@pytest.fixture
def make_virtual_authenticator(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[..., VirtualAuthenticator]]:
    """Makes phones: `make(profile=…, fault=…, seed=…, server=…)`; `server` is a URL or a server fixture (default: the test's own)."""
    made = request.node.stash.setdefault(_PHONES, [])
    profile, fault, seed = (_marked(request, name) for name in ("profile", "fault", "seed"))

    def make(*, server: str | Endpoint | None = None, **options: Any) -> VirtualAuthenticator:
        from authenticator.errors import UsageError
        from authenticator.virtual import VirtualAuthenticator

        where = _server_of_test(request) if server is None else server
        given = {"profile": profile or "pixel-9", "fault": fault, "seed": seed} | options
        if not isinstance(where, str):
            given["http_factory"] = where.open_http
        home = tmp_path_factory.mktemp("phone", numbered=True)
        try:
            phone = VirtualAuthenticator(home, where if isinstance(where, str) else where.url, **given)
        except UsageError as error:
            raise pytest.UsageError(f"virtual authenticator: {error.message}") from error
        made.append(phone)
        return phone

    yield make
    for phone in made:
        phone.close()


@pytest.fixture
def virtual_authenticator(make_virtual_authenticator: Callable[..., VirtualAuthenticator]) -> VirtualAuthenticator:
    """A new simulated phone at the test's server, not enrolled yet."""
    return make_virtual_authenticator()


@pytest.fixture
def enrolled_authenticator(
    request: pytest.FixtureRequest, virtual_authenticator: VirtualAuthenticator
) -> VirtualAuthenticator:
    """The same phone, enrolled for the demo user of the server's dialect: with a possession key and a biometric key.

    Fixtures are set up before a `@freeze_time` decorator, a freeze in the test or `simulator_clock.set` says when the test takes place.
    So that the enrolment is not years away from it, a phone first used in frozen or set time enrols once more, then.
    """
    from device_keys.clock import is_frozen

    phone, dialect = virtual_authenticator, _dialect_of(virtual_authenticator)
    phone.enrol(dialect)
    if is_frozen():
        return phone
    clock = _fixture_if_any(request, "simulator_clock")
    times_set = getattr(clock, "times_set", 0)

    def at_first_use() -> None:
        phone.before_use = _nothing
        if is_frozen() or getattr(clock, "times_set", 0) > times_set:
            phone.enrol(dialect)

    phone.before_use = at_first_use
    return phone


def _fixture_if_any(request: pytest.FixtureRequest, name: str) -> Any:
    try:
        return request.getfixturevalue(name)
    except pytest.FixtureLookupError:
        return None


def _nothing() -> None:
    pass


def _dialect_of(phone: VirtualAuthenticator) -> str:
    """The bank's where the server serves it, else Weavr's."""
    from authenticator.errors import UsageError

    server = phone.phone.server(phone.server)
    for dialect in ("bank", "weavr"):
        try:
            server.login_path(dialect)
        except UsageError:
            continue
        return dialect
    raise pytest.UsageError("enrolled_authenticator: the server serves no dialect that enrols phones (bank, weavr)")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, None]:
    """A failed test's report tells which fault was active."""
    outcome = yield
    report = outcome.get_result()
    if report.when == "call" and report.failed:
        phones = item.stash.get(_PHONES, [])
        if phones:
            report.sections.append(("simulated phone", "\n".join(_described(phone) for phone in phones)))


def _described(phone: VirtualAuthenticator) -> str:
    if phone.fault is None:
        return f"{phone.profile} at {phone.server}, no fault active"
    from authenticator.faults import find_fault

    fault = find_fault(phone.fault)
    return (
        f"{phone.profile} at {phone.server}, active fault: {fault.name} ({fault.simulates}), which trips {fault.check}"
    )
