"""The mouse alone (issue 7): every flow without a key. Text fields are the one exception, and they come filled in."""

from __future__ import annotations

import pytest

from authenticator.tui.views.approval import Approval

from .conftest import Client, Driver, HandClock, Play


async def _enrolled(screen: Driver) -> None:
    await screen.click("Enrol with the demo user")
    await screen.sees("Make a test payment")
    await screen.click("h Home")
    await screen.reaches("Home")
    await screen.until(lambda: screen.app.desk.line.up, "the line to the server")


async def _keypad(screen: Driver, code: str) -> None:
    for digit in code:
        await screen.click(f"    {digit}    ")
    await screen.click("✓")


def _on_top(screen: Driver) -> Approval:
    sheet = screen.top
    assert isinstance(sheet, Approval)
    return sheet


def test_the_first_run(play: Play, client: Client) -> None:
    async def scenario(screen: Driver) -> None:
        await screen.click("Enrol with the demo user")
        await screen.click("Make a test payment")
        await screen.reaches("Approval")
        await screen.click("fingerprint")
        await screen.sees("✓ a payment approved")
        await screen.click("Go to Home")
        await screen.reaches("Home")
        assert screen.keys == 0

    play(scenario)
    (transaction,) = client.stub("GET", "transactions")
    assert transaction["state"] == "CONSUMED"


def test_locking_the_keypad_and_the_sensor(play: Play) -> None:
    async def scenario(screen: Driver) -> None:
        await _enrolled(screen)
        await screen.click("l Lock")
        await screen.reaches("Lock")
        await _keypad(screen, "9999")
        await screen.sees("Wrong PIN.")
        await screen.click("    1    ")
        await screen.click("⌫")
        await _keypad(screen, "1234")
        await screen.reaches("Home")
        await screen.click("l Lock")
        await screen.reaches("Lock")
        await screen.click("x Wrong finger")
        await screen.sees("No match.")
        await screen.click("b Unlock by sensor")
        await screen.reaches("Home")
        assert screen.keys == 0

    play(scenario)


@pytest.mark.parametrize(
    ("tile", "view"),
    [
        ("1 Bank", "Bank"),
        ("2 Messages", "Messages"),
        ("3 Mail", "Mail"),
        ("4 Codes", "Codes"),
        ("5 Security", "Security"),
        ("6 Setup", "Setup"),
    ],
)
def test_each_tile_its_help_and_the_way_back(play: Play, tile: str, view: str) -> None:
    async def scenario(screen: Driver) -> None:
        await _enrolled(screen)
        await screen.click(tile)
        await screen.reaches(view)
        if "Help" in screen.hints():
            await screen.click("? Help")
            await screen.reaches("Help")
            await screen.click("‹ Help")
            await screen.reaches(view)
        await screen.click("‹ ")
        await screen.reaches("Home")
        assert screen.keys == 0

    play(scenario)


def test_an_approval_by_another_finger_and_by_the_right_one(play: Play, client: Client) -> None:
    async def scenario(screen: Driver) -> None:
        await _enrolled(screen)
        client.begin_payment()
        await screen.reaches("Approval")
        await screen.click("x Wrong finger")
        await screen.sees("No match. Nothing was signed.")
        await screen.click("B fingerprint")
        await screen.sees("Signed and delivered")
        assert screen.keys == 0

    play(scenario)
    (transaction,) = client.stub("GET", "transactions")
    assert client.step_up(transaction["transactionId"], biometric=True).status_code == 200


def test_a_payment_of_ones_own_by_passcode(play: Play, client: Client) -> None:
    async def scenario(screen: Driver) -> None:
        await _enrolled(screen)
        await screen.click("1 Bank")
        await screen.reaches("Bank")
        await screen.click("n New payment")
        await screen.reaches("PaymentForm")
        await screen.click("Ask the bank")
        await screen.reaches("Approval")
        await screen.click("P passcode")
        await screen.reaches("PinPad")
        await _keypad(screen, "111234")
        await screen.sees("✓ Paid: the bank says ACCEPTED")
        assert screen.keys == 0

    play(scenario)


def test_declining_and_putting_off(play: Play, client: Client) -> None:
    async def scenario(screen: Driver) -> None:
        await _enrolled(screen)
        transaction, _ = client.begin_payment(payee="Later Ltd")
        await screen.reaches("Approval")
        await screen.click("esc Later")
        await screen.reaches("Home")
        await screen.click("1 Bank")
        await screen.reaches("Bank")
        await screen.click("Later Ltd")
        await screen.reaches("Approval")
        await screen.click("D decline")
        await screen.sees("Declined. Nothing was signed.")
        assert client.step_up(transaction, biometric=False).status_code == 403
        assert "evidence.approved" in client.failing(transaction)
        assert screen.keys == 0

    play(scenario)


@pytest.mark.parametrize("means", ["wheel", "click"])
def test_a_long_order_is_read_to_its_end(play: Play, client: Client, means: str) -> None:
    async def scenario(screen: Driver) -> None:
        await _enrolled(screen)
        client.begin_payment(payee="A" * 500, zz_hidden="the last member")
        await screen.reaches("Approval")
        sheet = _on_top(screen)
        await screen.click("B fingerprint")
        await screen.sees("Read to the end first")
        for _ in range(60):
            if sheet._seen:
                break
            await (screen.scroll("AAAA") if means == "wheel" else screen.click("↓ read to the end"))
        await screen.sees("the last member")
        await screen.click("B fingerprint")
        await screen.sees("Signed and delivered")
        assert screen.keys == 0

    play(scenario)


