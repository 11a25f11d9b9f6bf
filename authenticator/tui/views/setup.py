"""Setup: which phone this is, its fingers, its clock, its radio; reboot and wipe."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from authenticator.tui import words
from authenticator.tui.views.base import View
from authenticator.tui.views.confirm import Confirm
from authenticator.tui.widgets.menu import Item, Menu
from authenticator.tui.widgets.text import Text

if TYPE_CHECKING:
    from textual.app import ComposeResult
    from textual.widget import Widget

STEP_SECONDS = 60.0


class Setup(View):
    """Every line has a letter."""

    TITLE = "Setup"
    HELP = """The phone itself. A new finger kills the keys that only a biometric releases, as on a real phone; you are told which, before.

+ and - move this phone's clock against its network's, a minute each; 0 sets it right. The server judges a phone that is late or early.

Faults: the phone lies on purpose, so that you see which check notices."""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f", "app.open('faults')", "Faults"),
        Binding("e", "finger", "New finger", show=False),
        Binding("a", "airplane", "Airplane"),
        Binding("plus,equals_sign", "skew(1)", "Clock on a minute", show=False, key_display="+"),
        Binding("minus", "skew(-1)", "Clock back a minute", show=False, key_display="-"),
        Binding("0", "skew(0)", "Clock right", show=False),
        Binding("o", "app.open('profiles')", "Another phone", show=False),
        Binding("b", "reboot", "Reboot", show=False),
        Binding("w", "wipe", "Wipe", show=False),
        Binding("t", "theme", "Theme", show=False),
        Binding("m", "motion", "Motion", show=False),
    ]

    def __init__(self) -> None:
        super().__init__(name="setup")

    def body(self) -> ComposeResult:
        yield Menu()

    def first_focus(self) -> Widget:
        return self.query_one(Menu)

    def show(self) -> None:
        self.query_one(Menu).show_items(self.items())

    async def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        await self.run_action(self.items()[event.option_index].action)

    def items(self) -> list[Item]:
        """The lines as they stand now."""
        app, snapshot = self.phone_app, self.phone_app.desk.snapshot
        if snapshot is None:
            return []
        fingers = words.plural(snapshot.fingers, "face" if snapshot.sensor == "face" else "finger")
        source = "stands still" if app.handset.clock_stands else "network"
        return [
            Item("app.open('faults')", "F", "Faults", f"⚠ {app.handset.fault}" if app.handset.fault else "none armed"),
            Item(
                "finger", "E", f"Enrol a new {'face' if snapshot.sensor == 'face' else 'finger'}", f"{fingers} enrolled"
            ),
            Item("skew(1)", "+", "Clock on a minute", _skew(snapshot.skew)),
            Item("skew(-1)", "-", "Clock back a minute"),
            Item("skew(0)", "0", "Clock right", source),
            Item("airplane", "A", "Airplane mode", "on" if app.handset.airplane.on else "off"),
            Item("app.open('profiles')", "O", "Another phone", snapshot.model),
            Item("reboot", "B", "Reboot", "then the PIN first"),
            Item("wipe", "W", "Wipe", words.plural(len(snapshot.keys), "key")),
            Item("theme", "T", "Theme", app.theme.removeprefix("phone-")),
            Item("motion", "M", "Motion", "reduced" if app.looks.reduced else "full"),
        ]

    def action_theme(self) -> None:
        self.phone_app.action_next_theme()
        self.show()

    def action_motion(self) -> None:
        self.phone_app.action_motion()
        self.show()

    def action_airplane(self) -> None:
        self.phone_app.action_airplane()

    def action_skew(self, minutes: int) -> None:
        self.in_background(self._set_skew(minutes), "skew", queue=True)

    async def _set_skew(self, minutes: int) -> None:
        app = self.phone_app
        await app.do(lambda: app.handset.move_clock(minutes * STEP_SECONDS if minutes else None))
        await app.refresh_snapshot()

    def action_finger(self) -> None:
        self.in_background(self._new_finger(), "setup")

    async def _new_finger(self) -> None:
        app = self.phone_app
        what = "face" if app.sensor_name() == "face" else "finger"
        doomed = await app.do(app.handset.doomed)
        lines = [f"✗ {row['keyId'][:8]}… biometric key at {row['server']} ({row['dialect']})" for row in doomed]
        dies = "These keys die for good:\n" + "\n".join(lines) if doomed else "No key dies of it."
        after = "\n\nThe passcode still works. Enrol the phone again to have a biometric key." if doomed else ""
        question = f"A new {what} changes the set that biometric keys are bound to.\n\n{dies}{after}"
        if await app.stage.ask(Confirm(f"A new {what}", question, f"Enrol the {what}")):
            await app.do(app.handset.enrol_finger)
            await app.refresh_snapshot()
            app.say(f"A new {what} is enrolled. {words.plural(len(doomed), 'key')} died of it.")

    def action_reboot(self) -> None:
        self.in_background(self._reboot(), "setup")

    async def _reboot(self) -> None:
        app = self.phone_app
        await app.do(app.handset.reboot)
        await app.refresh_snapshot()
        await app.lock_screen.show()

    def action_wipe(self) -> None:
        self.in_background(self.phone_app.owning.ask_wipe(), "setup")


def _skew(seconds: float) -> str:
    if not seconds:
        return "right"
    return f"{words.duration(abs(seconds))} {'fast' if seconds > 0 else 'slow'}"


class Profiles(View):
    """Another phone in the hand."""

    TITLE = "Another phone"
    HELP = """Each profile is a phone with its own secure hardware, attestation, sensor and lockout schedule. The old phone's keys stay
behind with it: you enrol again with the new one."""

    def __init__(self) -> None:
        super().__init__(name="profiles")

    def body(self) -> ComposeResult:
        yield Text("Keys and enrolments stay with the old phone.", classes="lead", markup=False)
        yield OptionList(markup=False, compact=True)

    def first_focus(self) -> Widget:
        return self.query_one(OptionList)

    def on_mount(self) -> None:
        from authenticator.profiles import PROFILES

        snapshot = self.phone_app.desk.snapshot
        listing = self.query_one(OptionList)
        for profile in PROFILES.values():
            mine = snapshot is not None and profile.name == snapshot.profile
            strict = "" if profile.strict else "\n  policy strict refuses it"
            listing.add_option(
                Option(
                    Content.assemble(
                        ("● " if mine else "  ", "$accent"),
                        (profile.name, "bold" if mine else ""),
                        (f"\n  {profile.os} · {profile.security_level}{strict}", "$muted"),
                    ),
                    id=profile.name,
                )
            )

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        self.in_background(self._become(str(event.option.id)), "setup")

    async def _become(self, name: str) -> None:
        app = self.phone_app
        question = f"From now on this is {name}. The old phone's keys and enrolments are gone from here."
        if await app.stage.ask(Confirm("Another phone", question, f"Take {name}")):
            await app.do(lambda: app.handset.become(name))
            await app.owning.start_over()
