"""Messages and codes: they arrive by themselves, stand out, and can be copied; and the line to the server heals."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from typing import Any

import pyotp
import pytest

from authenticator.server_process import running_server
from authenticator.tui import live
from authenticator.tui.live import Arrived, Away, Connected, follow
from tests.support.waiting import reserved_port

from .conftest import NOW, Client, Driver, Play

SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
URI = f"otpauth://totp/Bank:alice?secret={SECRET}&issuer=Bank"


def _new_sms(client: Client) -> str:
    """The server sends an activation code to the demo user's number."""
    client.login()
    bearer = {"Authorization": f"Bearer {client.tokens['accessToken']}", "X-APIKEY": "demo-api-key"}
    assert client.http.post(f"{client.url}/device/v1/enrolments", json={}, headers=bearer).status_code == 200
    code: str = client.stub("GET", "messages?channel=sms")[-1]["code"]
    return code


def test_an_sms_arrives_live_and_c_copies_its_code(play: Play, client: Client) -> None:
    async def scenario(screen: Driver) -> None:
        await screen.at_home()
        code = _new_sms(client)
        await screen.sees("● 1")
        await screen.press("2")
        await screen.reaches("Messages")
        await screen.sees(code)
        await screen.press("c")
        await screen.sees(f"Copied {code}")
        assert screen.app.clipboard == code
        newer = _new_sms(client)
        await screen.sees(newer)
        await screen.press("escape")
        await screen.reaches("Home")
        assert "● 1" not in screen.flat()

    play(scenario, enrolled=True)


def test_the_lock_screen_says_that_a_message_came_without_its_code(play: Play, client: Client) -> None:
    async def scenario(screen: Driver) -> None:
        await screen.at_home()
        await screen.press("l")
        await screen.reaches("Lock")
        code = _new_sms(client)
        await screen.sees("1 new message")
        assert code not in screen.text()

    play(scenario, enrolled=True)


def test_an_account_added_by_its_uri_shows_the_code_of_rfc_6238(play: Play) -> None:
    expected = pyotp.TOTP(SECRET).at(NOW)

    async def scenario(screen: Driver) -> None:
        await screen.at_home()
        await screen.press("4")
        await screen.reaches("Codes")
        await screen.press("a")
        await screen.reaches("AddAccount")
        screen.app.screen.query_one("#field-uri").value = URI  # type: ignore[attr-defined]
        await screen.press("enter")
        await screen.reaches("Codes")
        await screen.sees(f"{expected[:3]} {expected[3:]}")
        await screen.sees("30 s")
        await screen.press("c")
        await screen.until(lambda: screen.app.clipboard == expected, "the copied code")
        await screen.press("q")
        await screen.until(lambda: len(screen.app.screen_stack) == 2, "the QR code")
        assert "█" in screen.text()
        await screen.press("escape")
        await screen.press("delete")
        await screen.reaches("Confirm")
        await screen.press("y")
        await screen.sees("No account yet")

    play(scenario, enrolled=True)


def test_what_is_no_uri_is_refused_with_the_field_named(play: Play) -> None:
    async def scenario(screen: Driver) -> None:
        await screen.at_home()
        await screen.press("4")
        await screen.reaches("Codes")
        await screen.press("a")
        await screen.reaches("AddAccount")
        await screen.type("nonsense")
        await screen.press("enter")
        await screen.sees("xpected")
        assert type(screen.top).__name__ == "AddAccount"

    play(scenario, enrolled=True)


def test_the_qr_code_holds_the_very_modules_of_the_library() -> None:
    import segno

    from authenticator.tui.views.codes import half_blocks

    rows = [[char in up for char in line] for line in half_blocks(URI).splitlines() for up in ("█▀", "█▄")]
    matrix = segno.make(URI, error="l", micro=False, boost_error=False).matrix
    inner = [[not light for light in row[2:-2]] for row in rows[2 : 2 + len(matrix)]]
    assert inner == [[bool(module) for module in row] for row in matrix]


# --- the line -------------------------------------------------------------------------------------------------------------


def test_the_stream_is_tried_again_with_growing_pauses_and_at_once_after_a_success(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pauses: list[float] = []
    heard: list[Any] = []
    script = iter(["fail", "fail", "fail", "open", "fail", "end"])

    async def source() -> AsyncIterator[dict[str, Any] | None]:
        step = next(script)
        if step == "end":
            raise asyncio.CancelledError
        if step == "fail":
            raise OSError("refused")
        yield None
        yield {"id": 1, "channel": "sms"}

    async def no_wait(nudge: asyncio.Event, seconds: float) -> None:
        pauses.append(seconds)

    monkeypatch.setattr(live, "_wait", no_wait)
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(follow(source, heard.append, asyncio.Event()))
    assert pauses == [0.5, 1.0, 2.0, 0.5, 1.0]
    assert [type(event) for event in heard] == [Away, Away, Away, Connected, Arrived, Away, Away]
    assert list(live.BACK_OFF) == sorted(live.BACK_OFF)


def test_a_server_that_goes_away_is_said_plainly_and_its_return_is_noticed(play: Play) -> None:
    """Issue 7, Live: nothing blocks the screen, and what came meanwhile is fetched."""
    options = ("--database", "memory", "--seed", "away", "--clock", NOW.isoformat())

    async def scenario(screen: Driver) -> None:
        first = running_server("--port", str(port), *options)
        first.__enter__()
        try:
            screen.app.action_retry()
            await screen.reaches("Welcome")
            await screen.press("r")
            await screen.enrol()
        finally:
            first.__exit__(None, None, None)
        await screen.sees("No server")
        await screen.press("2")
        await screen.reaches("Messages")
        await screen.press("escape")
        with running_server("--port", str(port), *options):
            screen.app.action_retry()
            await screen.until(lambda: screen.app.desk.line.up, "the line")

    port = reserved_port()
    play(scenario, url=f"http://127.0.0.1:{port}")


def test_nothing_heavy_is_imported_before_the_first_paint() -> None:
    """Issue 7, point 4: no cryptography, no HTTP, no store on the way to the first paint."""
    program = (
        "import sys, authenticator.tui.app\n"
        "heavy = {'cryptography', 'nacl', 'httpx2', 'msgspec', 'segno', 'pyotp', 'fido2'} & set(sys.modules)\n"
        "print(sorted(heavy))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
