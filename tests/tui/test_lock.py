"""The lock screen: the platform's lockouts, counted down in the phone's own time (phone-behaviour sections 3, 4)."""

from __future__ import annotations

from .conftest import Driver, HandClock, Play


async def _locked(screen: Driver) -> None:
    await screen.at_home()
    await screen.press("l")
    await screen.reaches("Lock")


async def _pin(screen: Driver, pin: str) -> None:
    await screen.type(pin)
    await screen.press("enter")


def test_the_pin_unlocks_and_is_never_shown(play: Play) -> None:
    async def scenario(screen: Driver) -> None:
        await _locked(screen)
        await screen.type("8642")
        await screen.sees("● ● ● ●")
        assert "8642" not in screen.text()
        await screen.press("enter")
        await screen.sees("Wrong PIN.")
        await _pin(screen, "1234")
        await screen.reaches("Home")

    play(scenario, enrolled=True)


def test_five_wrong_pins_on_android_16_wait_a_minute_and_it_counts_down(play: Play, hand_clock: HandClock) -> None:
    """phone-behaviour section 3.2: the fifth unique wrong guess waits 1 min, the next would wait 5."""

    async def scenario(screen: Driver) -> None:
        await _locked(screen)
        for index in range(4):
            await _pin(screen, f"900{index}")
            await screen.until(
                lambda wanted=index + 1: (s := screen.app.desk.snapshot) and s.pin_failures == wanted,
                "a counted failure",
            )
        assert "Try again" not in screen.flat()
        await _pin(screen, "9009")
        await screen.sees("Try again in 1:00 · 5 wrong tries · next: 5:00")
        hand_clock.advance(20)
        await screen.sees("Try again in 0:40")
        await _pin(screen, "1234")
        await screen.sees("Try again in 0:40")
        assert type(screen.top).__name__ == "Lock"
        hand_clock.advance(41)
        await _pin(screen, "1234")
        await screen.reaches("Home")

    play(scenario, enrolled=True)


def test_a_finger_unlocks_and_a_wrong_one_does_not(play: Play) -> None:
    async def scenario(screen: Driver) -> None:
        await _locked(screen)
        await screen.press("x")
        await screen.sees("No match.")
        await screen.press("escape")
        assert type(screen.top).__name__ == "Lock"
        await screen.press("b")
        await screen.reaches("Home")

    play(scenario, enrolled=True)


def test_after_a_reboot_only_the_pin_unlocks(play: Play) -> None:
    async def scenario(screen: Driver) -> None:
        await screen.at_home()
        await screen.press("6")
        await screen.reaches("Setup")
        await screen.press("b")
        await screen.reaches("Lock")
        await screen.sees("PIN first")
        await screen.press("b")
        await screen.sees("The phone wants its PIN first")
        await _pin(screen, "1234")
        await screen.reaches("Setup")

    play(scenario, enrolled=True)


def test_a_phone_that_was_locked_is_still_locked_when_it_is_opened_again(play: Play) -> None:
    async def again(screen: Driver) -> None:
        await screen.reaches("Lock")

    play(_locked, enrolled=True)
    play(again)


def test_the_mouse_alone_unlocks(play: Play) -> None:
    from authenticator.tui.widgets.pin_entry import Key

    async def scenario(screen: Driver) -> None:
        await _locked(screen)
        keys = {str(key.content): key for key in screen.app.query(Key)}
        for digit in ("1", "2", "3", "4", "✓"):
            await screen.pilot.click(keys[digit])
        await screen.reaches("Home")

    play(scenario, enrolled=True)
