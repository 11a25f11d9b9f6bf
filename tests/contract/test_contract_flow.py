"""DESIGN section 5, flows `bank-payment` and `bank-app`, word for word: separate processes, printed requests, the client's own bearer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx2
import pytest

PASSCODE = "111234"
Phone = Callable[..., Any]


def flow(phone: Phone, http: httpx2.Client, client: Any, profile: str, fault: str | None, *, biometric: bool) -> Any:
    """`enrol --fault`; login and payment; `approve --sign-only --fault`; one step-up call; the latest verdict."""
    options = ["--fault", fault] if fault else []
    assert phone("enrol", "--passcode", PASSCODE, "--profile", profile, *options, "--json", apart=True).code == 0
    customer = client()
    transaction_id = customer.start()
    means = ["--passcode", PASSCODE]
    if biometric:
        means = ["--biometric", "match", f"--refresh-token={customer.tokens['refreshToken']}"]
    ran = phone("approve", transaction_id, "--sign-only", *means, *options, "--json", apart=True)
    assert ran.code == 0, ran
    assert set(ran.json) == {"method", "path", "headers", "body"}
    assert set(ran.json["headers"]) <= {"X-TransactionId", "X-Device-Assertion"}
    answer = customer.send(ran.json)
    verdict = http.get(f"/_stub/transactions/{transaction_id}/verdict").json()
    assert answer.status_code == (200 if verdict["accepted"] else 403)
    return verdict


def outcomes(verdict: dict[str, Any]) -> dict[str, str]:
    return {finding["check"]: finding["outcome"] for finding in verdict["findings"]}


def differs_by(honest: dict[str, Any], faulty: dict[str, Any]) -> set[str]:
    """The checks that came out otherwise, save those that were not run."""
    before, after = outcomes(honest), outcomes(faulty)
    assert set(before) == set(after)
    return {check for check in before if after[check] not in (before[check], "not_run")}


@pytest.mark.parametrize(
    ("profile", "biometric", "faults"),
    [
        ("pixel-9", False, {"altered-amount": "binding.amount", "revoked-batch": "attestation.revocation"}),
        ("pixel-9", True, {"ungated-biometric-key": "attestation.gate"}),
        ("iphone-17", False, {"no-app-attest": "app_attest.present", "no-evidence": "evidence.present"}),
        ("iphone-17", True, {"biometric-not-verified": "assertion.user_verified"}),
    ],
)
def test_a_fault_on_the_command_line_trips_its_check_and_no_other(
    profile: str, biometric: bool, faults: dict[str, str], phone: Phone, http: httpx2.Client, customer: Any
) -> None:
    """Every fault does so in process (tests/faults); these go through the two programs as a user's script does."""
    honest = flow(phone, http, customer, profile, None, biometric=biometric)
    assert honest["accepted"] is True
    assert set(outcomes(honest).values()) <= {"pass", "not_applicable"}
    for fault, check in faults.items():
        assert http.post("/_stub/reset").is_success
        faulty = flow(phone, http, customer, profile, fault, biometric=biometric)
        assert faulty["accepted"] is False
        assert outcomes(faulty)[check] == "fail"
        assert differs_by(honest, faulty) == {check}


def test_flow_bank_app_is_pay_with_the_fault(phone: Phone, http: httpx2.Client) -> None:
    """And the newest transaction's verdict names the check."""
    assert phone("enrol", "--passcode", PASSCODE).code == 0
    assert phone("pay", "--amount", "10.00", "--passcode", PASSCODE, "--json").json["status"] == "ACCEPTED"
    honest = http.get(f"/_stub/transactions/{http.get('/_stub/transactions').json()[0]['transactionId']}/verdict")
    ran = phone("pay", "--amount", "10.00", "--passcode", PASSCODE, "--fault", "replayed-assertion", "--json")
    assert (ran.code, set(ran.json)) == (1, {"error"})
    newest = http.get("/_stub/transactions").json()[0]
    faulty = http.get(f"/_stub/transactions/{newest['transactionId']}/verdict").json()
    assert (newest["accepted"], faulty["accepted"], faulty["attempt"]) == (False, False, 2)
    assert differs_by(honest.json(), faulty) == {"challenge.unused"}


def test_a_client_that_knows_no_devices_pays_once_decoupled(phone: Phone, http: httpx2.Client, customer: Any) -> None:
    """DESIGN section 4, way 3; `approve` delivers and returns, the client's own call then finds the evidence."""
    assert phone("enrol", "--passcode", PASSCODE).code == 0
    client = customer()
    transaction_id = client.start()
    (waiting,) = phone("pending", "--json").json
    assert set(waiting) == {"transactionId", "dialect", "kind", "payload", "expiresAt", "methods"}
    assert waiting["transactionId"] == transaction_id
    ran = phone("approve", transaction_id, "--passcode", "not sent", "--json")
    assert (ran.code, ran.json["outcome"]) == (0, "approved")
    client.tokens = client.step_up(transaction_id).json()
    assert client.pay(transaction_id).status_code == 201
    assert phone("pending", "--json").json == []
    assert client.pay(transaction_id).status_code == 403


def test_a_declined_step_up_is_refused_and_the_verdict_says_so(
    phone: Phone, http: httpx2.Client, customer: Any
) -> None:
    assert phone("enrol", "--passcode", PASSCODE).code == 0
    client = customer()
    transaction_id = client.start()
    assert phone("decline", transaction_id, "--json").json == {"transactionId": transaction_id, "outcome": "declined"}
    assert client.step_up(transaction_id).json()["code"] == "403.000.52"
    verdict = http.get(f"/_stub/transactions/{transaction_id}/verdict").json()
    assert outcomes(verdict)["evidence.approved"] == "fail"


def test_playing_a_fault_leaves_other_phones_alone(phone: Phone, http: httpx2.Client) -> None:
    """`faults --run` has a customer of its own: the phone enrolled here still pays, whatever was played."""
    assert phone("enrol", "--passcode", PASSCODE).code == 0
    ran = phone("faults", "--run", "five-failures-before", "--json")
    assert [finding["check"] for finding in ran.json["failed"]] == ["user.not_blocked"]
    assert phone("pay", "--amount", "1.00", "--passcode", PASSCODE).code == 0
    ran = phone("faults", "--run", "stale-attestation", "--json")
    assert [finding["check"] for finding in ran.json["failed"]] == ["attestation.age"]
    assert "stepup-server clock release" in ran.err
