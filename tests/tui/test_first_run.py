"""A newcomer's first run (issue 7, point 3), and the way back in after the server was reset."""

from __future__ import annotations

import socket
import threading
from contextlib import AbstractContextManager

import pytest

from authenticator import server_process
from authenticator.tui.app import PhoneApp
from tests.support.waiting import PATIENCE_SECONDS, reserved_port

from .conftest import Client, Driver, Play


def test_from_start_to_a_paid_test_payment_in_at_most_eight_keys(play: Play, client: Client) -> None:
    """Issue 7: demo user filled in, biometric approval, no more than eight key presses."""

    async def newcomer(screen: Driver) -> None:
        await screen.sees("Enrol with the demo user")
        await screen.press("enter")
        await screen.sees("Make a test payment")
        await screen.press("enter")
        await screen.reaches("Approval")
        await screen.press("b")
        await screen.sees("✓ a payment approved")
        assert screen.keys <= 8

    play(newcomer)
    (transaction,) = client.stub("GET", "transactions")
    assert transaction["state"] == "CONSUMED"
    verdict = client.verdict(transaction["transactionId"])
    assert verdict["accepted"]
    assert verdict["compliance"]["twoFactor"] == "pass"
    assert {(e["category"], e["grade"]) for e in verdict["elements"]} == {
        ("possession", "proved"),
        ("inherence", "proved"),
    }


def test_a_newcomer_without_a_server_starts_one_with_enter(
    play: Play, monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> None:
    url = _free_address(monkeypatch, tmp_path)

    async def newcomer(screen: Driver) -> None:
        await screen.sees("Start a server here")
        assert "No server answers" in screen.flat()
        await screen.press("enter")
        await screen.sees("Enrol with the demo user")
        await screen.press("enter")
        await screen.sees("Make a test payment")
        await screen.press("enter")
        await screen.reaches("Approval")
        await screen.press("b")
        await screen.sees("✓ a payment approved")
        assert screen.keys <= 8

    play(newcomer, url=url, network_time=True)


def _free_address(monkeypatch: pytest.MonkeyPatch, home: object) -> str:
    """Where no server answers; one that is started there keeps its files in `home`."""
    monkeypatch.setenv("XDG_DATA_HOME", str(home))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home))
    return f"http://127.0.0.1:{reserved_port()}"


def _answers(url: str) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", int(url.rsplit(":", 1)[1]))) == 0


def test_with_a_server_the_screen_comes_first_says_so_and_goes_on_by_itself(
    play: Play, monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> None:
    """`make phone`: nobody waits before an empty terminal, on the first day or later; the server ends with the phone."""
    url = _free_address(monkeypatch, tmp_path)
    seen = threading.Event()
    server_at = server_process.server_at

    def once_that_was_seen(url: str) -> AbstractContextManager[str]:
        assert seen.wait(PATIENCE_SECONDS)
        return server_at(url)

    async def first_day(screen: Driver) -> None:
        await screen.sees("Starting a server …")
        assert not _answers(url)
        seen.set()
        await screen.sees("Enrol with the demo user")
        assert screen.keys == 0
        await screen.enrol()

    said: list[str] = []
    say = PhoneApp.say

    def say_and_note(app: PhoneApp, text: str, kind: str = "") -> None:
        said.append(text)
        say(app, text, kind)

    async def later(screen: Driver) -> None:
        await screen.reaches("Home")
        await screen.until(lambda: screen.app.desk.line.up, "the line to the server")
        await screen.sees("The server answers.")
        assert "Still trying" not in screen.flat()

    monkeypatch.setattr(server_process, "server_at", once_that_was_seen)
    play(first_day, url=url, network_time=True, with_server=True)
    assert not _answers(url)
    monkeypatch.setattr(PhoneApp, "say", say_and_note)
    play(later, url=url, network_time=True, with_server=True)
    assert said.index("Starting a server …") < said.index("The server answers.")
    assert not _answers(url)


def test_a_server_that_cannot_be_started_is_said_on_the_screen(
    play: Play, monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> None:
    """Something else holds the port: the screen says so, and offers to try again."""
    _free_address(monkeypatch, tmp_path)

    async def newcomer(screen: Driver) -> None:
        await screen.sees("Address already in")
        await screen.sees("Start a server here")

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        play(newcomer, url=url, network_time=True, with_server=True)


def test_after_a_reset_the_phone_says_that_it_is_not_enrolled_and_enrols_again(play: Play, client: Client) -> None:
    async def scenario(screen: Driver) -> None:
        await screen.at_home()
        client.stub("POST", "reset")
        screen.app.approvals.refresh()
        await screen.sees("does not know this phone any more")
        await screen.sees("Enrol with the demo user")
        await screen.press("enter")
        await screen.sees("Make a test payment")
        await screen.press("enter")
        await screen.reaches("Approval")
        await screen.press("b")
        await screen.sees("✓ a payment approved")

    play(scenario, enrolled=True)


def test_an_enrolled_phone_opens_at_home_and_remembers_its_history(play: Play) -> None:
    async def first(screen: Driver) -> None:
        await screen.enrol()
        await screen.press("n")
        await screen.reaches("PaymentForm")
        await screen.press("enter")
        await screen.reaches("Approval")
        await screen.press("b")
        await screen.sees("✓ Paid")

    async def second(screen: Driver) -> None:
        await screen.reaches("Home")
        await screen.press("1")
        await screen.sees("10.00 GBP to ACME Ltd")
        await screen.sees("paid")

    play(first)
    play(second)
