"""The phone's screen as a whole: wiring. It starts, opens views, runs work in the background, and tells the views what changed.

Nothing that may block runs on the screen's loop; nothing heavy is imported before the first paint.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeVar

from textual.app import App
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.css.query import NoMatches

from authenticator.errors import PhoneError
from authenticator.tui.approvals import Approvals
from authenticator.tui.background import in_background
from authenticator.tui.desk import Desk
from authenticator.tui.line import Line
from authenticator.tui.lock_screen import LockScreen
from authenticator.tui.looks import Looks
from authenticator.tui.own_server import OwnServer
from authenticator.tui.owning import Owning
from authenticator.tui.panes import Panes
from authenticator.tui.views.home import Home
from authenticator.tui.widgets.hints import Hints
from authenticator.tui.widgets.stage import Stage
from authenticator.tui.widgets.status_bar import StatusBar

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterable

    from textual.app import ComposeResult, SystemCommand
    from textual.screen import Screen
    from textual.timer import Timer

    from authenticator.tui.handset import Handset
    from authenticator.tui.till import Till

Result = TypeVar("Result")
# Every view that can be opened by name: its module and class.
VIEWS: Final = {
    "bank": "bank:Bank",
    "messages": "inbox:Messages",
    "mail": "inbox:Mail",
    "codes": "codes:Codes",
    "security": "security:Security",
    "setup": "setup:Setup",
    "faults": "faults:Faults",
    "profiles": "setup:Profiles",
    "enrol_form": "form:EnrolForm",
    "payment_form": "form:PaymentForm",
}
REFRESH_SECONDS: Final = 10.0
NEWS_SECONDS: Final = 8.0


class PhoneApp(App[int]):
    """One phone on the screen."""

    TITLE = "stepup-phone"
    CSS_PATH = "phone.tcss"
    HORIZONTAL_BREAKPOINTS = [  # noqa: RUF012 — the base class declares it so
        (0, "-narrow"),
        (100, "-wide"),
    ]
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f2", "pane", "Pane", tooltip="The reviewer's pane: what is sent, what is signed, the verdict"),
        Binding("question_mark", "help", "Help", key_display="?", tooltip="What this screen does"),
        Binding("ctrl+l", "lock", "Lock", show=False, priority=True),
        Binding("ctrl+r", "retry", "Look for the server now", show=False, priority=True),
        Binding("ctrl+q", "quit", "Quit", show=False, priority=True),
    ]

    def run_test(self, **options: Any) -> Any:
        """As Textual's; fails at once where frozen time would make it hang."""
        from authenticator.frozen import refuse_a_standing_loop

        refuse_a_standing_loop()
        return super().run_test(**options)

    def __init__(self, handset: Handset, *, still: bool = False, with_server: bool = False) -> None:
        super().__init__()
        self.handset = handset
        self.desk = Desk()
        self.stage = Stage()
        self.line = Line(self)
        self.approvals = Approvals(self)
        self.owning = Owning(self)
        self.lock_screen = LockScreen(self)
        self.panes = Panes(self)
        self.own_server = OwnServer(self, wanted=with_server)
        self.looks = Looks(self, still=still)
        self._till: Till | None = None
        self._news_timer: Timer | None = None

    # --- the frame ----------------------------------------------------------------------------------------------------------

    def compose(self) -> ComposeResult:
        with Horizontal(id="desk"), Vertical(id="phone"):
            yield StatusBar()
            yield self.stage
        yield Hints()

    async def on_mount(self) -> None:
        if self.looks.still:
            self.animation_level = "none"
        self.query_one(StatusBar).set_fault(None)
        self.set_interval(1.0, self._tick)
        self.call_after_refresh(self._begin)

    async def on_resize(self) -> None:
        await self.panes.add_if_wide()

    async def on_unmount(self) -> None:
        await in_background(self._hang_up)

    def _hang_up(self) -> None:
        self.handset.close()
        self.own_server.close()

    # --- the start ------------------------------------------------------------------------------------------------------------

    @property
    def has_started(self) -> bool:
        """The phone's store has been read."""
        return self._till is not None

    @property
    def till(self) -> Till:
        assert self._till is not None, "the phone has started"
        return self._till

    def _begin(self) -> None:
        self.run_worker(self._start(), name="start")

    async def _start(self) -> None:
        """After the first paint: read the phone's store, then show where it stands."""
        try:
            self.desk.snapshot = await self.do(self.handset.open)
        except PhoneError as error:
            from authenticator.tui.views.notes import Broken

            await self.stage.open(Broken(error.message))
            return
        self._till = await self.do(self._make_till)
        await self.looks.recall()
        await self._first_view()
        self.show_all()
        self.set_interval(REFRESH_SECONDS, self.approvals.refresh)
        await self.panes.add_if_wide()

    def _make_till(self) -> Till:
        from authenticator.tui.till import Till

        return Till(self.handset, signed=self.approvals.hear_signature)

    async def _first_view(self) -> None:
        snapshot = self.desk.snapshot
        if snapshot is None or not snapshot.enrolled:
            await self.welcome(lost=False)
            return
        await self.stage.replace_all(Home())
        if snapshot.locked:
            await self.lock_screen.show()
        self.line.listen()
        self.run_worker(self.own_server.bring(), name="server")

    async def welcome(self, *, lost: bool) -> None:
        """The guided first run; `lost`: the server knows this phone no more."""
        from authenticator.tui.views.welcome import Welcome

        await self.stage.replace_all(Welcome(lost=lost))

    # --- background work ------------------------------------------------------------------------------------------------------

    async def do(self, work: Callable[[], Result]) -> Result:
        """What `work` returns, from a thread; its `PhoneError` is raised here."""
        return await in_background(work)

    async def refresh_snapshot(self) -> None:
        """Read the phone's state anew and show it."""
        self.desk.snapshot = await self.do(self.handset.snapshot)
        self.show_all()

    async def heard(self, error: PhoneError) -> None:
        """What an error means for the phone as a whole."""
        if error.code in ("not_enrolled_any_more", "not_enrolled"):
            if not self.desk.line.forgotten:
                self.desk.line.forgotten = True
                await self.welcome(lost=True)
        elif error.code == "unreachable":
            self.line.nudge()

    # --- what is shown --------------------------------------------------------------------------------------------------------

    def show_all(self) -> None:
        """Tell every view that something has changed."""
        self.show_status()
        for view in self.stage.stack:
            if view.is_mounted:
                with suppress(NoMatches):  # a view that is being closed has lost its parts already
                    view.show()

    def _tick(self) -> None:
        self.show_status()
        top = self.stage.top
        for view in (top, self.stage.stack[0] if self.stage.stack else None):
            if view is not None and view.is_mounted:
                with suppress(NoMatches):
                    view.tick()

    def show_status(self) -> None:
        """Clock, model, signs and the armed fault."""
        from authenticator.tui.words import clock_time

        if not self.is_running or not self.screen_stack or not self.screen_stack[0].query("#notice"):
            return  # the screen is being closed
        bar, snapshot, line = self.screen_stack[0].query_one(StatusBar), self.desk.snapshot, self.desk.line
        signs = "✈" if self.handset.airplane.on else "●" if line.up else "○ no server" if line.reason else "○"
        model = "" if snapshot is None else f"{snapshot.model} · {snapshot.level}"
        bar.set_line(clock_time(self.handset.now()), model, signs)
        bar.set_fault(self.handset.fault)

    def say(self, text: str, kind: str = "") -> None:
        """A line of news under the status bar; it goes with the next one, or after a while."""
        if self._news_timer is not None:
            self._news_timer.stop()
        for bar in self.screen_stack[0].query(StatusBar) if self.screen_stack else ():
            with suppress(NoMatches):  # the screen is being closed
                bar.set_notice(text, kind)
        self._news_timer = self.set_timer(NEWS_SECONDS, lambda: self.say("")) if text else None

    def in_words(self, error: PhoneError) -> str:
        """An error as the phone's user is told: what happened, and what to do."""
        from authenticator.tui.errors_in_words import in_words

        return in_words(error, self.handset)

    def is_enrolled(self) -> bool:
        return self.desk.snapshot is not None and self.desk.snapshot.enrolled

    def sensor_name(self) -> str:
        """`fingerprint` or `face`."""
        return self.desk.snapshot.sensor if self.desk.snapshot is not None else "fingerprint"

    def mark_read(self, channel: str) -> None:
        """The messages of a channel have been looked at."""
        self.desk.mark_read(channel)
        newest = self.desk.read[channel]
        self.run_worker(self.do(lambda: self.handset.mark_read(channel, newest)))

    # --- actions --------------------------------------------------------------------------------------------------------------

    def open_view(self, name: str) -> None:
        """Open a view by its name in `VIEWS`."""
        module, cls = VIEWS[name].split(":")
        self.run_worker(self.stage.open(getattr(import_module(f"authenticator.tui.views.{module}"), cls)()))

    def action_open(self, name: str) -> None:
        self.open_view(name)

    async def action_home(self) -> None:
        from authenticator.tui.views.welcome import Welcome

        if not self.is_enrolled():
            return
        if not self.stage.stack or isinstance(self.stage.stack[0], Welcome):
            await self.stage.replace_all(Home())
            self.approvals.refresh()
        else:
            await self.stage.home()

    def action_lock(self) -> None:
        self.run_worker(self.lock_screen.lock(), group="lock")

    async def action_help(self) -> None:
        from authenticator.tui.views.notes import Help

        top = self.stage.top
        if top is not None and not isinstance(top, Help):
            await self.stage.open(Help(top))

    def action_retry(self) -> None:
        self.line.nudge()

    async def action_pane(self) -> None:
        await self.panes.toggle()

    def action_next_theme(self) -> None:
        self.looks.next_theme()

    def action_motion(self) -> None:
        self.looks.next_motion()

    def action_airplane(self) -> None:
        radio = self.handset.airplane
        radio.on = not radio.on
        self.say("Airplane mode: nothing is sent or received." if radio.on else "Back on the network.")
        self.desk.line.up = False
        if self.is_enrolled():
            self.line.listen()
        self.show_all()

    def get_theme_variable_defaults(self) -> dict[str, str]:
        return {"muted": "#9e9e9e", "cursor": "#005f87"}  # until a theme of ours is on

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        from authenticator.tui.palette import commands

        yield from commands(self)


def build_app(args: Namespace) -> PhoneApp:
    """The app of these arguments: `server`, `home`, `token`, `clock`, `with_server`."""
    from pathlib import Path

    from authenticator.tui.handset import Handset

    clock = None
    if args.clock is not None:
        from authenticator.commands.common import fixed_clock

        clock = fixed_clock(args.clock)
    home = Path(args.home) if args.home else None
    handset = Handset(args.server.rstrip("/"), home=home, clock=clock, token=args.token)
    return PhoneApp(handset, with_server=args.with_server)


def run(args: Namespace) -> int:
    """Run the phone's screen until it is closed."""
    return build_app(args).run() or 0
