"""Approvals that slide in: what is shown is what is signed, and every way to decide (DESIGN section 4, RTS Art. 5(1))."""

from __future__ import annotations

from typing import Any

import pytest

from authenticator.errors import Refused
from authenticator.tui.till import Till
from authenticator.tui.views.approval import Approval

from .conftest import USER, Client, Driver, HandClock, Play


def test_a_clients_payment_slides_in_over_whatever_is_open_and_a_match_approves_it(play: Play, client: Client) -> None:
    async def scenario(screen: Driver) -> None:
        await screen.at_home()
        await screen.press("6")
        await screen.reaches("Setup")
        transaction, _ = client.begin_payment(amount="12.34")
        await screen.reaches("Approval")
        shown = screen.flat()
        for expected in ("Confirm this payment", "12.34 GBP", "to ACME Ltd", "112233 12345678", "4:00"):
            assert expected in shown
        await screen.press("b")
        await screen.sees("Signed and delivered")
        await screen.reaches("Setup")
        assert client.step_up(transaction, biometric=True).status_code == 200
        verdict = client.verdict(transaction)
        assert {e["category"] for e in verdict["elements"]} == {"possession", "inherence"}

    play(scenario, enrolled=True)


def test_the_passcode_key_signs_a_clients_payment_and_the_passcode_stays_with_the_client(
    play: Play, client: Client
) -> None:
    async def scenario(screen: Driver) -> None:
        await screen.at_home()
        transaction, _ = client.begin_payment()
        await screen.reaches("Approval")
        await screen.press("p")
        await screen.sees("Signed and delivered")
        assert client.step_up(transaction, biometric=False).status_code == 200
        assert {e["category"] for e in client.verdict(transaction)["elements"]} == {"possession", "knowledge"}

    play(scenario, enrolled=True)


def test_the_own_bank_app_pays_by_passcode_and_a_wrong_one_is_refused_without_saying_why(
    play: Play, client: Client
) -> None:
    """RTS Art. 4(3)(a): the phone's screen does not say which element failed."""

    async def scenario(screen: Driver) -> None:
        await screen.at_home()
        await screen.press("n")
        await screen.reaches("PaymentForm")
        await screen.press("enter")
        await screen.reaches("Approval")
        await screen.press("p")
        await screen.reaches("PinPad")
        await screen.type("999999")
        assert "999999" not in screen.text()
        await screen.press("enter")
        await screen.sees("does not say which element failed")
        await screen.press("p")
        await screen.reaches("PinPad")
        await screen.type("111234")
        await screen.press("enter")
        await screen.sees("✓ Paid: the bank says ACCEPTED")

    play(scenario, enrolled=True)
    (transaction,) = client.stub("GET", "transactions")
    assert transaction["attempts"] == 2
    assert transaction["state"] == "CONSUMED"


def test_a_wrong_finger_signs_nothing_and_the_sensor_pauses_after_five(
    play: Play, client: Client, hand_clock: HandClock
) -> None:
    """phone-behaviour section 4: five failed matches, then thirty seconds."""

    async def scenario(screen: Driver) -> None:
        await screen.at_home()
        client.begin_payment()
        await screen.reaches("Approval")
        sheet = screen.top
        assert isinstance(sheet, Approval)
        for _ in range(4):
            await screen.press("x")
            await screen.until(lambda: not sheet.busy, "an answer of the sensor")
            await screen.sees("No match. Nothing was signed.")
        await screen.press("x")
        await screen.sees("Too many failed matches")
        await screen.press("b")
        await screen.until(lambda: not sheet.busy, "an answer of the sensor")
        await screen.sees("Too many failed matches")
        assert client.stub("GET", "transactions")[0]["attempts"] == 0
        hand_clock.advance(31)
        await screen.press("b")
        await screen.sees("Signed and delivered")

    play(scenario, enrolled=True)


def test_declining_tells_the_server(play: Play, client: Client) -> None:
    async def scenario(screen: Driver) -> None:
        await screen.at_home()
        transaction, _ = client.begin_payment()
        await screen.reaches("Approval")
        await screen.press("d")
        await screen.sees("Declined. Nothing was signed.")
        assert client.step_up(transaction, biometric=False).status_code == 403
        assert "evidence.approved" in client.failing(transaction)

    play(scenario, enrolled=True)


