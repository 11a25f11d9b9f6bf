"""The negative tests of RTS Art. 5(1)(d) and 5(3)(b): what is changed, and that a binding which misses a change is found out."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from device_keys.orders import read_order
from server_stub.rules.probes import altered_batches, altered_orders
from server_stub.verdict import Finding, Outcome

ONE = {
    "amount": "10.00",
    "currency": "GBP",
    "payee": {"name": "Ada", "sortCode": "010203", "accountNumber": "12345678"},
}
BERLIN = {
    "instructedAmount": {"amount": "123", "currency": "JPY"},
    "creditorName": "Ada",
    "creditorAccount": {"iban": "DE89370400440532013000"},
}
OBIE = {
    "Data": {
        "Initiation": {
            "InstructedAmount": {"Amount": "165.88", "Currency": "GBP"},
            "CreditorAccount": {"Name": "ACME", "Identification": "08080021325698"},
        }
    }
}
WEAVR = {
    "transferAmount": {"currency": "EUR", "amount": 1000},
    "destinationBeneficiary": {"name": "Ada", "bankAccountDetails": {"iban": "DE89370400440532013000"}},
}
BATCH = {"payments": [ONE, {**ONE, "amount": "2.50", "payee": {"name": "Bob", "iban": "DE89370400440532013000"}}]}
SHAPES = {"ours": ONE, "Berlin Group": BERLIN, "OBIE": OBIE, "Weavr": WEAVR}
UP, DOWN, CURRENCY, NAME = (
    "amount + one minor unit",
    "amount - one minor unit",
    "another currency",
    "one letter of the payee's name",
)


@pytest.mark.parametrize(
    ("shape", "accounts"),
    [("ours", ["accountNumber", "sortCode"]), ("Berlin Group", ["iban"]), ("OBIE", ["Identification"]), ("Weavr", ["iban"])],
)  # fmt: skip
def test_each_field_that_fraud_changes_is_changed_by_itself(shape: str, accounts: list[str]) -> None:
    """RTS-5.1.d: amount up and down, currency, payee's name, and each member of the account."""
    payload = SHAPES[shape]
    changes = list(altered_orders(payload))
    assert [change.what for change in changes] == [
        UP, DOWN, CURRENCY, NAME, *(f"one character of the payee's {name}" for name in accounts)
    ]  # fmt: skip
    order = read_order(payload)
    assert order is not None
    orders = [read_order(change.payload) for change in changes]
    assert [o.minor_units - order.minor_units for o in orders[:2] if o] == [1, -1]
    assert [o.currency == order.currency for o in orders if o] == [True, True, False, *[True] * (1 + len(accounts))]
    assert [o.payee_name == order.payee_name for o in orders if o] == [True, True, True, False, *[True] * len(accounts)]
    assert [o.payees[0].account == order.payees[0].account for o in orders if o][4:] == [False] * len(accounts)
    assert read_order(payload) == order, "the stored order itself is left alone"


@pytest.mark.parametrize(
    ("amount", "currency", "expected"),
    [
        ("0", "GBP", [1]),
        ("5", "JPY", [6, 4]),
        ("1.000", "KWD", [1001, 999]),
        ("9.99", "EUR", [1000, 998]),
        (10, "GBP", [1001, 999]),
        (10.1, "GBP", [1011, 1009]),
        (1e3, "GBP", [100001, 99999]),
        (0.07, "EUR", [8, 6]),
        (0, "JPY", [1]),
        (123456789012345.0, "GBP", [12345678901234501, 12345678901234499]),
    ],
)
def test_the_amount_really_changes_by_one_minor_unit_however_it_is_written(
    amount: Any, currency: str, expected: list[int]
) -> None:
    """ISO 4217: none for the yen, three for the dinar; text, whole numbers, floats and exponents; no amount below zero."""
    changes = altered_orders({**ONE, "amount": amount, "currency": currency})
    orders = [read_order(change.payload) for change in changes if change.what.startswith("amount")]
    assert [order.minor_units for order in orders if order] == expected


@pytest.mark.parametrize(
    "more",
    [
        {"instructedAmount": {"amount": "10.00", "currency": "GBP"}},
        {"instructedAmount": {"amount": "99.00", "currency": "EUR"}},
        {"creditorName": "Ada"},
        {"transferAmount": {"amount": 1000, "currency": "GBP"}},
        {"payments": [ONE, ONE]},
        {"total": "20.00"},
        {"amount2": 1, "note": "Ada"},
    ],
    ids=str,
)
@pytest.mark.parametrize("shape", SHAPES)
def test_members_of_another_shape_are_never_taken_for_a_change(shape: str, more: dict[str, Any]) -> None:
    """An honest order with members of two shapes: whatever is tried makes the order read differently, so that it must be refused."""
    payload = {**more, **SHAPES[shape]}
    order = read_order(payload)
    for change in altered_orders(payload):
        other = read_order(change.payload)
        assert order is not None
        assert other is not None
        assert (other.minor_units, other.currency, other.payees) != (order.minor_units, order.currency, order.payees)


