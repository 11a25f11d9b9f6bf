"""Lifetimes, blocking and idempotency of the bank, driven by the clock (bank.md 11.3, 11.5)."""

from __future__ import annotations

import pytest

from .conftest import PASSCODE, USER, Bank, Handset

WRONG = {"username": USER, "passcode": "000000"}


def test_an_access_token_ends_after_300_idle_seconds_and_activity_prolongs_it(bank: Bank) -> None:
    """RTS-4.3.d."""
    bank.login()
    for _ in range(3):
        bank.advance(300)
        assert bank.pay().status_code == 403
    bank.advance(300.000001)
    assert bank.pay().json()["code"] == "401.000.22"


def test_a_refresh_token_works_once_and_for_half_an_hour(bank: Bank) -> None:
    bank.login()
    first = bank.refresh
    bank.advance(1799)
    assert bank.keep(bank.call("/v1/oauth2/refresh", {"refreshToken": first}, bearer=False)).status_code == 200
    assert bank.call("/v1/oauth2/refresh", {"refreshToken": first}, bearer=False).json()["code"] == "401.000.22"
    bank.advance(1800)
    assert bank.call("/v1/oauth2/refresh", {"refreshToken": bank.refresh}, bearer=False).json()["code"] == "401.000.22"


def test_an_identifier_waits_240_seconds_for_its_step_up(bank: Bank, handset: Handset) -> None:
    transaction, late = bank.start(), bank.start()
    bank.advance(239)
    assert bank.step_up(transaction, header=handset.header(transaction)).status_code == 200
    header = handset.header(late)
    bank.advance(1)
    assert bank.step_up(late, header=header).json()["code"] == "403.000.53"
    assert bank.failed(late) == ["transaction.live"]


def test_a_stepped_up_identifier_waits_300_seconds_for_its_payment(bank: Bank, handset: Handset) -> None:
    transaction = bank.start()
    bank.step_up(transaction, header=handset.header(transaction))
    bank.advance(299)
    bank.pay()  # keeps the session alive
    bank.advance(1)
    assert bank.pay(transaction).json()["code"] == "403.000.51"
    assert bank.balance() == "10000.00"


def test_evidence_is_fresh_for_120_seconds_and_the_next_fetch_brings_a_new_nonce(bank: Bank, handset: Handset) -> None:
    transaction = bank.start()
    header = handset.header(transaction)
    bank.advance(120)
    assert bank.step_up(transaction, header=header).json()["code"] == "403.000.52"
    assert bank.failed(transaction) == ["challenge.fresh"]
    assert bank.step_up(transaction, header=handset.header(transaction)).status_code == 200


def test_five_failures_in_a_row_block_for_half_an_hour(bank: Bank, handset: Handset) -> None:
    """RTS-4.3.b: the fifth still gets the uniform refusal, later ones the block, right or wrong alike."""
    for number in range(5):
        transaction = bank.start()
        answer = bank.step_up(transaction, WRONG, handset.header(transaction))
        assert answer.json()["code"] == "403.000.52", number
    transaction = bank.start()
    for body in (WRONG, None):
        assert bank.step_up(transaction, body, "e30").json()["code"] == "403.000.54"
    assert bank.login().json()["code"] == "403.000.54"
    bank.advance(1799)
    assert bank.login().json()["code"] == "403.000.54"
    bank.advance(1)
    assert bank.login().status_code == 200
    transaction = bank.start()
    assert bank.step_up(transaction, header=handset.header(transaction)).status_code == 200


def test_a_block_voids_the_users_open_identifiers(bank: Bank, handset: Handset) -> None:
    earlier = bank.start()
    for _ in range(5):
        transaction = bank.start()
        bank.step_up(transaction, WRONG, handset.header(transaction))
    states = {t["transactionId"]: t["state"] for t in bank.stub("GET", "/transactions")}
    assert states[earlier] == "VOID"


def test_only_an_accepted_step_up_resets_the_count_a_login_does_not(bank: Bank, handset: Handset) -> None:
    for _ in range(4):
        transaction = bank.start()
        bank.step_up(transaction, WRONG, handset.header(transaction))
    bank.login()
    assert bank.login("000000").json()["code"] == "403.000.52"
    assert bank.login().json()["code"] == "403.000.54"


