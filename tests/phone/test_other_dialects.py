"""The same phone at Weavr and LoginRadius, over real sockets (DESIGN section 2: `--dialect weavr`, `--qr`)."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from authenticator.cli import main
from authenticator.server_process import running_server
from tests.support.http import open_http

Phone = Callable[..., Any]
WEAVR = {"api-key": "demo-api-key"}
LR_KEY = "11111111-1111-4111-8111-111111111111"
LR = "/loginradius/identity/v2/auth"


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with running_server("--port", "0", "--database", "memory") as url:
        yield url


@pytest.fixture
def http(server: str) -> Iterator[httpx2.Client]:
    with open_http(server) as client:
        assert client.post("/_stub/reset").is_success
        yield client


@pytest.fixture
def phone(server: str, http: httpx2.Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Phone:
    monkeypatch.setenv("STEPUP_PHONE_SECRET", "A" * 43)

    def run(*arguments: str, code: int = 0) -> Any:
        out = io.StringIO()
        options = ("--server", server, "--home", str(tmp_path / "home"), "--json")
        ended = main([*arguments, *options], stdout=out, stderr=io.StringIO())
        assert ended == code, out.getvalue()
        return json.loads(out.getvalue())

    return run


def weavr_session(http: httpx2.Client) -> dict[str, str]:
    login = {"email": "alice@example.com", "password": {"value": "Passw0rd!"}}
    token = http.post("/weavr/multi/login_with_password", json=login, headers=WEAVR).json()["token"]
    return {**WEAVR, "Authorization": f"Bearer {token}"}


def test_a_weavr_biometric_challenge_is_approved_on_the_phone(phone: Phone, http: httpx2.Client) -> None:
    """S1-15: the step-up of the login's token, signed by the biometric key."""
    phone("enrol", "--dialect", "weavr", "--password", "Passw0rd!")
    session = weavr_session(http)
    assert http.get("/weavr/multi/managed_accounts", headers=session).status_code == 403
    challenge = http.post("/weavr/multi/stepup/challenges/push/BIOMETRIC", headers=session).json()["id"]
    waiting = phone("pending")
    assert [(row["dialect"], row["kind"]) for row in waiting] == [("weavr", "account-access")]
    phone("approve", waiting[0]["transactionId"], "--biometric", "match")
    assert http.get("/weavr/multi/managed_accounts", headers=session).status_code == 200
    assert challenge


def test_a_weavr_challenge_can_be_declined(phone: Phone, http: httpx2.Client) -> None:
    phone("enrol", "--dialect", "weavr", "--password", "Passw0rd!")
    session = weavr_session(http)
    http.post("/weavr/multi/stepup/challenges/push/BIOMETRIC", headers=session)
    phone("decline", phone("pending")[0]["transactionId"])
    assert http.get("/weavr/multi/managed_accounts", headers=session).status_code == 403
    assert phone("pending") == []


def test_one_phone_serves_two_banks(phone: Phone, http: httpx2.Client) -> None:
    phone("enrol", "--passcode", "111234")
    phone("enrol", "--dialect", "weavr", "--password", "Passw0rd!")
    http.post("/weavr/multi/stepup/challenges/push/BIOMETRIC", headers=weavr_session(http))
    paid = phone("pay", "--amount", "1.00", "--passcode", "111234")
    assert paid["status"] == "ACCEPTED"
    assert [row["dialect"] for row in phone("pending")] == ["weavr"]
    assert len(phone("keys")) == 4


def push_login(http: httpx2.Client) -> str:
    login = {"email": "alice@example.com", "password": "Passw0rd!"}
    answer = http.post(f"{LR}/login/2fa?apikey={LR_KEY}", json=login).json()
    return str(answer["SecondFactorAuthentication"]["SecondFactorAuthenticationToken"])


def ping(http: httpx2.Client, token: str) -> httpx2.Response:
    query = f"apikey={LR_KEY}&secondfactorauthenticationtoken={token}"
    return http.get(f"{LR}/login/2fa/push/ping?{query}")


@pytest.fixture
def pushed(phone: Phone, http: httpx2.Client) -> str:
    """A phone registered by the QR code of the account, and a login that is pushed to it."""
    login = {"email": "alice@example.com", "password": "Passw0rd!"}
    access = http.post(f"{LR}/login?apikey={LR_KEY}", json=login).json()["access_token"]
    settings = http.get(f"{LR}/account/2fa?apikey={LR_KEY}", headers={"Authorization": f"Bearer {access}"}).json()
    phone("enrol", "--qr", settings["PushQRCode"])
    return push_login(http)


def test_a_pushed_login_is_approved(phone: Phone, http: httpx2.Client, pushed: str) -> None:
    """loginradius.md section 6: 1295 while pending; Yes, signed by the RSA key, brings the tokens."""
    assert ping(http, pushed).json()["ErrorCode"] == 1295
    waiting = phone("pending")
    assert [row["dialect"] for row in waiting] == ["loginradius"]
    assert waiting[0]["transactionId"] in {t["transactionId"] for t in http.get("/_stub/transactions").json()}
    assert phone("approve", pushed) == {"transactionId": pushed, "outcome": "approved", "method": "PUSH"}
    assert ping(http, pushed).json()["access_token"]
    assert phone("pending") == []


def test_a_pushed_login_is_declined(phone: Phone, http: httpx2.Client, pushed: str) -> None:
    phone("decline", pushed)
    assert ping(http, pushed).json()["ErrorCode"] == 1312


@pytest.mark.parametrize("uri", ["", "otpauth://totp/x", "http://127.0.0.1:1/elsewhere"])
def test_what_is_no_registration_code_is_a_usage_error(phone: Phone, uri: str) -> None:
    assert phone("enrol", "--qr", uri, code=2)["error"]["field"] == "--qr"
