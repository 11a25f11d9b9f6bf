"""Payment challenges (weavr.md 10): a transfer or a run is confirmed by SMS or on the phone, and executed once."""

from __future__ import annotations

import copy
from typing import Any

import pytest

ACCOUNT = "130000000000000001"
ALICE = "110000000000000001"
TYPE = "outgoing_wire_transfers"


def code(answer: Any) -> tuple[int, str | None]:
    return answer.status_code, answer.json().get("errorCode") if answer.content else None


def challenge(multi: Any, *ids: str, by: str = "otp/SMS") -> Any:
    return multi.post(f"/challenges/{by}", {"resourceType": TYPE, "resourceIds": list(ids)})


def verify(multi: Any, name: str, value: str | None = None, kind: str = TYPE) -> Any:
    body = {"resourceType": kind, "verificationCode": multi.world.code() if value is None else value}
    return multi.post(f"/challenges/{name}/otp/SMS/verify", body)


def payments(world: Any) -> list[dict[str, Any]]:
    return list(world.stub("GET", f"/payments?dialect=weavr&user={ALICE}"))


def balance(world: Any) -> int:
    return int(world.stub("GET", "/users")[0]["accounts"][ACCOUNT]["balance"])


def test_an_sms_confirms_a_transfer_and_names_amount_and_payee(multi: Any, world: Any) -> None:
    """Section 10, RTS Art. 5(1)(a): the payer is told what the code is for; the transfer is executed, the balance falls."""
    transfer = multi.transfer(1050)
    name = challenge(multi, transfer).json()["scaChallengeId"]
    assert name.isdigit()
    text = world.messages()[-1]["text"]
    assert "GBP 10.50" in text
    assert "ACME Ltd" in text
    assert (payments(world), balance(world)) == ([], 1_000_000)
    answer = verify(multi, name)
    assert (answer.status_code, answer.content) == (204, b"")
    (payment,) = payments(world)
    assert payment["payload"]["id"] == transfer
    assert balance(world) == 1_000_000 - 1050
    multi.step_up()
    assert multi.send("GET", f"/outgoing_wire_transfers/{transfer}").json()["state"] == "COMPLETED"
    (entry,) = multi.send("GET", f"/managed_accounts/{ACCOUNT}/statement").json()["entry"]
    assert entry["transactionAmount"] == {"currency": "GBP", "amount": -1050}


def test_the_verdict_of_a_payment_by_sms(multi: Any, world: Any) -> None:
    """Issue 5: a payment's challenge has a verdict and a report, with trigger b and the order."""
    name = challenge(multi, multi.transfer()).json()["scaChallengeId"]
    verify(multi, name)
    transaction = world.transactions()[0]
    assert (transaction["transactionId"], transaction["kind"], transaction["state"]) == (name, "payment", "CONSUMED")
    verdict = world.verdict(name)
    assert [(e["category"], e["method"]) for e in verdict["elements"]] == [
        ("knowledge", "password"),
        ("possession", "otp-sms"),
    ]


def test_a_challenge_executes_once(multi: Any, world: Any) -> None:
    """RTS Art. 4(1): the code again is STATE_INVALID, and nothing is paid twice."""
    name = challenge(multi, multi.transfer()).json()["scaChallengeId"]
    assert verify(multi, name).status_code == 204
    assert code(verify(multi, name)) == (409, "STATE_INVALID")
    assert len(payments(world)) == 1


def test_several_transfers_are_one_batch(multi: Any, world: Any) -> None:
    """RTS Art. 5(3)(b): total and every payee; each is executed."""
    ids = [multi.transfer(100), multi.transfer(250)]
    name = challenge(multi, *ids).json()["scaChallengeId"]
    assert "GBP 3.50" in world.messages()[-1]["text"]
    assert verify(multi, name).status_code == 204
    (payment,) = payments(world)
    assert [(item["id"], item["amount"]) for item in payment["payload"]["payments"]] == [
        (ids[0], "1.00"),
        (ids[1], "2.50"),
    ]
    assert balance(world) == 1_000_000 - 350


