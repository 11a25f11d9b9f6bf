"""The negative tests of RTS Art. 5(1)(d) and 5(3)(b): what is changed, and that a binding which misses a change is found out."""

from __future__ import annotations

from typing import Any

import pytest

from device_keys.orders import read_order
from server_stub.rules.probes import altered_amounts_and_payees, altered_batches
from server_stub.verdict import Finding, Outcome

ONE = {
    "amount": "10.00",
    "currency": "GBP",
    "payee": {"name": "Ada", "sortCode": "010203", "accountNumber": "12345678"},
}
SHAPES = {
    "ours": ONE,
    "batch": {"payments": [ONE, {**ONE, "amount": "2.50"}]},
    "Berlin Group": {
        "instructedAmount": {"amount": "123", "currency": "JPY"}, "creditorName": "Ada",
        "creditorAccount": {"iban": "DE89370400440532013000"},
    },
    "OBIE": {
        "Data": {"Initiation": {"InstructedAmount": {"Amount": "165.88", "Currency": "GBP"},
                                "CreditorAccount": {"Name": "ACME", "Identification": "08080021325698"}}}
    },
    "Weavr": {
        "transferAmount": {"currency": "EUR", "amount": 1000},
        "destinationBeneficiary": {"name": "Ada", "bankAccountDetails": {"iban": "DE89370400440532013000"}},
    },
}  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES)
def test_each_known_shape_is_changed_by_one_minor_unit_and_one_letter(shape: str) -> None:
    """RTS-5.1.d: exactly that, and nothing else, differs."""
    payload = SHAPES[shape]
    order = read_order(payload)
    assert order is not None
    changes = list(altered_amounts_and_payees(payload))
    assert [change.part for change in changes] == ["amount", "amount", "payee"]
    orders = [read_order(change.payload) for change in changes]
    assert [o.minor_units - order.minor_units for o in orders if o] == [1, -1, 0]
    assert [o.payee_name == order.payee_name for o in orders if o] == [True, True, False]
    assert sum(a != b for a, b in zip(orders[2].payee_name, order.payee_name, strict=True)) == 1  # type: ignore[union-attr]
    assert read_order(payload) == order, "the stored order itself is left alone"


@pytest.mark.parametrize(
    ("amount", "currency", "expected"),
    [
        ("0", "GBP", ["0.01"]),
        ("5", "JPY", ["6", "4"]),
        ("1.000", "KWD", ["1.001", "0.999"]),
        ("9.99", "EUR", ["10.00", "9.98"]),
    ],
)
def test_a_minor_unit_is_the_currencys(amount: str, currency: str, expected: list[str]) -> None:
    """ISO 4217: none for the yen, three for the dinar; no amount below zero."""
    changes = altered_amounts_and_payees({**ONE, "amount": amount, "currency": currency})
    assert [change.payload["amount"] for change in changes if change.part == "amount"] == expected


@pytest.mark.parametrize("payload", [None, [], "text", {"what": "a mandate"}, {"amount": 1}])
def test_an_unknown_shape_offers_nothing_to_change(payload: Any) -> None:
    assert list(altered_amounts_and_payees(payload)) == []
    assert list(altered_batches(payload)) == []


def test_a_batch_loses_gains_and_exchanges_a_payee() -> None:
    changes = {change.what: len(change.payload["payments"]) for change in altered_batches(SHAPES["batch"])}
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
    assert len({str(payload) for payload in asked}) == 3


def test_a_signed_challenge_that_commits_to_nothing_is_found_out(step_up: Any, signed: Any) -> None:
    """A response whose payment member matches a changed order as well as its challenge does: the probe notices the member."""
    stage = step_up()
    order = {"payeeName": "bda Lovelace", "total": {"currency": "GBP", "value": "10.00"}}
    stage.bend(assertion=signed(stage.evidence.transaction.payload, "PASSCODE", payment=order))
    rule = stage.rule("RTS-5.1.d")
    assert rule.verdict == "pass", "neither the original nor this changed name is 'ada Lovelace'"
    order["payeeName"] = "ada Lovelace"
    stage.bend(assertion=signed(stage.evidence.transaction.payload, "PASSCODE", payment=order))
    assert stage.rule("RTS-5.1.d").verdict == "fail"
