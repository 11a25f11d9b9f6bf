"""The lock screen: PIN, biometric, the platform's own lockouts counting down, and what arrived meanwhile, without its contents."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.widgets import Digits

from authenticator.tui import words
from authenticator.tui.views.base import View
from authenticator.tui.widgets.pin_entry import PinEntry
from authenticator.tui.widgets.text import Text

if TYPE_CHECKING:
    from collections.abc import Callable

    from textual.app import ComposeResult
    from textual.widget import Widget

    from authenticator.locks import Outcome
    from authenticator.tui.handset import Snapshot


class Lock(View):
    """Closes when the phone is unlocked."""

    HELP = """The phone is locked. Unlock it with the screen lock's PIN (1234 on a new phone) and Enter, or with B, a finger or
face that matches. X presents one that does not.

The waits are the platform's own: Android 16 makes you wait a minute after the fifth different wrong PIN, then 5, 15, 30 …; an
iPhone begins after the fourth. The sensor pauses or locks by rules of its own. The PIN is not the bank's passcode."""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "nothing", show=False),
        Binding("b", "touch('match')", "Unlock by sensor"),
        Binding("x", "touch('no-match')", "Wrong finger"),
    ]

    def compose(self) -> ComposeResult:
        yield Digits("", id="lock-clock")
        yield Text("Locked", id="lock-title", markup=False)
        yield Text("", id="lock-news", markup=False)
        yield Text("", id="lock-says", markup=False)
        yield PinEntry(digits_only=True, name="pin")
        yield Text("", id="lock-hint", markup=False)

    def first_focus(self) -> Widget:
        return self.query_one(PinEntry)

    def on_mount(self) -> None:
        self._said = ""
        self.tick()

    def show(self) -> None:
        waiting, unread = len(self.phone_app.desk.waiting()), self.phone_app.desk.unread()
        news = [words.plural(waiting, "approval") + (" waits" if waiting == 1 else " wait")] if waiting else []
        news += [words.plural(unread, "new message")] if unread else []
        self.query_one("#lock-news", Text).update("● " + " · ".join(news) if news else "")
        self.tick()

    def tick(self) -> None:
        self.query_one("#lock-clock", Digits).update(words.clock_time(self.phone_app.handset.now()))
        self.query_one("#lock-says", Text).update(self._state() or self._said)
        snapshot = self.phone_app.desk.snapshot
        if snapshot is not None:
            self.query_one("#lock-hint", Text).update(_hint(snapshot))

    def _state(self) -> str:
        """The truth about the lockout, if there is one."""
        snapshot, now = self.phone_app.desk.snapshot, self.phone_app.handset.now()
        if snapshot is None or now is None:
            return ""
        tries = words.plural(snapshot.pin_failures, "wrong try").replace("trys", "tries")
        if snapshot.pin_hopeless:
            return f"No PIN is taken any more · {tries}. Only a wipe helps (^P, Wipe)."
        if snapshot.wait_until is not None and snapshot.wait_until > now:
            left = words.duration((snapshot.wait_until - now).total_seconds())
            following = words.duration(snapshot.pin_next_wait) if snapshot.pin_next_wait else "none"
            return f"Try again in {left} · {tries} · next: {following}"
        return ""

    def action_nothing(self) -> None:
        """A lock screen has no way back."""

    def action_touch(self, presented: str) -> None:
        self.in_background(self._try(lambda: self.phone_app.handset.touch(presented)), "unlock", queue=True)

    def on_pin_entry_entered(self, message: PinEntry.Entered) -> None:
        message.stop()
        self.in_background(
            self._try(lambda: self.phone_app.handset.enter_pin(message.code), pin=True), "unlock", queue=True
        )

    async def _try(self, attempt: Callable[[], Outcome], *, pin: bool = False) -> None:
        # The same words for a right and a wrong try until the hardware has answered.
        self.query_one("#lock-says", Text).update("…")
        outcome = await self.phone_app.do(attempt)
        await self.phone_app.refresh_snapshot()
        if outcome.matched:
            await self.phone_app.lock_screen.leave()
            return
        self._said = words.outcome(outcome.result, pin=pin)
        self.tick()


def _hint(snapshot: Snapshot) -> str:
    if snapshot.needs_pin is not None or snapshot.sensor_locked:
        return "PIN first: the sensor is off" if snapshot.sensor_locked else f"PIN first: {snapshot.needs_pin}"
    return f"B {snapshot.sensor} · PIN (1234 if new)"