def test_transfers_in_two_currencies_are_no_batch(multi: Any, world: Any) -> None:
    """RTS Art. 5(3)(b): a batch has one total, and nothing sums pounds and euros."""
    with world.server.store.begin() as unit:  # demo users have one account each
        alice = unit.user("weavr", ALICE)
        alice.document["accounts"]["130000000000000002"] = {"currency": "EUR", "balance": 1_000_000}
        unit.put_user(alice)
    pounds = multi.transfer(100)
    body = {
        "sourceInstrument": {"type": "managed_accounts", "id": "130000000000000002"},
        "transferAmount": {"currency": "EUR", "amount": 100},
        "destinationBeneficiary": {"name": "ACME Ltd", "bankAccountDetails": {"iban": "GB33BUKB20201555555555"}},
    }
    euros = multi.post("/outgoing_wire_transfers", body).json()["id"]
    assert code(challenge(multi, pounds, euros)) == (409, "STATE_INVALID")
    assert [challenge(multi, one).status_code for one in (pounds, euros)] == [200, 200]


def test_a_biometric_push_confirms_a_transfer(multi: Any, handset: Any, world: Any) -> None:
    """Section 10: shown and signed on the phone; dynamic linking is proved, the payment executed, nothing stepped up."""
    multi.login()
    transfer = multi.transfer(1050)
    name = challenge(multi, transfer, by="push/BIOMETRIC").json()["scaChallengeId"]
    (pending,) = handset.pending()
    assert (pending["transactionId"], pending["kind"]) == (name, "payment")
    handset.approve(name)
    assert [payment["payload"]["id"] for payment in payments(world)] == [transfer]
    assert not multi.stepped_up
    rules = {rule["id"]: rule["verdict"] for rule in world.verdict(name)["compliance"]["rules"]}
    assert {rules[name] for name in ("RTS-5.1.a", "RTS-5.1.b", "RTS-5.1.c", "RTS-5.1.d")} == {"pass"}
    assert world.verdict(name)["compliance"]["twoFactor"] == "pass"


def test_an_altered_amount_on_the_phone_pays_nothing(multi: Any, handset: Any, world: Any) -> None:
    """RTS Art. 5(1)(c): what was signed is not what was ordered."""
    from authenticator.faults import find_fault

    multi.login()
    name = challenge(multi, multi.transfer(), by="push/BIOMETRIC").json()["scaChallengeId"]
    handset.approve(name, edits=find_fault("altered-amount").edits)
    assert payments(world) == []
    assert [f["check"] for f in world.verdict(name)["findings"] if f["outcome"] == "fail"] == ["binding.amount"]


def test_a_declined_push_leaves_the_transfer_pending(multi: Any, handset: Any, world: Any) -> None:
    """Section 10: a new challenge may follow."""
    multi.login()
    transfer = multi.transfer()
    name = challenge(multi, transfer, by="push/BIOMETRIC").json()["scaChallengeId"]
    assert code(challenge(multi, transfer, by="push/BIOMETRIC")) == (409, "STATE_INVALID")
    handset.decline(name)
    assert payments(world) == []
    again = challenge(multi, transfer, by="push/BIOMETRIC").json()["scaChallengeId"]
    handset.approve(again)
    assert len(payments(world)) == 1


def test_issue_codes_of_the_sms_challenge(multi: Any, world: Any) -> None:
    """Section 10: RETRY_IN_15SEC, CHALLENGE_LIMIT_EXCEEDED, STATE_INVALID, CHANNEL_*."""
    transfer = multi.transfer()
    assert challenge(multi, transfer).status_code == 200
    assert code(challenge(multi, transfer)) == (409, "RETRY_IN_15SEC")
    for _ in range(4):
        world.advance(15)
        assert challenge(multi, transfer).status_code == 200
    world.advance(15)
    assert code(challenge(multi, transfer)) == (409, "CHALLENGE_LIMIT_EXCEEDED")
    assert code(challenge(multi, "1")) == (409, "STATE_INVALID")
    world.put_user(factors={})
    assert code(challenge(multi, transfer)) == (409, "CHANNEL_NOT_REGISTERED")
    world.put_user(programme={"channelsOff": ["SMS", "AUTHY"]})
    assert code(challenge(multi, transfer)) == (409, "CHANNEL_NOT_SUPPORTED")
    assert code(challenge(multi, transfer, by="push/AUTHY")) == (409, "CHANNEL_NOT_SUPPORTED")
    assert code(challenge(multi, transfer, by="push/BIOMETRIC")) == (409, "CHANNEL_NOT_REGISTERED")