def test_an_accepted_step_up_starts_the_count_anew(bank: Bank, handset: Handset) -> None:
    for _ in range(2):
        for _ in range(4):
            transaction = bank.start()
            bank.step_up(transaction, WRONG, handset.header(transaction))
        transaction = bank.start()
        assert bank.step_up(transaction, header=handset.header(transaction)).status_code == 200


def block(bank: Bank) -> None:
    for _ in range(5):
        assert bank.login("000000").json()["code"] == "403.000.52"


def test_the_third_block_is_permanent_the_payer_is_warned_before_and_an_operator_unblocks(bank: Bank) -> None:
    """RTS-4.4-alert, RTS-4.4-unblock."""
    block(bank)
    bank.advance(1800)
    assert bank.stub("GET", "/messages?channel=sms") == []
    block(bank)
    (warning,) = bank.stub("GET", "/messages?channel=sms")
    assert "One more block" in warning["text"]
    bank.advance(1800)
    block(bank)
    bank.advance(10_000_000)
    assert bank.login().json()["code"] == "403.000.54"
    assert bank.http.post(f"/_stub/users/{USER}/unblock", json={}).status_code == 400
    bank.stub("POST", f"/users/{USER}/unblock", {"proofRef": "passport seen, case 17"})
    assert bank.login().status_code == 200
    events = [entry["event"] for entry in bank.stub("GET", "/log")]
    assert events.index("alert_before_permanent") < events.index("block_permanent") < events.index("unblock")


def test_an_unknown_user_and_a_wrong_passcode_get_the_same_refusal(bank: Bank) -> None:
    wrong = bank.login("000000")
    unknown = bank.call("/v1/oauth2/login", {"username": "nobody", "passcode": PASSCODE}, bearer=False)
    assert (wrong.status_code, wrong.content) == (unknown.status_code, unknown.content)


KEY = "0e0e0e0e-0e0e-4e0e-8e0e-0e0e0e0e0e0e"


def test_the_stored_403_is_never_served_to_a_replay_with_the_same_idempotency_key(bank: Bank, handset: Handset) -> None:
    transaction = bank.pay(Idempotency_Key=KEY).json()["transactionId"]
    bank.step_up(transaction, header=handset.header(transaction))
    assert bank.pay(transaction, Idempotency_Key=KEY).status_code == 201


def test_a_repeat_with_the_same_key_returns_the_stored_201_and_pays_nothing_for_a_day(
    bank: Bank, handset: Handset
) -> None:
    transaction = bank.start()
    bank.step_up(transaction, header=handset.header(transaction))
    first = bank.pay(transaction, Idempotency_Key=KEY)
    again = bank.pay(transaction, Idempotency_Key=KEY)
    assert (again.status_code, again.json()) == (201, first.json())
    assert bank.balance() == "9990.00"
    assert bank.pay(transaction, Idempotency_Key=KEY[:-1] + "1").json()["code"] == "403.000.51"
    assert (
        bank.pay(transaction, order=bank.order | {"amount": "9.00"}, Idempotency_Key=KEY).json()["code"] == "403.000.51"
    )
    bank.advance(24 * 3600 + 1)
    bank.login()
    assert bank.pay(transaction, Idempotency_Key=KEY).json()["code"] == "403.000.51"


def test_two_identical_payments_with_one_idempotency_key_are_two_payments(bank: Bank, handset: Handset) -> None:
    """Clients compute the key from URL and body: it is equal for two identical payments (bank.md 2)."""
    for _ in range(2):
        transaction = bank.pay(Idempotency_Key=KEY).json()["transactionId"]
        bank.step_up(transaction, header=handset.header(transaction))
        assert bank.pay(transaction, Idempotency_Key=KEY).status_code == 201
    assert bank.balance() == "9980.00"


@pytest.mark.parametrize("way", ["header", "delivered", "header wins"])
def test_evidence_by_header_or_delivered_is_judged_alike_and_a_header_wins(
    bank: Bank, handset: Handset, way: str
) -> None:
    transaction = bank.start()
    if way == "header":
        assert bank.step_up(transaction, header=handset.header(transaction)).status_code == 200
    elif way == "delivered":
        handset.deliver(transaction)
        assert bank.step_up(transaction).status_code == 200
    else:
        handset.deliver(transaction)
        assert bank.step_up(transaction, header="e30").status_code == 403
        assert bank.failed(transaction) == ["evidence.readable"]