def test_what_was_declined_is_not_offered_again_by_the_same_phone_after_a_restart(play: Play, client: Client) -> None:
    """The server lists it until it ends, with its `outcome`; the phone has no memory of its own for it."""

    async def decline(screen: Driver) -> None:
        await screen.enrol()
        client.begin_payment(payee="Declined Ltd")
        await screen.reaches("Approval")
        await screen.press("d")
        await screen.sees("Declined. Nothing was signed.")

    async def restart(screen: Driver) -> None:
        await screen.reaches("Home")
        await screen.until(lambda: screen.app.desk.pending, "the list of open step-ups")
        client.begin_payment(payee="Another Ltd")
        await screen.reaches("Approval")  # whatever the phone offers comes in the order of the list
        assert "Another Ltd" in screen.flat()
        await screen.press("b")
        await screen.sees("Signed and delivered")
        await screen.press("1")
        await screen.reaches("Bank")
        await screen.sees("– 10.00 GBP to Declined Ltd")
        assert "waits for you" not in screen.flat()
        await screen.press("escape", "l")
        await screen.reaches("Lock")
        assert "waits" not in screen.flat()

    play(decline)
    play(restart)


def test_an_approval_that_its_client_wasted_is_asked_for_again(play: Play, client: Client) -> None:
    """Delivered evidence serves one evaluated attempt: after a wrong passcode at the client the phone must sign anew."""

    async def scenario(screen: Driver) -> None:
        await screen.at_home()
        transaction, _ = client.begin_payment()
        await screen.reaches("Approval")
        await screen.press("p")
        await screen.sees("Signed and delivered")
        await screen.until(lambda: [r for r in screen.app.desk.pending if r["outcome"] == "approved"], "the outcome")
        wrong = {"username": USER, "passcode": "000000"}
        assert client.call("oauth2/stepup", wrong, **{"X-TransactionId": transaction}).status_code == 403
        screen.app.approvals.refresh()
        await screen.reaches("Approval")
        await screen.press("p")
        await screen.sees("Signed and delivered")
        assert client.step_up(transaction, biometric=False).status_code == 200

    play(scenario, enrolled=True)


def test_later_leaves_it_in_the_bank_where_enter_opens_it_again(play: Play, client: Client) -> None:
    async def scenario(screen: Driver) -> None:
        await screen.at_home()
        client.begin_payment()
        await screen.reaches("Approval")
        await screen.press("escape")
        await screen.reaches("Home")
        await screen.press("1")
        await screen.reaches("Bank")
        await screen.sees("waits for you")
        await screen.press("enter")
        await screen.reaches("Approval")

    play(scenario, enrolled=True)


def test_an_approval_that_runs_out_closes_and_says_so(play: Play, client: Client, hand_clock: HandClock) -> None:
    async def scenario(screen: Driver) -> None:
        await screen.at_home()
        client.begin_payment()
        await screen.reaches("Approval")
        hand_clock.advance(3600)
        await screen.sees("The time is over. Nothing was signed.")

    play(scenario, enrolled=True)


def test_nobody_who_types_is_interrupted_and_no_letter_is_taken_for_a_decision(play: Play, client: Client) -> None:
    async def scenario(screen: Driver) -> None:
        await screen.at_home()
        await screen.press("n")
        await screen.reaches("PaymentForm")
        client.begin_payment(payee="Someone else")
        await screen.until(lambda: screen.app.desk.pending, "the push")
        await screen.type("bbb")
        assert type(screen.top).__name__ == "PaymentForm"
        assert client.stub("GET", "transactions")[0]["attempts"] == 0
        await screen.press("escape")
        await screen.reaches("Approval")
        assert "Someone else" in screen.flat()

    play(scenario, enrolled=True)


def test_a_locked_phone_shows_that_something_waits_but_not_what(play: Play, client: Client) -> None:
    async def scenario(screen: Driver) -> None:
        await screen.at_home()
        await screen.press("l")
        await screen.reaches("Lock")
        client.begin_payment(payee="Secret payee")
        await screen.sees("1 approval waits")
        assert "Secret payee" not in screen.text()
        await screen.press("b")
        await screen.reaches("Approval")
        assert "Secret payee" in screen.flat()

    play(scenario, enrolled=True)