def test_a_newer_challenge_ends_the_older_code(multi: Any, world: Any) -> None:
    """As S1-22: the older challenge is dead."""
    transfer = multi.transfer()
    first = challenge(multi, transfer).json()["scaChallengeId"]
    older = world.code()
    world.advance(15)
    second = challenge(multi, transfer).json()["scaChallengeId"]
    assert code(verify(multi, first, older)) == (409, "STATE_INVALID")
    assert code(verify(multi, second, older)) == (409, "VERIFICATION_CODE_INVALID")
    assert verify(multi, second).status_code == 204


def test_verify_codes_of_the_sms_challenge(multi: Any, world: Any) -> None:
    """Section 10: the ladder, VERIFICATION_CODE_EXPIRED, STATE_INVALID for what is not one's own."""
    name = challenge(multi, multi.transfer()).json()["scaChallengeId"]
    assert code(verify(multi, "1")) == (409, "STATE_INVALID")
    assert code(verify(multi, name, kind="sends")) == (409, "STATE_INVALID")
    other = world.client()
    other.login()
    assert code(verify(other, name)) == (409, "STATE_INVALID"), "another login's challenge (RTS Art. 4(3)(c))"
    wrong = multi.wrong()
    answers = [code(verify(multi, name, wrong))[1] for _ in range(6)]
    assert answers == [
        *["VERIFICATION_CODE_INVALID"] * 3,
        "ONE_CHALLENGE_LIMIT_REMAINING",
        "CHALLENGE_LIMIT_EXCEEDED",
        "STATE_INVALID",
    ]
    assert code(challenge(multi, multi.transfer())) == (409, "CHALLENGE_LIMIT_EXCEEDED")
    world.stub("POST", "/users/110000000000000001/unblock", {"proofRef": "passport"})
    name = challenge(multi, multi.transfer()).json()["scaChallengeId"]
    world.advance(299)
    multi.send("GET", "/identities")
    world.advance(1)
    assert code(verify(multi, name)) == (409, "VERIFICATION_CODE_EXPIRED")


def test_a_step_up_code_confirms_no_payment_and_the_other_way_round(multi: Any, world: Any) -> None:
    """S1-34: each challenge is for one thing."""
    transfer = multi.transfer()
    multi.issue()
    step_up = world.code()
    name = challenge(multi, transfer).json()["scaChallengeId"]
    payment = world.code()
    assert code(verify(multi, world.transactions()[1]["transactionId"], step_up)) == (409, "STATE_INVALID")
    assert code(verify(multi, name, step_up)) == (409, "VERIFICATION_CODE_INVALID")
    assert code(multi.verify(payment)) == (409, "VERIFICATION_CODE_INVALID")
    assert payments(world) == []
    assert not multi.stepped_up