def test_delivered_evidence_serves_one_evaluated_attempt(bank: Bank, handset: Handset) -> None:
    transaction = bank.start()
    handset.deliver(transaction)
    assert bank.step_up(transaction, WRONG).status_code == 403
    assert bank.step_up(transaction).status_code == 403
    assert bank.failed(transaction) == ["evidence.present"]
    handset.deliver(transaction)
    assert bank.step_up(transaction).status_code == 200


def test_a_no_stays_a_no_though_the_client_tries_but_may_be_taken_back(bank: Bank, handset: Handset) -> None:
    """PSD2 Art. 64(1): consent is the payer's; a client that tries in vain does not have the question put again."""
    transaction = bank.start()
    handset.decline(transaction)
    assert bank.step_up(transaction).status_code == 403
    (waiting,) = handset.pending()
    assert waiting["outcome"] == "declined"
    assert bank.step_up(transaction).status_code == 403
    assert bank.failed(transaction) == ["evidence.approved"]
    handset.deliver(transaction)
    assert bank.step_up(transaction).status_code == 200


def test_a_declined_step_up_is_refused_like_any_wrong_element(bank: Bank, handset: Handset) -> None:
    transaction = bank.start()
    missing = bank.step_up(transaction)
    handset.decline(transaction)
    declined = bank.step_up(transaction)
    assert (declined.status_code, declined.content) == (missing.status_code, missing.content)
    assert bank.failed(transaction) == ["evidence.approved"]


def test_the_log_names_what_failed_and_the_payer_s_side_never_does(bank: Bank, handset: Handset) -> None:
    """RTS Art. 4(3)(a): operators read the reason, in the order of the checks; an accepted attempt has none."""
    transaction = bank.start()
    late = handset.header(transaction)
    bank.advance(121)
    refused = bank.step_up(transaction, WRONG, late)
    assert bank.step_up(transaction, header=handset.header(transaction)).status_code == 200
    attempts = [
        entry["fields"]
        for entry in bank.stub("GET", "/log")
        if (entry["event"], entry["transaction"]) == ("sca_attempt", transaction)
    ]
    assert [(entry["outcome"], entry["internal_reason"]) for entry in attempts] == [
        ("failed", ["secret.correct", "challenge.fresh"]),
        ("accepted", []),
    ]
    assert [entry["public_problem_id"] for entry in attempts] == ["403.000.52", ""]
    assert "secret" not in refused.text
    assert "fresh" not in refused.text


def test_every_entry_of_a_step_up_says_whose_it_is(bank: Bank, handset: Handset) -> None:
    """RTS Art. 29: an order, its challenge and its attempt are found again by user, session and transaction."""
    transaction = bank.start()
    assert bank.step_up(transaction, header=handset.header(transaction)).status_code == 200
    assert bank.pay(transaction).status_code == 201
    entries = [entry for entry in bank.stub("GET", "/log") if entry["transaction"] == transaction]
    assert {entry["event"] for entry in entries} >= {
        "order_created", "challenge_issued", "display_ack", "sca_attempt", "code_accepted", "order_executed",
    }  # fmt: skip
    assert {(entry["dialect"], entry["user"]) for entry in entries} == {("bank", USER)}
    assert all(entry["session"] for entry in entries)
    names = {"dialect", "user", "session", "transaction"}
    assert not [entry for entry in entries if any(field.rstrip("~") in names for field in entry["fields"])]


def test_the_log_keeps_what_was_ordered(bank: Bank) -> None:
    """RTS Art. 5(1), 29: amount in the smallest unit, currency and payee, as the payer will be shown them."""
    bank.login()
    transaction = bank.start()
    (ordered,) = [entry for entry in bank.stub("GET", "/log") if entry["event"] == "order_created"]
    account = ordered["fields"]["payee_id"]
    assert "12345678" in account
    assert ordered["fields"] == {
        "order_id": transaction, "kind": "single", "amount_minor": 1000, "currency": "GBP", "payee_id": account,
        "payee_name": "ACME Ltd", "batch": [],
    }  # fmt: skip