names = st.text(min_size=1, max_size=8)
amounts = (
    st.integers(0, 10**9)
    | st.integers(0, 10**9).map(lambda minor: f"{minor // 100}.{minor % 100:02d}")
    | st.integers(0, 10**9).map(lambda minor: minor / 100)
    | st.sampled_from(["", "1e2", "-1", "10.001", 1e22, 1e-7, True, None])
)
accounts = {"iban": names, "sortCode": names, "accountNumber": names}
instructed = st.fixed_dictionaries({"amount": amounts, "currency": st.just("GBP")})
ours = st.fixed_dictionaries(
    {
        "amount": amounts,
        "currency": st.sampled_from(["GBP", "JPY", "KWD", "XXQ"]),
        "payee": st.fixed_dictionaries({"name": names}, optional=accounts),
    },
    optional={"instructedAmount": instructed, "creditorName": names, "id": names},
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(payload=ours | st.lists(ours, min_size=1, max_size=4).map(lambda items: {"payments": items}))
def test_every_change_is_a_true_one(payload: dict[str, Any]) -> None:
    """Whatever the order: a changed one is readable and says something else, so no honest payment can fail for a change that is none."""
    order = read_order(payload)
    for change in (*altered_orders(payload), *altered_batches(payload)):
        other = read_order(change.payload)
        assert order is not None
        assert other is not None
        assert (other.minor_units, other.currency, other.payees) != (order.minor_units, order.currency, order.payees)
        if change.part == "amount":
            assert (other.minor_units, other.currency) != (order.minor_units, order.currency)
        if change.part == "payee":
            assert other.payee_name != order.payee_name


@pytest.mark.parametrize("payload", [None, [], "text", {"what": "a mandate"}, {"amount": 1}])
def test_an_unknown_shape_offers_nothing_to_change(payload: Any) -> None:
    assert list(altered_orders(payload)) == []
    assert list(altered_batches(payload)) == []


def test_each_payment_of_a_batch_is_changed_and_the_batch_as_a_whole() -> None:
    """Total and each specified payee (EBA Q&A 2018_4435)."""
    whats = [change.what for change in altered_orders(BATCH)]
    assert whats == [
        *(f"{what} of payment 1" for what in (UP, DOWN, NAME, "one character of the payee's accountNumber")),
        "one character of the payee's sortCode of payment 1",
        *(f"{what} of payment 2" for what in (UP, DOWN, NAME, "one character of the payee's iban")),
        CURRENCY,
    ]
    changes = {change.what: len(change.payload["payments"]) for change in altered_batches(BATCH)}
    assert changes == {"a payee left out": 1, "a payee added": 3, "two payees exchanged": 2}


def test_checks_that_miss_a_change_fail_the_rule(step_up: Any) -> None:
    """The probe runs the server's own checks: were they blind, RTS-5.1.d would say so."""
    stage = step_up()
    stage.rejudge = lambda evidence: stage.findings  # checks that pass whatever the order says
    rule = stage.rule("RTS-5.1.d")
    assert rule.verdict == "fail"
    assert "a change went unnoticed" in (rule.reason or "")


def test_checks_that_notice_every_change_pass_the_rule(step_up: Any) -> None:
    stage = step_up()
    asked = []

    def rejudge(evidence: Any) -> tuple[Finding, ...]:
        asked.append(evidence.transaction.payload)
        return tuple(
            Finding(f.check, Outcome.FAIL if f.check.startswith("binding.") else f.outcome, f.reason, f.citation)
            for f in stage.findings
        )

    stage.rejudge = rejudge
    assert stage.rule("RTS-5.1.d").verdict == "pass"
    assert len({str(payload) for payload in asked}) == 6


def test_a_signed_challenge_that_commits_to_nothing_is_found_out(step_up: Any) -> None:
    """A response whose payment member matches a changed order as well as its challenge does: the probe notices the member."""
    stage = step_up()
    order = {"payeeName": "bCME Ltd", "total": {"currency": "GBP", "value": "10.00"}}
    rule = stage.sign(payment=order).rule("RTS-5.1.d")
    assert rule.verdict == "pass", "neither the original nor this changed name is 'aCME Ltd'"
    assert stage.sign(payment={**order, "payeeName": "aCME Ltd"}).rule("RTS-5.1.d").verdict == "fail"