@pytest.mark.parametrize(
    ("change", "where", "word"),
    [
        ({"sourceInstrument": None}, "sourceInstrument", "REQUIRED"),
        ({"transferAmount": {"currency": "GBP", "amount": 0}}, "transferAmount.amount", "RANGE"),
        ({"transferAmount": {"currency": "GBP", "amount": 1.5}}, "transferAmount.amount", "RANGE"),
        ({"transferAmount": {"currency": "GBP", "amount": True}}, "transferAmount.amount", "RANGE"),
        ({"transferAmount": {"currency": "EUR", "amount": 1}}, "transferAmount.currency", "IN"),
        (
            {"destinationBeneficiary": {"name": "", "bankAccountDetails": {"iban": "x"}}},
            "destinationBeneficiary.name",
            "SIZE",
        ),
        (
            {"destinationBeneficiary": {"name": "A", "bankAccountDetails": {"sortCode": "1"}}},
            "destinationBeneficiary.bankAccountDetails",
            "ALL_OR_NONE",
        ),
    ],
)
def test_a_transfer_that_cannot_be_read(
    multi: Any, transfer_body: dict[str, Any], change: dict[str, Any], where: str, word: str
) -> None:
    """Section 3: the field is named."""
    answer = multi.post("/outgoing_wire_transfers", transfer_body | change)
    (entry,) = answer.json()["syntaxErrors"]["invalidFields"]
    assert (answer.status_code, entry["fieldName"], entry["error"]) == (400, where, word)


@pytest.mark.parametrize("amount", [0, 10**15, -1, True, 1.0, "1"])
def test_an_amount_out_of_range_is_told_the_range(
    multi: Any, payment_run: Any, transfer_body: dict[str, Any], run: dict[str, Any], amount: Any
) -> None:
    """Section 3: the field, the rule, and the rule's own numbers."""
    transfer_body["transferAmount"]["amount"] = run["payments"][0]["paymentAmount"]["amount"] = amount
    for answer, where in (
        (multi.post("/outgoing_wire_transfers", transfer_body), "transferAmount.amount"),
        (payment_run.post("/payment_runs", run), "payments[0].paymentAmount.amount"),
    ):
        (entry,) = answer.json()["syntaxErrors"]["invalidFields"]
        assert (answer.status_code, entry["fieldName"], entry["error"]) == (400, where, "RANGE")
        assert entry["params"] == ["1", "999999999999999"]


def test_the_ends_of_the_range_are_amounts(
    multi: Any, payment_run: Any, transfer_body: dict[str, Any], run: dict[str, Any]
) -> None:
    for amount, told in ((1, (200, None)), (10**15 - 1, (409, "FUNDS_INSUFFICIENT"))):
        transfer_body["transferAmount"]["amount"] = run["payments"][0]["paymentAmount"]["amount"] = amount
        assert code(multi.post("/outgoing_wire_transfers", transfer_body)) == told
        assert payment_run.post("/payment_runs", run).status_code == 200


def test_a_transfer_beyond_the_balance_is_refused(multi: Any, transfer_body: dict[str, Any]) -> None:
    """Own choice: FUNDS_INSUFFICIENT."""
    transfer_body["transferAmount"]["amount"] = 1_000_001
    assert code(multi.post("/outgoing_wire_transfers", transfer_body)) == (409, "FUNDS_INSUFFICIENT")
    transfer_body["sourceInstrument"]["id"] = "1"
    assert code(multi.post("/outgoing_wire_transfers", transfer_body)) == (409, "SOURCE_NOT_FOUND")


def test_two_transfers_that_together_exceed_the_balance(multi: Any, world: Any) -> None:
    """The second one fails; the balance never falls below zero."""
    ids = [multi.transfer(600_000), multi.transfer(600_000)]
    assert verify(multi, challenge(multi, *ids).json()["scaChallengeId"]).status_code == 204
    multi.step_up()
    assert [multi.send("GET", f"/outgoing_wire_transfers/{name}").json()["state"] for name in ids] == [
        "COMPLETED",
        "FAILED",
    ]
    assert balance(world) == 400_000


# --- payment runs ------------------------------------------------------------------------------------------------------


@pytest.fixture
def confirmed(payment_run: Any, run: dict[str, Any]) -> str:
    """A run that waits for its challenge."""
    created = payment_run.post("/payment_runs", run).json()
    assert len(created["id"]) == 24
    assert payment_run.post(f"/payment_runs/{created['id']}/confirm").json()["status"] == "PENDING_CHALLENGE"
    return str(created["id"])


def sandbox(name: str) -> str:
    return f"/weavr/payment-run/simulate/v1/payment_run_sca/{name}/challenges/otp/SMS"


