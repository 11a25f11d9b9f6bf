"""The phone's own bank app: a client like any other, with its own login and sealed session (S0-6, S0-11 to S0-15; bank.md 10)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from authenticator.apps.bank import BankApp, Means, Payment, domestic_payment
from authenticator.ceremonies import Edits
from authenticator.enrolling import enrol
from authenticator.errors import Refused, UsageError
from authenticator.phone import Phone
from authenticator.state import BIOMETRIC, POSSESSION, Enrolment

PASSCODE = Means(POSSESSION, "111234")
FINGER = Means(BIOMETRIC)


def bank_calls(bank: Any) -> list[tuple[str, str]]:
    return [(method, path.removeprefix("/bank/v1")) for method, path, _, _ in bank.requests if path.startswith("/bank")]


def test_a_payment_is_asked_refused_stepped_up_and_replayed(app: BankApp, bank: Any, order: dict[str, Any]) -> None:
    """S0-5, S0-11, S0-13 to S0-15."""
    bank.requests.clear()
    payment = app.pay(order, PASSCODE)
    assert bank_calls(bank) == [
        ("POST", "/oauth2/login"),
        ("POST", "/payments/domestic"),
        ("POST", "/oauth2/stepup"),
        ("POST", "/payments/domestic"),
    ]
    _, _, headers, body = bank.last("/oauth2/stepup")
    assert headers["x-transactionid"] == payment.transaction_id
    assert headers["authorization"] == "Bearer access-2"
    assert body == {"username": bank.user, "passcode": "111234"}
    _, _, headers, body = bank.last("/payments/domestic")
    assert (headers["x-transactionid"], headers["authorization"], body) == (
        payment.transaction_id,
        "Bearer access-3",
        order,
    )
    assert (payment.status, payment.method) == ("ACCEPTED", "PASSCODE")


def test_the_first_attempt_carries_no_transaction_id(app: BankApp, bank: Any, order: dict[str, Any]) -> None:
    """S0-6."""
    bank.requests.clear()
    app.pay(order, PASSCODE)
    first = next(headers for _, path, headers, _ in bank.requests if path.endswith("/payments/domestic"))
    assert "x-transactionid" not in first
    assert first["x-apikey"] == "demo-api-key"


def test_a_biometric_payment_uses_the_sealed_session(app: BankApp, bank: Any, order: dict[str, Any]) -> None:
    """bank.md section 4: refresh token and method in the body, no username, no passcode, no login."""
    bank.requests.clear()
    app.pay(order, FINGER)
    assert ("POST", "/oauth2/login") not in bank_calls(bank)
    _, _, _, body = bank.last("/oauth2/stepup")
    assert body == {"refreshToken": "refresh-1", "authenticationMethod": "BIOMETRIC"}


def test_the_new_token_pair_is_kept_for_the_next_payment(
    phone: Phone, app: BankApp, bank: Any, order: dict[str, Any], make_phone: Callable[..., Phone]
) -> None:
    """S0-12: sealed, and found again by another process."""
    app.pay(order, PASSCODE)
    found = make_phone().enrolment(bank.url, "bank")
    assert found.session is not None
    assert (found.session.access_token, found.session.refresh_token) == ("access-3", "refresh-3")


def test_an_expired_access_token_is_refreshed_once_without_a_bearer(
    app: BankApp, bank: Any, order: dict[str, Any]
) -> None:
    """bank.md sections 2 and 7: 401 → one refresh → one repeat."""
    bank.access_works = False
    bank.requests.clear()
    app.pay(order, FINGER)
    assert bank_calls(bank)[:3] == [
        ("POST", "/payments/domestic"),
        ("POST", "/oauth2/refresh"),
        ("POST", "/payments/domestic"),
    ]
    _, _, headers, body = bank.last("/oauth2/refresh")
    assert "authorization" not in headers
    assert body == {"refreshToken": "refresh-1"}


def test_a_session_that_is_over_asks_for_the_passcode(app: BankApp, bank: Any, order: dict[str, Any]) -> None:
    """DESIGN section 2: exit 2 says so."""
    bank.access_works = bank.refresh_works = False
    with pytest.raises(UsageError, match="--passcode beside --biometric") as refused:
        app.pay(order, FINGER)
    assert (refused.value.code, refused.value.exit_code) == ("session_over", 2)
    bank.access_works = False
    bank.refresh_works = True
    payment = app.pay(order, replace(FINGER, passcode="111234"))
    assert payment.method == "BIOMETRIC"


def test_a_wrong_passcode_signs_nothing(phone: Phone, app: BankApp, order: dict[str, Any]) -> None:
    counters = [key.counter for key in phone.hardware.keys()]  # noqa: SIM118
    with pytest.raises(Refused) as refused:
        app.pay(order, Means(POSSESSION, "000000"))
    assert refused.value.code == "403.000.52"
    assert [key.counter for key in phone.hardware.keys()] == counters  # noqa: SIM118


def test_a_fault_may_bring_its_own_script(phone: Phone, enrolled: Enrolment, bank: Any, order: dict[str, Any]) -> None:
    """`bank_app`: the steps of a payment, in another order."""

    def twice(app: BankApp, order: dict[str, Any], means: Means) -> Payment:
        app.open_session(means)
        transaction_id = app.start(order)
        call = app.approve(transaction_id, means)
        app.step_up(call)
        app.step_up(call)
        return app.replay(order, transaction_id, means)

    bank.requests.clear()
    BankApp(phone, enrolled, edits=Edits(bank_app=twice)).pay(order, PASSCODE)
    assert bank_calls(bank).count(("POST", "/oauth2/stepup")) == 2


def test_only_the_banks_enrolment_can_pay(phone: Phone, applicant: Callable[..., Any]) -> None:
    weavr = enrol(phone, applicant(dialect="weavr", user="alice@example.com", secret="Passw0rd!"))
    with pytest.raises(UsageError):
        BankApp(phone, weavr)


@pytest.mark.parametrize(
    ("amount", "currency"),
    [("", "GBP"), ("-1", "GBP"), ("0.00", "GBP"), ("1e3", "GBP"), ("1.001", "GBP"), ("1.5", "JPY"), ("١٠", "GBP")],
)
def test_an_amount_must_be_a_plain_positive_number_of_its_currency(amount: str, currency: str) -> None:
    with pytest.raises(UsageError, match="--amount"):
        domestic_payment(amount, currency, "ACME Ltd", "112233", "12345678")


def test_means_do_not_show_the_passcode() -> None:
    assert "111234" not in repr(PASSCODE)
