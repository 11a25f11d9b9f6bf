"""What the phone's screen says of a step-up is of that very step-up, and seen; else it says that it does not know."""

from __future__ import annotations

from typing import Any

import pytest

from authenticator.tui import reviewing

from .conftest import LARGE, Client, Driver, Play

STRANGER = {
    "dialect": "bank", "id": "0c6d5b3e-7f44-4c0b-9a58-3f3b6c1f0d11", "passcode": "246810", "mobile": "+447700900199", "balances": {},
}  # fmt: skip


class Stranger(Client):
    """Another customer, who pays without any phone."""

    def refused_payment(self) -> str:
        """The newest transaction of the server: its step-up fails."""
        self.stub("PUT", "users", STRANGER)
        self.tokens = self.call("oauth2/login", {"username": STRANGER["id"], "passcode": "246810"}).json()
        transaction: str = self.call("payments/domestic", {"amount": "7.00", "currency": "GBP"}).json()["transactionId"]
        body = {"username": STRANGER["id"], "passcode": "246810"}
        assert self.call("oauth2/stepup", body, **{"X-TransactionId": transaction}).status_code == 403
        return transaction


@pytest.fixture
def stranger(client: Client) -> Stranger:
    return Stranger(client.url, client.http)


def pane(screen: Driver, part: str) -> str:
    return str(screen.app.screen_stack[0].query_one(f"#pane-{part}").render())


def test_the_pane_shows_the_verdict_of_the_order_whose_bytes_it_shows(
    play: Play, client: Client, stranger: Stranger
) -> None:
    async def scenario(screen: Driver) -> None:
        await screen.enrol()
        mine, _ = client.begin_payment()
        await screen.reaches("Approval")
        await screen.sees("not judged yet (issued)")
        await screen.press("b")
        await screen.sees("Signed and delivered")
        other = stranger.refused_payment()
        await screen.until(lambda: "7.00" not in screen.text() and "Was signed" in screen.text(), "the signature")
        assert client.step_up(mine, biometric=True).status_code == 200
        await screen.sees("✓ accepted (attempt 1)")
        assert pane(screen, "signed-title") == f"Was signed · {mine}"
        assert pane(screen, "verdict-title") == f"Verdict · {mine}"
        assert other not in screen.flat()

    play(scenario, size=LARGE)


def test_where_no_order_is_on_the_screen_the_pane_says_that_it_shows_the_newest(
    play: Play, client: Client, stranger: Stranger
) -> None:
    async def scenario(screen: Driver) -> None:
        await screen.enrol()
        other = stranger.refused_payment()
        await screen.sees("✗ refused (attempt 1)")
        assert pane(screen, "verdict-title") == f"Verdict · newest on this server · {other}"
        mine, _ = client.begin_payment()
        await screen.reaches("Approval")
        await screen.sees("not judged yet (issued)")
        assert pane(screen, "verdict-title") == f"Verdict · {mine}"

    play(scenario, size=LARGE)


def test_a_call_that_was_refused_at_the_door_is_shown_as_that(play: Play, client: Client) -> None:
    async def scenario(screen: Driver) -> None:
        await screen.enrol()
        transaction, _ = client.begin_payment()
        await screen.reaches("Approval")
        client.login()  # another session of the same user
        assert client.step_up(transaction, biometric=False).status_code == 403
        await screen.sees("✗ refused at the door (attempt 1)")

    play(scenario, size=LARGE)


def test_the_welcome_calls_nothing_strong_that_nobody_judged(play: Play, client: Client) -> None:
    async def scenario(screen: Driver) -> None:
        await screen.sees("Enrol with the demo user")
        await screen.press("enter")
        await screen.sees("Make a test payment")
        client.begin_payment()
        await screen.reaches("Approval")
        await screen.press("b")
        await screen.sees("It is not judged yet.")
        assert "strong customer authentication" not in screen.flat()

    play(scenario)


@pytest.mark.parametrize(
    ("judged", "says"),
    [
        (None, "It is not judged yet."),
        ({"accepted": False, "compliance": {"twoFactor": "undetermined"}}, "The server refused the step-up."),
        ({"accepted": True, "compliance": {"twoFactor": "undetermined"}}, "The server accepted it; two-factor: undetermined."),
        ({"accepted": True, "compliance": {"twoFactor": "fail"}}, "The server accepted it; two-factor: fail."),
        ({"accepted": True, "compliance": {"twoFactor": "pass"}}, "That was strong customer authentication."),
    ],
)  # fmt: skip
def test_strong_customer_authentication_is_what_was_accepted_and_two_factor(judged: Any, says: str) -> None:
    assert reviewing.in_a_sentence(judged).startswith(says)


def test_who_declines_after_a_refused_approval_is_not_told_that_nothing_was_signed(play: Play, client: Client) -> None:
    async def scenario(screen: Driver) -> None:
        await screen.enrol()
        transaction, _ = client.begin_payment()
        await screen.reaches("Approval")
        screen.app.handset.fault = "altered-payee"
        await screen.press("b")
        await screen.sees("Signed and delivered")
        assert client.step_up(transaction, biometric=True).status_code == 403
        await screen.press("1")
        await screen.reaches("Approval")  # its client used the approval up in vain: it is wanted anew
        await screen.press("d")
        await screen.sees("Declined. It was signed before.")

    play(scenario)


def test_the_demo_says_that_it_was_strong_only_where_the_verdicts_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    from authenticator import demo

    bad = {"accepted": True, "compliance": {"twoFactor": "undetermined"}}

    def pay(story: demo.Story, *_: Any) -> None:
        story.transactions.append({"transactionId": "t", "verdict": bad})

    monkeypatch.setattr(demo, "_enrol", lambda *_: None)
    monkeypatch.setattr(demo, "_pay", pay)
    story = demo.Story()
    demo.play(story, "http://127.0.0.1:9", tmp_path)
    assert not story.ok
    assert "strong" not in story.steps[-1]["title"]
