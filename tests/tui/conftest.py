"""The phone's screen against a real server process with a frozen clock: keys in, screen text and the server's own records out.

Nothing here sleeps for a fixed time: a test waits for a condition, and says what it waited for when it never comes.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
from rich.cells import cell_len
from textual import events
from textual.geometry import Offset
from textual.pilot import Pilot, _get_mouse_message_arguments

from authenticator.server_process import running_server
from authenticator.tui.app import PhoneApp
from authenticator.tui.handset import Handset
from authenticator.tui.views.base import View
from device_keys.entropy import SeededEntropy

NOW = datetime(2026, 3, 1, 9, 41, 0, tzinfo=UTC)
USER = "9de3e326-b5bb-4cdc-bf6d-f6b609fbb765"
PASSCODE = "111234"
NUMBER = "+447700900123"
SMALL, LARGE = (80, 24), (120, 40)
SNAPSHOTS = Path(__file__).parent / "snapshots"
PATIENCE = 1500  # rounds of a condition; each lets the screen work


@dataclass
class HandClock:
    """The phone's own clock, moved by hand."""

    now: datetime = NOW

    def __call__(self) -> datetime:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@dataclass
class Client:
    """A bank's client that knows nothing of any phone, and the server's operator."""

    url: str
    http: httpx2.Client = field(repr=False)
    tokens: dict[str, str] = field(default_factory=dict)

    def stub(self, method: str, path: str, body: Any = None) -> Any:
        answer = self.http.request(method, f"{self.url}/_stub/{path}", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def call(self, path: str, body: Any, **headers: str) -> httpx2.Response:
        bearer = {"Authorization": f"Bearer {self.tokens['accessToken']}"} if self.tokens else {}
        return self.http.post(
            f"{self.url}/bank/v1/{path}", json=body, headers={"X-APIKEY": "demo-api-key", **bearer, **headers}
        )

    def login(self) -> None:
        self.tokens = self.call("oauth2/login", {"username": USER, "passcode": PASSCODE}).json()

    def begin_payment(self, payee: str = "ACME Ltd", amount: str = "10.00", **more: Any) -> tuple[str, dict[str, Any]]:
        """The refused payment's transaction id, and the order."""
        self.login()
        account = {"name": payee, "sortCode": "112233", "accountNumber": "12345678"}
        order = {"amount": amount, "currency": "GBP", "payee": account, **more}
        answer = self.call("payments/domestic", order)
        assert answer.status_code == 403, answer.text
        return answer.json()["transactionId"], order

    def step_up(self, transaction_id: str, *, biometric: bool) -> httpx2.Response:
        body: dict[str, Any] = {"username": USER, "passcode": PASSCODE}
        if biometric:
            body = {"refreshToken": self.tokens["refreshToken"], "authenticationMethod": "BIOMETRIC"}
        return self.call("oauth2/stepup", body, **{"X-TransactionId": transaction_id})

    def verdict(self, transaction_id: str) -> Any:
        return self.stub("GET", f"transactions/{transaction_id}/verdict")

    def failing(self, transaction_id: str) -> set[str]:
        return {f["check"] for f in self.verdict(transaction_id)["findings"] if f["outcome"] == "fail"}


@pytest.fixture(scope="session")
def server_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running_server(
        "--port", "0", "--database", "memory", "--clock", NOW.isoformat(), "--seed", "tests of the screen"
    ) as url:
        yield url


@pytest.fixture
def client(server_url: str) -> Iterator[Client]:
    with httpx2.Client(verify=False, trust_env=False, timeout=30) as http:
        found = Client(server_url, http)
        found.stub("POST", "reset")
        found.stub("PUT", "clock", {"now": NOW.isoformat(), "frozen": True})
        yield found


class Driver:
    """Presses keys and reads the screen."""

    def __init__(self, app: PhoneApp, pilot: Pilot[int]) -> None:
        self.app, self.pilot = app, pilot
        self.keys = 0

    async def press(self, *keys: str) -> None:
        for key in keys:
            self.keys += 1
            await self.pilot.press(key)

    async def type(self, text: str) -> None:
        await self.press(*text)

    async def click(self, text: str) -> None:
        """The mouse on the middle of the first place of the screen where this stands."""
        column, row = await self._at_rest(text)
        # Without a pause, as Pilot.click has them: what the server says meanwhile must not move the text from under the mouse.
        where = _get_mouse_message_arguments(self.app.screen, (column, row), button=1)
        self.app.mouse_position = Offset(column, row)
        for event in (events.MouseDown(**where), events.MouseUp(**where), events.Click(**where, chain=1)):
            self.app.screen._forward_event(event)
        await self.pilot.pause()

    async def _at_rest(self, text: str) -> tuple[int, int]:
        """Column and row of the middle of this text, once it stands still: what was just written moves with the next layout."""
        places: list[tuple[int, int] | None] = []

        def rests() -> bool:
            places.append(self._place(text))
            return places[-1] is not None and places[-1] == places[-2:][0] and len(places) > 1 and not self.moving()

        await self.until(rests, f"something to click: {text!r}")
        place = places[-1]
        assert place is not None
        return place

    def _place(self, text: str) -> tuple[int, int] | None:
        for row, line in enumerate(self.text().splitlines()):
            if text in line:
                return cell_len(line[: line.index(text)]) + cell_len(text) // 2, row
        return None

    def moving(self) -> bool:
        """Whether something of the screen still waits to be laid out."""
        screen = self.app.screen
        return screen._layout_required or any(widget._layout_required for widget in screen.walk_children())

    async def scroll(self, text: str) -> None:
        """The mouse's wheel, one notch down, over this."""
        lines = self.text().splitlines()
        row = next(number for number, line in enumerate(lines) if text in line)
        await self.pilot._post_mouse_events(
            [events.MouseScrollDown], offset=(cell_len(lines[row][: lines[row].index(text)]), row)
        )
        await self.pilot.pause()

    def text(self) -> str:
        """All that is on the screen."""
        strips = self.app.screen._compositor.render_strips()
        return "\n".join("".join(segment.text for segment in strip) for strip in strips)

    def flat(self) -> str:
        """The phone's part without line breaks and frames."""
        return re.sub(r"[\s│]+", " ", self.text())

    @property
    def top(self) -> View:
        found = self.app.stage.top
        assert found is not None
        return found

    def hints(self) -> list[str]:
        from authenticator.tui.widgets.hints import Hints

        return [str(getattr(hint, "description", "")) for hint in self.app.screen_stack[0].query_one(Hints).shown()]

    async def until(self, condition: Callable[[], object], what: str) -> None:
        for _ in range(PATIENCE):
            await self.pilot.pause(0.02)
            if condition():
                return
        pytest.fail(f"never came: {what}; the screen says:\n{self.text()}")

    async def sees(self, text: str) -> None:
        await self.until(lambda: text in self.flat(), f"the text {text!r}")

    async def reaches(self, view: str) -> None:
        """The view of that class is on top, focused, and at rest."""

        def there() -> bool:
            top = self.app.stage.top
            focused = self.app.screen_stack[0].focused
            at_rest = getattr(top, "_ready", True)
            inside = top is not None and (focused is top or (focused is not None and top in focused.ancestors))
            return type(top).__name__ == view and inside and bool(at_rest)

        await self.until(there, f"the view {view}")

    async def at_home(self) -> None:
        """A phone that was enrolled before it was switched on is ready."""
        await self.reaches("Home")
        await self.until(lambda: self.app.desk.line.up, "the line to the server")

    async def enrol(self) -> None:
        """From the welcome to Home, as its user does it."""
        await self.reaches("Welcome")
        await self.sees("Enrol with the demo user")
        await self.press("enter")
        await self.sees("Make a test payment")
        await self.press("h")
        await self.reaches("Home")
        await self.until(lambda: self.app.desk.line.up, "the line to the server")


Scenario = Callable[[Driver], Awaitable[None]]
Play = Callable[..., PhoneApp]


@pytest.fixture
def hand_clock() -> HandClock:
    return HandClock()


@pytest.fixture
def play(client: Client, tmp_path: Path, hand_clock: HandClock, monkeypatch: pytest.MonkeyPatch) -> Play:
    """Run a scenario on a phone's screen; the home is the test's own, so that a second scenario finds the same phone.

    `enrolled`: the demo user's phone, enrolled beforehand, without the screen. News stays until the next: on a
    busy machine it would be gone before the test looks.
    """
    monkeypatch.setattr("authenticator.tui.app.NEWS_SECONDS", 3600.0)

    def run(
        scenario: Scenario,
        *,
        size: tuple[int, int] = SMALL,
        url: str | None = None,
        network_time: bool = False,
        with_server: bool = False,
        enrolled: bool = False,
    ) -> PhoneApp:
        handset = Handset(
            url or client.url,
            home=tmp_path / "phone",
            clock=None if network_time else hand_clock,
            secret=b"s" * 32,
            entropy=SeededEntropy("a test's phone"),
        )
        if enrolled:
            handset.open()
            handset.enrol("bank", USER, PASSCODE, number=NUMBER, api_key="demo-api-key")
            handset.close()
        app = PhoneApp(handset, still=True, with_server=with_server)

        async def main() -> None:
            async with app.run_test(size=size) as pilot:
                await scenario(Driver(app, pilot))

        asyncio.run(main())
        return app

    return run


@pytest.fixture
def snapshot(request: pytest.FixtureRequest) -> Callable[[PhoneApp, str], None]:
    """Compare the screen with the stored picture; `STEPUP_UPDATE_SNAPSHOTS=1` stores it."""

    def compare(app: PhoneApp, name: str) -> None:
        picture, kept = _normal(app.export_screenshot()), SNAPSHOTS / f"{name}.svg"
        if os.environ.get("STEPUP_UPDATE_SNAPSHOTS"):
            SNAPSHOTS.mkdir(exist_ok=True)
            kept.write_text(picture, "utf-8")
        assert kept.is_file(), f"no picture is stored for {name}: run with STEPUP_UPDATE_SNAPSHOTS=1 and look at it"
        if picture != kept.read_text("utf-8"):
            seen = Path(str(request.getfixturevalue("tmp_path"))) / f"{name}.svg"
            seen.write_text(picture, "utf-8")
            pytest.fail(f"{name} looks different: compare {kept} with {seen}")

    return compare


def _normal(svg: str) -> str:
    """Without what differs between servers, the port and the ids of the drawing; and without fonts from the network."""
    offline = re.sub(r"\s*@font-face \{.*?\}", "", svg, flags=re.DOTALL)
    port_free = re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:8080", offline)
    return re.sub(r"terminal-\d+", "terminal", port_free)