def test_confirming_twice(payment_run: Any, confirmed: str) -> None:
    """Section 10: PAYMENT_RUN_ALREADY_CONFIRMED."""
    assert code(payment_run.post(f"/payment_runs/{confirmed}/confirm")) == (409, "PAYMENT_RUN_ALREADY_CONFIRMED")


def test_a_run_is_paid_once_its_code_was_right(payment_run: Any, world: Any, confirmed: str) -> None:
    """Section 10: the SMS names the run's id; the verdict is over the batch."""
    payment_run.post("", base=sandbox(confirmed))
    assert confirmed in world.messages()[-1]["text"]
    assert payment_run.post("/verify", {"verificationCode": world.code()}, base=sandbox(confirmed)).status_code == 204
    (payment,) = payments(world)
    assert payment["payload"]["paymentRunId"] == confirmed
    assert world.verdict()["accepted"] is True
    assert code(payment_run.post("/verify", {"verificationCode": world.code()}, base=sandbox(confirmed))) == (
        409,
        "STATE_INVALID",
    )


def test_the_fifth_wrong_code_fails_the_run(payment_run: Any, world: Any, confirmed: str) -> None:
    """Section 10: SCA_FAILED; later codes PAYMENT_RUN_SCA_CHALLENGE_VERIFY_FAILED."""
    payment_run.post("", base=sandbox(confirmed))
    wrong = payment_run.wrong()
    answers = [
        code(payment_run.post("/verify", {"verificationCode": wrong}, base=sandbox(confirmed)))[1] for _ in range(6)
    ]
    assert answers == [
        *["VERIFICATION_CODE_INVALID"] * 3,
        "ONE_CHALLENGE_LIMIT_REMAINING",
        "CHALLENGE_LIMIT_EXCEEDED",
        "PAYMENT_RUN_SCA_CHALLENGE_VERIFY_FAILED",
    ]
    assert payment_run.send("GET", f"/payment_runs/{confirmed}").json()["status"] == "SCA_FAILED"
    assert payments(world) == []


def test_issue_codes_of_the_runs_challenge(payment_run: Any, world: Any, confirmed: str, run: dict[str, Any]) -> None:
    """Section 10: RETRY_IN_15SEC, STATE_INVALID, CHANNEL_*; another's run is 404."""
    assert payment_run.post("", base=sandbox(confirmed)).status_code == 204
    assert code(payment_run.post("", base=sandbox(confirmed))) == (409, "RETRY_IN_15SEC")
    unconfirmed = payment_run.post("/payment_runs", copy.deepcopy(run)).json()["id"]
    assert code(payment_run.post("", base=sandbox(unconfirmed))) == (409, "STATE_INVALID")
    assert code(payment_run.post("/verify", {"verificationCode": "123456"}, base=sandbox(unconfirmed))) == (
        409,
        "STATE_INVALID",
    )
    assert payment_run.post("", base=sandbox("0" * 24)).status_code == 404
    world.put_user(factors={})
    assert code(payment_run.post("", base=sandbox(confirmed))) == (409, "CHANNEL_NOT_REGISTERED")
    world.put_user(programme={"channelsOff": ["SMS"]})
    assert code(payment_run.post("/verify", {"verificationCode": "123456"}, base=sandbox(confirmed))) == (
        409,
        "CHANNEL_NOT_SUPPORTED",
    )


def test_the_simulator_confirms_a_payment(multi: Any, payment_run: Any, world: Any, confirmed: str) -> None:
    """Section 11: transfers and runs alike."""
    transfer = multi.transfer()
    challenge(multi, transfer)
    payment_run.post("", base=sandbox(confirmed))
    for client, transaction in zip((payment_run, multi), world.transactions(), strict=False):
        base = f"/weavr/simulate/api/factors/{ALICE}/challenges/{transaction['transactionId']}"
        assert client.post("/verify_success", base=base).json() == {"code": "COMPLETED"}
    paid = {payment["payload"].get("paymentRunId") or payment["payload"]["id"] for payment in payments(world)}
    assert paid == {transfer, confirmed}