def test_a_sensor_that_is_locked_is_freed_by_the_keypad(play: Play, client: Client, hand_clock: HandClock) -> None:
    """phone-behaviour section 4: twenty failed matches lock the sensor until the PIN is given."""

    async def scenario(screen: Driver) -> None:
        await _enrolled(screen)
        client.begin_payment()
        await screen.reaches("Approval")
        sheet = _on_top(screen)
        for failures in range(1, 41):
            await screen.click("x Wrong finger")
            await screen.until(lambda: not sheet.busy, "an answer of the sensor")
            snapshot = screen.app.desk.snapshot
            assert snapshot is not None
            if snapshot.sensor_locked:
                break
            if failures % 5 == 0:
                hand_clock.advance(31)
        await screen.click("U PIN")
        await screen.reaches("PinPad")
        await _keypad(screen, "1234")
        await screen.sees("The sensor is free again.")
        await screen.click("B fingerprint")
        await screen.sees("Signed and delivered")
        assert screen.keys == 0

    play(scenario)


def test_setup_its_clock_airplane_theme_and_the_dangerous_things(play: Play) -> None:
    async def scenario(screen: Driver) -> None:
        await _enrolled(screen)
        await screen.click("6 Setup")
        await screen.reaches("Setup")
        await screen.click("Clock on a minute")
        await screen.sees("1:00 fast")
        await screen.click("Clock back a minute")
        await screen.click("Clock back a minute")
        await screen.sees("1:00 slow")
        await screen.click("Clock right")
        await screen.until(lambda: "slow" not in screen.flat(), "a clock that is right")
        await screen.click("A Airplane mode")
        await screen.sees("✈")
        await screen.click("A Airplane mode")
        await screen.until(lambda: "✈" not in screen.flat(), "the network")
        await screen.click("Theme")
        await screen.sees("Theme: light")
        await screen.click("Motion")
        await screen.sees("slide")
        await screen.click("Enrol a new finger")
        await screen.reaches("Confirm")
        await screen.click("leave it")
        await screen.reaches("Setup")
        await screen.click("Another phone")
        await screen.reaches("Profiles")
        await screen.click("‹ Another phone")
        await screen.reaches("Setup")
        await screen.click("Reboot")
        await screen.reaches("Lock")
        await _keypad(screen, "1234")
        await screen.reaches("Setup")
        await screen.click("Wipe")
        await screen.reaches("Confirm")
        await screen.click("Wipe this phone")
        await screen.sees("Enrol with the demo user")
        assert screen.keys == 0

    play(scenario)


def test_a_fault_is_armed_and_disarmed(play: Play) -> None:
    async def scenario(screen: Driver) -> None:
        await _enrolled(screen)
        await screen.click("6 Setup")
        await screen.reaches("Setup")
        await screen.click("Faults")
        await screen.reaches("Faults")
        await screen.click("altered-amount")
        await screen.sees("⚠ altered-amount")
        await screen.click("n Honest")
        await screen.until(lambda: "⚠" not in screen.text(), "an honest phone")
        assert screen.keys == 0

    play(scenario)


def test_keys_are_decoded_and_the_pane_comes_and_goes(play: Play) -> None:
    async def scenario(screen: Driver) -> None:
        await _enrolled(screen)
        await screen.click("5 Security")
        await screen.reaches("Security")
        await screen.click("Possession key")
        await screen.reaches("Attestation")
        await screen.sees("certificate")
        await screen.click("f2 Pane")
        await screen.sees("On the wire")
        await screen.click("esc Phone")
        await screen.reaches("Attestation")
        await screen.click("‹ Attestation")
        await screen.reaches("Security")
        await screen.click("e Enrol again")
        await screen.reaches("Confirm")
        await screen.click("Y Enrol again")
        await screen.reaches("PinPad")
        await _keypad(screen, "111234")
        await screen.sees("Enrolled again, with new keys.")
        assert screen.keys == 0

    play(scenario)


def test_an_sms_is_opened_from_home_and_its_code_copied(play: Play, client: Client) -> None:
    async def scenario(screen: Driver) -> None:
        await _enrolled(screen)
        client.login()
        bearer = {"Authorization": f"Bearer {client.tokens['accessToken']}", "X-APIKEY": "demo-api-key"}
        client.http.post(f"{client.url}/device/v1/enrolments", json={}, headers=bearer)
        code = client.stub("GET", "messages?channel=sms")[-1]["code"]
        await screen.click("✉ ")
        await screen.reaches("Messages")
        await screen.click(code)
        await screen.sees(f"Copied {code}")
        assert screen.app.clipboard == code
        assert screen.keys == 0

    play(scenario)


def test_the_palette_opens_and_chooses(play: Play) -> None:
    async def scenario(screen: Driver) -> None:
        await _enrolled(screen)
        await screen.click("^p palette")
        await screen.until(lambda: len(screen.app.screen_stack) == 2, "the palette")
        await screen.click("Codes")
        await screen.reaches("Codes")
        assert screen.keys == 0

    play(scenario)
