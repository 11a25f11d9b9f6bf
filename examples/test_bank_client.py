"""A bank client's test suite in pytest: what a team writes whose app must get through a step-up.

    pip install stepup-simulator pytest freezegun
    pytest examples/test_bank_client.py

Nothing to start: phone and server are fixtures. The client under test is the team's own; here it is a few lines over `httpx2`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx2
import pytest
from freezegun import freeze_time

# --- the client under test: the bank's published flow, nothing of devices ------------------------------------------------


class StepUpRequired(Exception):
    """The bank wants the customer to confirm."""

    def __init__(self, refusal: dict[str, Any]) -> None:
        super().__init__("step-up required")
        self.transaction_id: str = refusal["transactionId"]
        self.methods: list[str] = refusal["authenticationMethods"]


class BankClient:
    """Logs in, pays, steps up."""

    def __init__(self, http: httpx2.Client, base: str, username: str, passcode: str) -> None:
        self.http, self.base = http, base
        self.credentials = {"username": username, "passcode": passcode}
        self.tokens: dict[str, str] = {}

    def login(self) -> None:
        self.tokens = self._send("/oauth2/login", self.credentials)

    def pay(self, payment: dict[str, Any], transaction_id: str | None = None) -> dict[str, Any]:
        return self._send("/payments/domestic", payment, transaction_id)

    def step_up(self, transaction_id: str, method: str = "PASSCODE") -> None:
        body = self.credentials
        if method == "BIOMETRIC":
            body = {"refreshToken": self.tokens["refreshToken"], "authenticationMethod": "BIOMETRIC"}
        self.tokens = self._send("/oauth2/stepup", body, transaction_id)

    def _send(self, path: str, body: dict[str, Any], transaction_id: str | None = None) -> dict[str, Any]:
        headers = {"X-APIKEY": "demo-api-key"}
        if self.tokens:
            headers["Authorization"] = f"Bearer {self.tokens['accessToken']}"
        if transaction_id:
            headers["X-TransactionId"] = transaction_id
        answer = self.http.post(self.base + path, json=body, headers=headers)
        content: dict[str, Any] = answer.json()
        if answer.status_code == 403 and content.get("transactionId"):
            raise StepUpRequired(content)
        answer.raise_for_status()
        return content


USERNAME, PASSCODE = "9de3e326-b5bb-4cdc-bf6d-f6b609fbb765", "111234"
PAYMENT = {
    "amount": "10.00",
    "currency": "GBP",
    "payee": {"name": "ACME Ltd", "sortCode": "112233", "accountNumber": "12345678"},
}


@pytest.fixture
def logged_in() -> Callable[..., BankClient]:
    def make(server: Any, http: httpx2.Client | None = None) -> BankClient:
        client = BankClient(http or server.http, server.path("bank", "/v1"), USERNAME, PASSCODE)
        client.login()
        return client

    return make


def refused(client: BankClient, payment: dict[str, Any] = PAYMENT) -> StepUpRequired:
    with pytest.raises(StepUpRequired) as caught:
        client.pay(payment)
    return caught.value


# --- the suite -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["PASSCODE", "BIOMETRIC"])
@pytest.mark.parametrize("profile", ["pixel-9", "iphone-17"])
def test_a_payment_approved_on_the_phone_goes_through(
    verification_server: Any, make_virtual_authenticator: Any, logged_in: Any, profile: str, method: str
) -> None:
    phone = make_virtual_authenticator(profile=profile)
    phone.enrol()
    client = logged_in(verification_server)
    order = refused(client)
    assert order.methods == ["PASSCODE", "BIOMETRIC"]
    phone.approve(order.transaction_id, method=method)
    client.step_up(order.transaction_id, method)
    assert client.pay(PAYMENT, order.transaction_id)["status"] == "ACCEPTED"
    verdict = verification_server.verdict(order.transaction_id).raise_for_refusal()
    assert verdict.compliance.two_factor == "pass"


def test_without_the_phone_there_is_no_payment(
    verification_server: Any, enrolled_authenticator: Any, logged_in: Any
) -> None:
    client = logged_in(verification_server)
    order = refused(client)
    assert [row["transactionId"] for row in enrolled_authenticator.pending()] == [order.transaction_id]
    with pytest.raises(httpx2.HTTPStatusError):
        client.step_up(order.transaction_id)
    assert verification_server.verdict().first_failure.check == "evidence.present"


@pytest.mark.stepup_fault("altered-amount")
def test_a_manipulated_phone_is_found_out(
    verification_server: Any, enrolled_authenticator: Any, logged_in: Any
) -> None:
    client = logged_in(verification_server)
    order = refused(client)
    enrolled_authenticator.approve(order.transaction_id)
    with pytest.raises(httpx2.HTTPStatusError):
        client.step_up(order.transaction_id)
    assert verification_server.verdict().first_failure.check == "binding.amount"


@pytest.mark.stepup_profile("iphone-17")
@pytest.mark.stepup_policy("lenient")
@pytest.mark.stepup_dialect("bank")
def test_the_paths_stand_at_the_root_where_the_bank_alone_is_served(
    verification_server: Any, enrolled_authenticator: Any, logged_in: Any
) -> None:
    client = logged_in(verification_server)
    assert client.base == "/v1"
    order = refused(client)
    enrolled_authenticator.approve(order.transaction_id)
    client.step_up(order.transaction_id)
    assert verification_server.verdict().policy == "lenient"


def test_an_unchanged_client_gets_through_by_the_transport(
    verification_server: Any, enrolled_authenticator: Any, logged_in: Any
) -> None:
    transport = enrolled_authenticator.transport(verification_server.http)
    with httpx2.Client(transport=transport, base_url=verification_server.url) as http:
        client = logged_in(verification_server, http)
        order = refused(client)
        client.step_up(order.transaction_id)
        assert client.pay(PAYMENT, order.transaction_id)["status"] == "ACCEPTED"


def test_an_order_is_open_for_four_minutes(
    verification_server: Any, enrolled_authenticator: Any, simulator_clock: Any, logged_in: Any
) -> None:
    simulator_clock.set("2026-01-31T12:00:00Z")
    client = logged_in(verification_server)
    order = refused(client)
    enrolled_authenticator.approve(order.transaction_id)
    simulator_clock.advance(241)
    with pytest.raises(httpx2.HTTPStatusError) as caught:
        client.step_up(order.transaction_id)
    assert caught.value.response.json()["code"] == "403.000.53"


@freeze_time("2026-01-31 12:00:00")
def test_frozen_by_decorator(verification_server: Any, enrolled_authenticator: Any) -> None:
    payment = enrolled_authenticator.pay("10.00", payee="ACME Ltd", method="BIOMETRIC")
    assert payment.status == "ACCEPTED"
    assert verification_server.verdict().decided_at == "2026-01-31T12:00:00.000000Z"


def test_frozen_in_a_block_and_moved(verification_server: Any, enrolled_authenticator: Any, logged_in: Any) -> None:
    with freeze_time("2026-01-31 12:00:00") as frozen:
        client = logged_in(verification_server)
        order = refused(client)
        frozen.tick(100)
        enrolled_authenticator.approve(order.transaction_id)
        client.step_up(order.transaction_id)
        frozen.move_to("2026-01-31 12:30:00")  # the session was idle for too long
        with pytest.raises(httpx2.HTTPStatusError) as caught:
            client.pay(PAYMENT, order.transaction_id)
        assert caught.value.response.status_code == 401


@freeze_time("2026-01-31 12:00:00", tick=True)
def test_ticking_over_a_real_socket(live_verification_server: Any, enrolled_authenticator: Any, logged_in: Any) -> None:
    with httpx2.Client(base_url=live_verification_server.url) as http:
        client = logged_in(live_verification_server, http)
        order = refused(client)
        enrolled_authenticator.approve(order.transaction_id)
        client.step_up(order.transaction_id)
    assert live_verification_server.verdict().decided_at.startswith("2026-01-31T12:00:")


@pytest.mark.stepup_clock("2026-01-31T12:00:00Z")
@pytest.mark.stepup_seed("golden")
def test_under_a_seed_and_a_standing_clock_everything_repeats(
    verification_server: Any, make_virtual_authenticator: Any, logged_in: Any
) -> None:
    def step_up() -> tuple[str, dict[str, str]]:
        phone = make_virtual_authenticator()
        phone.enrol()
        order = refused(logged_in(verification_server))
        return order.transaction_id, phone.sign_only(order.transaction_id).headers

    first = step_up()
    verification_server.reset()
    assert step_up() == first  # ids, nonces, keys, signatures: a golden file could hold them


def test_a_phone_can_be_made_for_another_user(
    verification_server: Any, virtual_authenticator: Any, logged_in: Any
) -> None:
    user = {"id": "carol", "passcode": "246810", "mobile": "+447700900999", "balances": {"GBP": "50.00"}}
    verification_server.http.put("/_stub/users", json=user)
    virtual_authenticator.enrol(user="carol", passcode="246810", number="+447700900999")
    assert virtual_authenticator.pay("49.99").status == "ACCEPTED"
