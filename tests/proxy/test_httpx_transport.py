"""The adapter as a transport of httpx clients (issue 8): the same logic as the proxy, without a process."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from authenticator.errors import UsageError
from authenticator.rules import ALWAYS, ASK, NEVER, Decision, parse_rule
from authenticator.transport import step_up_of
from authenticator.virtual import VirtualAuthenticator
from server_stub.testing import InProcessServer, new_server
from tests.proxy.conftest import ORDER, PASSCODE, USER

KEY = {"X-APIKEY": "demo-api-key"}


@pytest.fixture(scope="module")
def bank() -> Iterator[InProcessServer]:
    server = InProcessServer(new_server(dialect="bank")).start()
    yield server
    server.stop()


@pytest.fixture
def phone(bank: InProcessServer, tmp_path: Path) -> VirtualAuthenticator:
    bank.reset()
    made = VirtualAuthenticator(tmp_path, bank.url, http_factory=bank.open_http)
    made.enrol()
    return made


def begin(http: httpx2.Client) -> tuple[dict[str, str], str]:
    tokens = http.post("/v1/oauth2/login", headers=KEY, json={"username": USER, "passcode": PASSCODE}).json()
    headers = {**KEY, "Authorization": f"Bearer {tokens['accessToken']}"}
    transaction_id = http.post("/v1/payments/domestic", headers=headers, json=ORDER).json()["transactionId"]
    return {**headers, "X-TransactionId": transaction_id}, tokens["refreshToken"]


def test_a_sync_client_steps_up(bank: InProcessServer, phone: VirtualAuthenticator) -> None:
    with httpx2.Client(transport=phone.transport(bank.http), base_url=bank.url) as http:
        headers, _ = begin(http)
        body = {"username": USER, "passcode": PASSCODE}
        assert http.post("/v1/oauth2/stepup", headers=headers, json=body).status_code == 200
    assert bank.verdict().accepted


def test_an_async_client_steps_up_with_a_biometric(bank: InProcessServer, phone: VirtualAuthenticator) -> None:
    async def story() -> int:
        headers, refresh_token = begin(bank.http)
        transport = phone.async_transport(bank.async_transport())
        async with httpx2.AsyncClient(transport=transport, base_url=bank.url) as http:
            body = {"refreshToken": refresh_token, "authenticationMethod": "BIOMETRIC"}
            return (await http.post("/v1/oauth2/stepup", headers=headers, json=body)).status_code

    assert asyncio.run(story()) == 200
    assert bank.verdict().compliance.two_factor == "pass"


def test_the_rule_declines_and_the_fault_acts(bank: InProcessServer, phone: VirtualAuthenticator) -> None:
    body = {"username": USER, "passcode": PASSCODE}
    with httpx2.Client(
        transport=phone.transport(bank.http, rule=parse_rule("amount<=9.99")), base_url=bank.url
    ) as http:
        headers, _ = begin(http)
        assert http.post("/v1/oauth2/stepup", headers=headers, json=body).status_code == 403
        assert bank.verdict().first_failure is not None
    phone.fault = "altered-payee"
    with httpx2.Client(transport=phone.transport(bank.http), base_url=bank.url) as http:
        headers, _ = begin(http)
        assert http.post("/v1/oauth2/stepup", headers=headers, json=body).status_code == 403
        assert bank.verdict().first_failure.check == "binding.payee"  # type: ignore[union-attr]


def test_a_client_that_brings_its_own_evidence_is_left_alone(
    bank: InProcessServer, phone: VirtualAuthenticator
) -> None:
    with httpx2.Client(transport=phone.transport(bank.http, rule=NEVER), base_url=bank.url) as http:
        headers, _ = begin(http)
        call = phone.sign_only(headers["X-TransactionId"])
        assert http.post(call.path, headers=headers | call.headers, json=call.body).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "headers", "found"),
    [
        ("POST", "/bank/v1/oauth2/stepup", {"x-transactionid": "t"}, "t"),
        ("POST", "/oauth2/stepup", {"X-TRANSACTIONID": "t"}, "t"),
        ("GET", "/v1/oauth2/stepup", {"X-TransactionId": "t"}, None),
        ("POST", "/v1/oauth2/stepup", {}, None),
        ("POST", "/v1/oauth2/stepup", {"X-TransactionId": ""}, None),
        ("POST", "/v1/oauth2/stepup", {"X-TransactionId": "t", "x-device-assertion": "e"}, None),
        ("POST", "/v1/payments/domestic", {"X-TransactionId": "t"}, None),
        ("POST", "/v1/oauth2/stepup/more", {"X-TransactionId": "t"}, None),
    ],
)
def test_s0_11_what_is_a_step_up_call(method: str, path: str, headers: dict[str, str], found: str | None) -> None:
    assert step_up_of(method, path, httpx2.Headers(headers)) == found


@pytest.mark.parametrize(
    ("text", "amount", "currency", "decision"),
    [
        ("amount<=100.00", "100.00", "GBP", Decision.APPROVE),
        ("amount<=100.00", "100.01", "GBP", Decision.DECLINE),
        ("amount<=100.00,ask", "100.01", "GBP", Decision.ASK),
        ("amount<=100 GBP", "5.00", "EUR", Decision.DECLINE),
        ("amount<=100 GBP", "99.99", "GBP", Decision.APPROVE),
        ("always", "1000000", "GBP", Decision.APPROVE),
        ("never", "0.01", "GBP", Decision.DECLINE),
        ("ask", "0.01", "GBP", Decision.ASK),
    ],
)
def test_rules_over_the_amount(text: str, amount: str, currency: str, decision: Decision) -> None:
    rule = parse_rule(text)
    assert rule.decide({**ORDER, "amount": amount, "currency": currency}) is decision
    assert parse_rule(str(rule)) == rule


def test_an_order_of_unknown_shape_is_beyond_every_limit() -> None:
    payload: dict[str, Any] = {"what": "ever"}
    assert parse_rule("amount<=100.00").decide(payload) is Decision.DECLINE
    assert (ALWAYS.decide(payload), ASK.decide(payload)) == (Decision.APPROVE, Decision.ASK)


UNREADABLE = (
    "", "amount<=", "amount<=-1", "amount<=1e3", "amount<=10 POUNDS", "amount<=10,never", "amount>10", "amount<=\u0661\u0660",
)  # fmt: skip


@pytest.mark.parametrize("text", UNREADABLE)
def test_a_rule_that_cannot_be_read_is_named(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_rule(text)
    assert caught.value.field == "--approve"
