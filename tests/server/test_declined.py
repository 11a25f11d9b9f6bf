"""What the phone said last about a step-up stands: a no is no failure, tells nothing of the secret, and is not argued away (Art. 64(1))."""

from __future__ import annotations

from typing import Any

import pytest

from .conftest import USER, Bank, Handset

WRONG = {"username": USER, "passcode": "000000"}


def outcomes(bank: Bank, transaction: str) -> dict[str, str]:
    return {finding["check"]: finding["outcome"] for finding in bank.verdict(transaction)["findings"]}


def attempts(bank: Bank, transaction: str) -> list[dict[str, Any]]:
    log = bank.stub("GET", "/log")
    return [e["fields"] for e in log if e["event"] == "sca_attempt" and e["transaction"] == transaction]


def state(bank: Bank, transaction: str) -> str:
    (row,) = [row for row in bank.stub("GET", "/transactions") if row["transactionId"] == transaction]
    found: str = row["state"]
    return found


def failures(bank: Bank) -> int:
    (user,) = bank.stub("GET", "/users")
    count: int = user["failures"]
    return count


def test_a_header_that_is_signed_after_the_no_does_not_undo_it(bank: Bank, handset: Handset) -> None:
    transaction = bank.start()
    handset.decline(transaction)
    header = handset.header(transaction)
    assert bank.step_up(transaction, header=header).json()["code"] == "403.000.52"
    assert bank.failed(transaction) == ["evidence.approved"]
    assert bank.pay(transaction).status_code == 403
    handset.deliver(transaction)  # the phone itself says otherwise
    assert bank.step_up(transaction, header=header).status_code == 200


def test_a_header_that_was_signed_before_the_no_is_refused_too(bank: Bank, handset: Handset) -> None:
    transaction = bank.start()
    header = handset.header(transaction)
    handset.decline(transaction)
    assert bank.step_up(transaction, header=header).status_code == 403
    assert bank.failed(transaction) == ["evidence.approved"]


@pytest.mark.parametrize("body", [None, WRONG, {"username": "somebody", "passcode": "111234"}])
def test_a_declined_attempt_tells_nothing_of_its_secret(bank: Bank, handset: Handset, body: Any) -> None:
    transaction = bank.start()
    handset.decline(transaction)
    bank.step_up(transaction, body)
    found = outcomes(bank, transaction)
    assert {found[check] for check in found if check.startswith("secret.")} == {"not_run"}
    evidence = bank.stub("GET", f"/transactions/{transaction}/evidence")["evidence"]
    assert evidence["secret"] == {
        "kind": "passcode", "result": "", "channel": None, "usernameMatches": None, "refreshTokenMatches": None,
        "fixedCode": None, "seeded": None,
    }  # fmt: skip


def test_the_fifth_no_ends_the_identifier_and_locks_nobody_out(bank: Bank, handset: Handset) -> None:
    """Whoever floods a phone with step-ups must not be able to lock its user out."""
    transaction = bank.start()
    handset.decline(transaction)
    for number in range(5):
        assert state(bank, transaction) == "ISSUED", number
        assert bank.step_up(transaction, WRONG).json()["code"] == "403.000.52"
    assert state(bank, transaction) == "VOID"
    assert bank.step_up(transaction, WRONG).json()["code"] == "403.000.53"
    assert [fields["outcome"] for fields in attempts(bank, transaction)] == ["declined"] * 5 + ["not_evaluated"]
    assert failures(bank) == 0
    for _ in range(6):
        another = bank.start()
        handset.decline(another)
        bank.step_up(another, WRONG)
    assert (failures(bank), bank.login().status_code) == (0, 200)
    transaction = bank.start()
    assert bank.step_up(transaction, header=handset.header(transaction)).status_code == 200


def test_a_no_interrupts_no_row_of_failures(bank: Bank, handset: Handset) -> None:
    for _ in range(4):
        transaction = bank.start()
        bank.step_up(transaction, WRONG, handset.header(transaction))
    transaction = bank.start()
    handset.decline(transaction)
    bank.step_up(transaction)
    handset.deliver(transaction)
    assert bank.step_up(transaction, WRONG).json()["code"] == "403.000.52"
    assert bank.login().json()["code"] == "403.000.54"