HOSTILE = {
    "a bidi override": ("ACME \u202edtL", "⟨U+202E⟩"),
    "a look-alike": ("\u0410CME Ltd", "⟨U+0410⟩"),
    "a control character": ("ACME\x1b[31m Ltd", "⟨U+001B⟩"),
    "a zero-width space": ("AC\u200bME Ltd", "⟨U+200B⟩"),
    "markup": ("[red]ACME[/red] Ltd", "[red]ACME[/red] Ltd"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_payees_are_written_out(play: Play, client: Client, case: str) -> None:
    payee, seen = HOSTILE[case]

    async def scenario(screen: Driver) -> None:
        await screen.at_home()
        client.begin_payment(payee=payee)
        await screen.reaches("Approval")
        assert seen.replace(" ", "") in screen.flat().replace(" ", "")
        assert "\x1b" not in screen.text()
        assert "\u202e" not in screen.text()

    play(scenario, enrolled=True)


def test_a_long_order_must_be_read_to_its_end_before_it_can_be_signed(play: Play, client: Client) -> None:
    """Five hundred letters cannot push anything out of sight (issue 7: what you see is what you sign)."""

    async def scenario(screen: Driver) -> None:
        await screen.at_home()
        client.begin_payment(payee="A" * 500, zz_hidden="the last member")
        await screen.reaches("Approval")
        sheet = screen.top
        assert isinstance(sheet, Approval)
        await screen.press("b")
        await screen.sees("Read to the end first")
        assert not sheet.busy
        seen = screen.flat()
        for _ in range(40):
            await screen.press("down")
            seen += screen.flat()
        assert seen.replace(" ", "").count("A" * 30) > 10
        assert "the last member" in seen
        await screen.press("b")
        await screen.sees("Signed and delivered")

    play(scenario, enrolled=True)


def test_an_order_that_changes_between_showing_and_signing_is_not_signed(
    play: Play, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RTS Art. 5(1)(a): what is signed is what the payer was made aware of, even if the server itself swaps the order."""
    from authenticator.ceremonies import StepUp
    from authenticator.tui import till
    from device_keys.messages import payload_digest, step_up_challenge

    honest, signed = till.fetch, []

    def swapped(phone: Any, server: str, transaction_id: str, dialect: str | None = None) -> tuple[Any, StepUp]:
        import dataclasses

        enrolment, step_up = honest(phone, server, transaction_id, dialect)
        payload = {**step_up.payload, "amount": "9999.00"}
        challenge = step_up_challenge(step_up.kind, step_up.nonce, transaction_id, payload_digest(payload))
        return enrolment, dataclasses.replace(step_up, payload=payload, challenge=challenge)

    async def scenario(screen: Driver) -> None:
        await screen.at_home()
        client.begin_payment()
        await screen.reaches("Approval")
        screen.app.till.signed = signed.append
        monkeypatch.setattr(till, "fetch", swapped)
        await screen.press("b")
        await screen.sees("not the one on the screen any more")

    play(scenario, enrolled=True)
    assert not signed


def test_the_own_bank_app_signs_no_transaction_that_was_not_on_the_screen(play: Play, client: Client) -> None:
    """`Till` alone: approving transaction A must never sign transaction B."""
    kept: dict[str, Any] = {}

    async def scenario(screen: Driver) -> None:
        await screen.at_home()
        app = screen.app
        order = {
            "amount": "1.00",
            "currency": "GBP",
            "payee": {"name": "B", "sortCode": "112233", "accountNumber": "12345678"},
        }
        till: Till = app.till
        first = await app.do(lambda: till.begin(order))
        offer = await app.do(lambda: till.offer(first))
        bank, _ = till._own[first]
        bank.offer = offer
        from authenticator.apps.bank import Means

        try:
            await app.do(lambda: bank.approve("another-transaction", Means("biometric")))
        except Exception as error:
            kept["error"] = error

    play(scenario, enrolled=True)
    assert "not on the screen" in str(kept["error"])
    assert not isinstance(kept["error"], Refused)


def test_an_armed_fault_is_always_seen_and_trips_its_check(play: Play, client: Client) -> None:
    """S0: failures on demand; the reviewer's side names the check."""

    async def scenario(screen: Driver) -> None:
        await screen.at_home()
        screen.app.handset.fault = "altered-amount"
        screen.app.show_status()
        await screen.sees("⚠ altered-amount")
        transaction, _ = client.begin_payment()
        await screen.reaches("Approval")
        assert "⚠ altered-amount" in screen.flat()
        await screen.press("b")
        await screen.sees("Signed and delivered")
        assert client.step_up(transaction, biometric=True).status_code == 403
        assert client.failing(transaction) == {"binding.amount"}

    play(scenario, enrolled=True)


def test_approvals_follow_each_other_one_key_each(play: Play, client: Client) -> None:
    """Someone who approves all day: the next one slides in by itself."""
    approvals = 6

    async def scenario(screen: Driver) -> None:
        await screen.at_home()
        before = screen.keys
        for _ in range(approvals):
            transaction, _ = client.begin_payment()

            def on_screen(wanted: str = transaction) -> bool:
                top = screen.app.stage.top
                return isinstance(top, Approval) and top.offer.transaction_id == wanted and top._ready and not top.busy

            await screen.until(on_screen, "the next approval")
            await screen.press("b")
            await screen.until(lambda: not screen.app.desk.waiting(), "nothing that waits")
        assert screen.keys - before == approvals

    play(scenario, enrolled=True)
