"""A pushed login of LoginRadius on the screen: the phone is registered by the QR code's text, shows the login, and answers it."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from .conftest import Client, Driver, Play

KEY = "11111111-1111-4111-8111-111111111111"
A = "/loginradius/identity/v2/auth"
WHO = {"email": "alice@example.com", "password": "Passw0rd!"}


class Site:
    """A web site that logs its customers in at LoginRadius."""

    def __init__(self, client: Client) -> None:
        self.http = client.http
        self.base = client.url
        self.token = ""

    def call(self, method: str, path: str, body: Any = None, **query: str) -> httpx2.Response:
        headers = {"Authorization": f"Bearer {query.pop('bearer')}"} if "bearer" in query else {}
        return self.http.request(
            method, f"{self.base}{A}{path}", params={"apikey": KEY, **query}, json=body, headers=headers
        )

    def qr_text(self) -> str:
        """What the QR code for registering a phone says."""
        access = self.call("POST", "/login", WHO).json()["access_token"]
        text: str = self.call("GET", "/account/2fa", bearer=access).json()["PushQRCode"]
        return text

    def push(self) -> None:
        """A login that asks for the push."""
        answer = self.call("POST", "/login/2fa", WHO).json()
        self.token = answer["SecondFactorAuthentication"]["SecondFactorAuthenticationToken"]

    def ping(self) -> dict[str, Any]:
        found: dict[str, Any] = self.call(
            "GET", "/login/2fa/push/ping", secondfactorauthenticationtoken=self.token
        ).json()
        return found


@pytest.mark.parametrize(("key", "outcome"), [("p", "access_token"), ("d", 1312)])
def test_a_pushed_login_is_shown_and_answered_on_the_screen(play: Play, client: Client, key: str, outcome: Any) -> None:
    """Requirement S2-10 (push): Yes brings the tokens, No the published refusal."""
    site = Site(client)

    async def scenario(screen: Driver) -> None:
        await screen.at_home()
        await screen.press("4")
        await screen.press("a")
        await screen.type(site.qr_text())
        await screen.press("enter")
        await screen.sees("registered for push")
        await screen.press("h")
        site.push()
        assert site.ping()["ErrorCode"] == 1295
        await screen.reaches("Approval")
        assert "alice@example.com" in screen.flat()
        await screen.press(key)
        await screen.until(lambda: answers.append(site.ping()) or answers[-1].get("ErrorCode") != 1295, "the answer")

    answers: list[dict[str, Any]] = []
    play(scenario, enrolled=True)
    answer = answers[-1]
    assert outcome in (answer.get("ErrorCode"), *(name for name in answer if answer[name]))
