"""Every screen: reachable in two keys from Home, explained, hinted at in six, and looking as it was last looked at."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

import pytest
from textual.command import CommandList, DiscoveryHit

from authenticator.tui.app import VIEWS, PhoneApp
from authenticator.tui.themes import THEMES
from authenticator.tui.widgets.hints import MOST

from .conftest import LARGE, SMALL, Client, Driver, Play

# From Home: the keys, and the view that they open.
REACHED = {
    "bank": (("1",), "Bank"),
    "payment": (("n",), "PaymentForm"),
    "messages": (("2",), "Messages"),
    "mail": (("3",), "Mail"),
    "codes": (("4",), "Codes"),
    "add-account": (("4", "a"), "AddAccount"),
    "security": (("5",), "Security"),
    "attestation": (("5", "enter"), "Attestation"),
    "wipe": (("5", "w"), "Confirm"),
    "setup": (("6",), "Setup"),
    "faults": (("6", "f"), "Faults"),
    "new-finger": (("6", "e"), "Confirm"),
    "profiles": (("6", "o"), "Profiles"),
    "lock": (("l",), "Lock"),
    "help": (("question_mark",), "Help"),
}
Snapshot = Callable[[PhoneApp, str], None]


async def _settled(screen: Driver) -> None:
    """Nothing runs but the line to the server."""
    calm = ("live", "default")

    def at_rest() -> bool:
        return not [w for w in screen.app.workers if not w.is_finished and w.group not in calm and "pad" not in w.group]

    await screen.until(lambda: at_rest() or (screen.app.stage.top is not None and screen.app.stage.top.answer), "rest")
    seen: list[str] = []

    def still() -> bool:
        seen.append(screen.text())
        return len(seen) > 4 and len(set(seen[-5:])) == 1 and not screen.moving()

    await screen.until(still, "a picture that stands still")


@pytest.mark.parametrize("size", [SMALL, LARGE], ids=["80x24", "120x40"])
def test_each_screen_is_two_keys_from_home_has_help_and_at_most_six_hints(
    play: Play, snapshot: Snapshot, size: tuple[int, int]
) -> None:
    """Issue 7, point 1: each screen and its picture at both sizes, under a frozen clock."""

    async def scenario(screen: Driver) -> None:
        await screen.at_home()
        await _settled(screen)
        screen.app.say("")
        if size == LARGE:
            await screen.sees("POST /bank/v1/oauth2/login")  # the pane has read the wire
        for name, (keys, view) in REACHED.items():
            assert len(keys) <= 2
            for key in keys:
                await screen.press(key)
                await _settled(screen)
            await screen.reaches(view)
            await _settled(screen)
            assert len(screen.top.HELP) > 15, name
            assert 1 < len(screen.hints()) <= MOST, (name, screen.hints())
            snapshot(screen.app, f"{name}-{size[0]}x{size[1]}")
            if view == "Lock":
                await screen.press("b")
            while type(screen.top).__name__ != "Home":
                await screen.press("escape")
                await _settled(screen)

    play(scenario, enrolled=True, size=size)


@pytest.mark.parametrize("size", [SMALL, LARGE], ids=["80x24", "120x40"])
def test_the_first_run_the_sheet_and_the_verdict_look_as_they_did(
    play: Play, client: Client, snapshot: Snapshot, size: tuple[int, int]
) -> None:
    wide = f"{size[0]}x{size[1]}"

    async def scenario(screen: Driver) -> None:
        await screen.sees("Enrol with the demo user")
        if size == LARGE:
            await screen.sees("No transaction yet.")
        await _settled(screen)
        snapshot(screen.app, f"welcome-{wide}")
        await screen.press("enter")
        await screen.sees("Make a test payment")
        await screen.press("enter")
        await screen.reaches("Approval")
        await _settled(screen)
        if size == LARGE:
            await screen.sees("not judged yet (issued)")
        snapshot(screen.app, f"approval-{wide}")
        await screen.press("b")
        await screen.sees("✓ a payment approved")
        await screen.sees("That was strong customer")
        await _settled(screen)
        if size == SMALL:
            await screen.press("f2")
        await screen.sees("✓ accepted (attempt 1)")
        if size == LARGE:
            await screen.sees("paymentId 76add0da")  # the client's last call has come onto the wire
        await _settled(screen)
        snapshot(screen.app, f"paid-{wide}")

    play(scenario, size=size)


@pytest.mark.parametrize("theme", [theme.name for theme in THEMES])
def test_home_in_every_theme(play: Play, snapshot: Snapshot, theme: str) -> None:
    async def scenario(screen: Driver) -> None:
        await screen.at_home()
        screen.app.theme = theme
        await _settled(screen)
        screen.app.say("")
        await _settled(screen)
        snapshot(screen.app, f"home-{theme}")

    play(scenario, enrolled=True)


def test_the_pane_covers_a_narrow_screen_and_goes_again(play: Play) -> None:
    async def scenario(screen: Driver) -> None:
        await screen.at_home()
        await screen.press("f2")
        await screen.sees("On the wire")
        assert "Bank" not in screen.text()
        await screen.press("f2")
        await screen.sees("1 Bank")
        assert "On the wire" not in screen.text()

    play(scenario, enrolled=True)


def test_the_pane_names_the_check_that_failed_and_the_phone_does_not(play: Play, client: Client) -> None:
    async def scenario(screen: Driver) -> None:
        await screen.at_home()
        screen.app.handset.fault = "altered-payee"
        transaction, _ = client.begin_payment()
        await screen.reaches("Approval")
        await screen.press("b")
        await screen.sees("Signed and delivered")
        client.step_up(transaction, biometric=True)
        await screen.sees("✗ refused (attempt 1)")
        await screen.sees("✗ binding.payee")
        await screen.sees("POST /bank/v1/oauth2/stepup")
        await screen.sees("← 403 403.000.52")
        phone = "".join(line[:43] for line in screen.text().splitlines())
        assert "binding.payee" not in phone

    play(scenario, enrolled=True, size=LARGE)


def test_the_pane_does_not_say_that_a_declined_order_will_be_signed(play: Play, client: Client) -> None:
    async def scenario(screen: Driver) -> None:
        await screen.at_home()
        client.begin_payment()
        await screen.reaches("Approval")
        await screen.sees("SHA-256(kind ‖ nonce ‖ id ‖ order)")
        await screen.press("escape")
        await screen.sees("No order is on the screen.")
        await screen.press("1", "enter")
        await screen.reaches("Approval")
        await screen.sees("SHA-256(kind ‖ nonce ‖ id ‖ order)")
        await screen.press("d")
        await screen.sees("No order is on the screen.")

    play(scenario, enrolled=True, size=LARGE)


def test_the_palette_lists_everything(play: Play) -> None:
    from authenticator.tui.palette import commands

    no_hit = DiscoveryHit("", lambda: None, text="")

    async def scenario(screen: Driver) -> None:
        await screen.at_home()
        names = {command.title for command in commands(screen.app)}
        assert {"Home", "Bank", "Messages", "Mail", "Codes", "Security", "Setup", "Faults", "Lock", "Theme"} <= names
        await screen.press("ctrl+p")
        await screen.until(lambda: len(screen.app.screen_stack) == 2, "the palette")
        found = screen.app.screen.query_one(CommandList)
        await screen.type("faults")
        await screen.until(
            lambda: getattr(found.highlighted_option, "hit", no_hit).text == "Faults", "the command found"
        )
        await screen.press("enter")
        await screen.reaches("Faults")

    play(scenario, enrolled=True)


def test_a_new_finger_says_which_keys_die_before_it_happens_and_then_they_are_dead(play: Play, client: Client) -> None:
    """phone-behaviour section 1: a biometric-only key is invalidated for good; the possession key survives."""

    async def scenario(screen: Driver) -> None:
        await screen.at_home()
        await screen.press("6")
        await screen.reaches("Setup")
        await screen.press("e")
        await screen.reaches("Confirm")
        assert "These keys die for good" in screen.flat()
        assert all(not row["invalidated"] for row in screen.app.handset.snapshot().keys)
        await screen.press("y")
        await screen.sees("1 key died of it")
        dead = {row["gate"]: row["invalidated"] for row in screen.app.handset.snapshot().keys}
        assert dead == {"none": False, "biometric": True}
        client.begin_payment()
        await screen.reaches("Approval")
        await screen.press("b")
        await screen.sees("This key died when the fingers changed")
        await screen.press("p")
        await screen.sees("Signed and delivered")

    play(scenario, enrolled=True)


def test_another_phone_starts_over(play: Play) -> None:
    async def scenario(screen: Driver) -> None:
        await screen.at_home()
        await screen.press("6")
        await screen.reaches("Setup")
        await screen.press("o")
        await screen.reaches("Profiles")
        names = [screen.top.query_one("OptionList").get_option_at_index(n).id for n in range(4)]  # type: ignore[attr-defined]
        for _ in range(names.index("iphone-17") + 1):
            await screen.press("down")
        await screen.press("enter")
        await screen.reaches("Confirm")
        await screen.press("y")
        await screen.sees("iPhone 17 · Enclave")
        await screen.sees("Enrol with the demo user")
        await screen.press("enter")
        await screen.sees("Make a test payment")
        await screen.press("enter")
        await screen.reaches("Approval")
        assert "face" in screen.flat()
        await screen.press("b")
        await screen.sees("✓ a payment approved")

    play(scenario, enrolled=True)


def test_airplane_mode_sends_nothing_and_says_so(play: Play, client: Client) -> None:
    async def scenario(screen: Driver) -> None:
        await screen.at_home()
        await screen.press("6")
        await screen.reaches("Setup")
        await screen.press("a")
        await screen.sees("✈")
        client.begin_payment()
        await screen.press("escape", "n")
        await screen.reaches("PaymentForm")
        await screen.press("enter")
        await screen.sees("Airplane mode is on: nothing was sent.")
        await screen.press("escape")
        assert not screen.app.desk.pending
        screen.app.action_airplane()
        await screen.reaches("Approval")

    play(scenario, enrolled=True)


def test_a_skewed_clock_is_judged_by_the_server(play: Play, client: Client) -> None:
    async def scenario(screen: Driver) -> None:
        await screen.at_home()
        await screen.press("6")
        await screen.reaches("Setup")
        for _ in range(7):
            await screen.press("minus")
        await screen.sees("7:00 slow")
        await screen.sees("09:34")
        transaction, _ = client.begin_payment()
        await screen.reaches("Approval")
        await screen.press("b")
        await screen.sees("Signed and delivered")
        assert client.step_up(transaction, biometric=True).status_code == 403
        assert client.failing(transaction) == {"challenge.skew"}

    play(scenario, enrolled=True)


def test_a_view_may_be_opened_again_while_the_one_before_is_still_leaving(play: Play) -> None:
    """Found by the soak: the next approval arrived before the last sheet had left the stage, and the phone fell over."""

    async def scenario(screen: Driver) -> None:
        await screen.at_home()
        await _settled(screen)
        stage = screen.app.stage
        for name in VIEWS:
            module, cls = VIEWS[name].split(":")
            view = getattr(import_module(f"authenticator.tui.views.{module}"), cls)
            first = await stage.open(view())
            await stage.close(first)
            second = await stage.open(view())
            assert stage.top is second
            await stage.close(second)
        await _settled(screen)
        assert [type(view).__name__ for view in stage.children] == ["Home"]

    play(scenario, enrolled=True)
