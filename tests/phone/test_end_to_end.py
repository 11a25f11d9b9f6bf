"""The main job over real sockets, the server a child process: all three ways that evidence travels (issue 2; DESIGN section 4)."""

from __future__ import annotations

import io
import json
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from authenticator.cli import main
from authenticator.server_process import running_server
from tests.support.http import open_http

USER, API_KEY = "9de3e326-b5bb-4cdc-bf6d-f6b609fbb765", {"X-APIKEY": "demo-api-key"}
ORDER = {
    "amount": "10.00",
    "currency": "GBP",
    "payee": {"name": "ACME Ltd", "sortCode": "112233", "accountNumber": "12345678"},
}
Phone = Callable[..., Any]


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with running_server("--dialect", "bank", "--port", "0", "--database", "memory") as url:
        yield url


@pytest.fixture
def client(server: str) -> Iterator[httpx2.Client]:
    """A bank client that knows nothing of devices."""
    with open_http(server, headers=API_KEY) as http:
        assert http.post("/_stub/reset").is_success
        yield http


@pytest.fixture
def phone(server: str, client: httpx2.Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Phone:
    monkeypatch.setenv("STEPUP_PHONE_SECRET", "A" * 43)
    monkeypatch.delenv("STEPUP_PASSCODE", raising=False)

    def run(*arguments: str, code: int = 0) -> Any:
        out = io.StringIO()
        options = ("--server", server, "--home", str(tmp_path / "home"), "--json")
        ended = main([*arguments, *options], stdout=out, stderr=io.StringIO())
        assert ended == code, out.getvalue()
        return json.loads(out.getvalue())

    return run


class Client:
    """The seed document's client."""

    def __init__(self, http: httpx2.Client) -> None:
        self.http = http
        self.keep(http.post("/v1/oauth2/login", json={"username": USER, "passcode": "111234"}))

    def keep(self, answer: httpx2.Response) -> None:
        assert answer.status_code == 200, answer.text
        self.tokens = answer.json()

    @property
    def bearer(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.tokens['accessToken']}"}

    def pay(self, transaction_id: str | None = None, order: dict[str, Any] = ORDER) -> httpx2.Response:
        headers = {"X-TransactionId": transaction_id} if transaction_id else {}
        return self.http.post("/v1/payments/domestic", json=order, headers=self.bearer | headers)

    def start(self) -> str:
        refused = self.pay()
        assert (refused.status_code, refused.json()["code"]) == (403, "403.000.51")
        return str(uuid.UUID(refused.json()["transactionId"]))

    def step_up(self, transaction_id: str, body: dict[str, Any], **headers: str) -> httpx2.Response:
        return self.http.post(
            "/v1/oauth2/stepup", json=body, headers=self.bearer | {"X-TransactionId": transaction_id} | headers
        )


@pytest.mark.parametrize("profile", ["pixel-9", "pixel-9-strongbox", "pixel-5", "iphone-17", "iphone-14", "iphone-8"])
def test_on_the_phone_both_factors_pay(phone: Phone, client: httpx2.Client, profile: str) -> None:
    """Way 1, `pay`: S0-1, S0-4; honest runs give twoFactor pass, each with the grade that its platform can show."""
    phone("enrol", "--passcode", "111234", "--profile", profile)
    for arguments, second in ((["--passcode", "111234"], "knowledge"), (["--biometric"], "inherence")):
        paid = phone("pay", "--amount", "10.00", *arguments)
        verdict = client.get(f"/_stub/transactions/{paid['transactionId']}/verdict").json()
        assert verdict["accepted"]
        assert verdict["compliance"]["twoFactor"] == "pass"
        grades = {element["category"]: element["grade"] for element in verdict["elements"]}
        assert set(grades) == {"possession", second}
        if second == "inherence":
            assert grades["inherence"] == ("signed" if profile.startswith("iphone") else "proved")


def test_by_the_channel_the_printed_request_steps_up(phone: Phone, client: httpx2.Client) -> None:
    """Way 2, `--sign-only`: a client written from the seed document alone pays (issue 2, done-when 2)."""
    phone("enrol", "--passcode", "111234")
    bank = Client(client)
    transaction_id = bank.start()
    printed = phone("approve", transaction_id, "--sign-only", "--passcode", "111234")
    answer = client.request(
        printed["method"], printed["path"], headers=bank.bearer | printed["headers"], json=printed["body"]
    )
    bank.keep(answer)
    assert bank.pay(transaction_id).status_code == 201
    assert bank.pay(transaction_id).status_code == 403


def test_by_the_channel_with_a_biometric(phone: Phone, client: httpx2.Client) -> None:
    phone("enrol", "--passcode", "111234")
    bank = Client(client)
    transaction_id = bank.start()
    token = bank.tokens["refreshToken"]
    printed = phone("approve", transaction_id, "--sign-only", "--biometric", "match", f"--refresh-token={token}")
    bank.keep(
        client.request(
            printed["method"], printed["path"], headers=bank.bearer | printed["headers"], json=printed["body"]
        )
    )
    assert bank.pay(transaction_id).status_code == 201


def test_decoupled_an_unchanged_client_pays(phone: Phone, client: httpx2.Client) -> None:
    """Way 3: the phone delivers, the client's own call finds it."""
    phone("enrol", "--passcode", "111234")
    bank = Client(client)
    transaction_id = bank.start()
    assert [row["transactionId"] for row in phone("pending")] == [transaction_id]
    phone("approve", transaction_id, "--passcode", "anything")
    bank.keep(bank.step_up(transaction_id, {"username": USER, "passcode": "111234"}))
    assert bank.pay(transaction_id).status_code == 201
    assert phone("pending") == []


def test_a_declined_step_up_is_refused_like_any_wrong_element(phone: Phone, client: httpx2.Client) -> None:
    phone("enrol", "--passcode", "111234")
    bank = Client(client)
    transaction_id = bank.start()
    phone("decline", transaction_id)
    refused = bank.step_up(transaction_id, {"username": USER, "passcode": "111234"})
    assert (refused.status_code, refused.json()["code"]) == (403, "403.000.52")


def test_after_a_reset_the_phone_says_how_to_enrol_again(phone: Phone, client: httpx2.Client) -> None:
    phone("enrol", "--passcode", "111234")
    client.post("/_stub/reset")
    assert "stepup-phone enrol" in phone("pending", code=1)["error"]["message"]
    phone("enrol", "--passcode", "111234")
    assert phone("pending") == []


def test_after_half_an_hour_a_biometric_payment_wants_the_passcode(phone: Phone, client: httpx2.Client) -> None:
    """DESIGN section 2: the sealed session's refresh token lives 30 min."""
    phone("enrol", "--passcode", "111234")
    client.post("/_stub/clock/advance", json={"seconds": 1_790})
    phone("pay", "--amount", "1.00", "--biometric")
    client.post("/_stub/clock/advance", json={"seconds": 1_810})
    assert phone("pay", "--amount", "1.00", "--biometric", code=2)["error"]["code"] == "session_over"
    assert phone("pay", "--amount", "1.00", "--biometric", "--passcode", "111234")["method"] == "BIOMETRIC"


def test_the_phone_follows_the_servers_steered_clock(phone: Phone, client: httpx2.Client) -> None:
    """DESIGN section 6: network time; years away, and still no skew."""
    client.put("/_stub/clock", json={"now": "2031-05-05T10:00:00Z", "frozen": True})
    try:
        assert phone("enrol", "--passcode", "111234")["enrolledAt"] == "2031-05-05T10:00:00.000000Z"
        phone("pay", "--amount", "1.00", "--passcode", "111234")
    finally:
        client.put("/_stub/clock", json={"now": None, "frozen": False})


@pytest.mark.parametrize("part", ["clientDataJSON", "authenticatorData", "signature"])
def test_a_flipped_bit_anywhere_is_refused(phone: Phone, client: httpx2.Client, part: str) -> None:
    """Issue 2, done-when 3, at one position a part; the exhaustive run is the server's."""
    from device_keys.encoding import b64url_decode, b64url_encode

    phone("enrol", "--passcode", "111234")
    bank = Client(client)
    transaction_id = bank.start()
    printed = phone("approve", transaction_id, "--sign-only", "--passcode", "111234")
    assertion = json.loads(b64url_decode(printed["headers"]["X-Device-Assertion"]))
    raw = bytearray(b64url_decode(assertion["response"][part]))
    raw[len(raw) // 2] ^= 1
    assertion["response"][part] = b64url_encode(bytes(raw))
    header = b64url_encode(json.dumps(assertion).encode())
    refused = bank.step_up(transaction_id, printed["body"], **{"X-Device-Assertion": header})
    assert (refused.status_code, refused.json()["code"]) == (403, "403.000.52")


def test_a_seeded_phone_and_server_repeat_byte_for_byte(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """DESIGN section 4, determinism: the same header in two runs, each with a server of its own."""
    monkeypatch.setenv("STEPUP_PHONE_SECRET", "A" * 43)
    headers = []
    for run in ("one", "two"):
        options = ("--seed", "golden", "--clock", "2026-03-01T12:00:00Z")
        with running_server("--dialect", "bank", "--port", "0", "--database", "memory", *options) as url:
            shared = ("--server", url, "--home", str(tmp_path / run), "--json")
            assert main(["enrol", "--passcode", "111234", "--seed", "phone", *shared], stdout=io.StringIO()) == 0
            with open_http(url, headers=API_KEY) as http:
                transaction_id = Client(http).start()
                out = io.StringIO()
                arguments = ["approve", transaction_id, "--sign-only", "--biometric", *shared]
                assert main(arguments, stdout=out, stderr=io.StringIO()) == 0
                headers.append(out.getvalue())
    assert headers[0] == headers[1]
