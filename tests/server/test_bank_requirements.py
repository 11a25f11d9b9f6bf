"""Requirements S0-1 to S0-15 (docs/requirements.md), each over HTTP."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import pytest

from server_stub.app import create_app
from server_stub.server import Server

from ..in_process import InProcessClient
from .conftest import Bank, Handset


def test_s0_1_step_up_needs_the_device_beside_the_passcode(bank: Bank, handset: Handset) -> None:
    transaction = bank.start()
    assert bank.step_up(transaction).json()["code"] == "403.000.52"
    assert bank.failed(transaction) == ["evidence.present"]
    assert bank.step_up(transaction, header=handset.header(transaction)).status_code == 200


def test_s0_2_only_domestic_payments_are_protected(bank: Bank) -> None:
    assert bank.login().status_code == 200
    assert bank.keep(bank.call("/v1/oauth2/refresh", {"refreshToken": bank.refresh}, bearer=False)).status_code == 200
    assert bank.pay().json()["code"] == "403.000.51"


def test_s0_3_the_simulated_phone_is_enough_to_test_these_apis(bank: Bank, handset: Handset) -> None:
    transaction = bank.start()
    handset.deliver(transaction)
    assert bank.step_up(transaction).status_code == 200
    assert bank.pay(transaction).status_code == 201


@pytest.mark.parametrize(
    ("factor", "categories"), [("possession", {"knowledge", "possession"}), ("biometric", {"possession", "inherence"})]
)
def test_s0_4_both_factors_are_shown_and_the_step_up_is_two_factor_compliant(
    bank: Bank, handset: Handset, factor: str, categories: set[str]
) -> None:
    transaction = bank.start()
    body = bank.biometric() if factor == "biometric" else None
    assert bank.step_up(transaction, body, handset.header(transaction, factor)).status_code == 200
    verdict = bank.verdict(transaction)
    assert verdict["accepted"] is True
    assert verdict["compliance"]["twoFactor"] == "pass"
    assert {element["category"] for element in verdict["elements"]} == categories


@pytest.mark.parametrize("identifier", [None, "", "no-such-id", str(uuid.UUID(int=7, version=4))])
def test_s0_5_without_a_valid_identifier_a_payment_is_refused_with_403(bank: Bank, identifier: str | None) -> None:
    bank.login()
    answer = bank.pay(identifier)
    assert answer.status_code == 403
    assert answer.json()["code"] == "403.000.51"


def test_s0_6_the_initial_request_needs_api_key_and_bearer_and_no_identifier(bank: Bank) -> None:
    bank.login()
    assert bank.pay().status_code == 403
    assert bank.call("/v1/payments/domestic", bank.order, bearer=False).json()["code"] == "401.000.22"
    bank.key = "another"
    assert bank.pay().json()["code"] == "401.000.11"


def test_s0_7_the_403_has_exactly_the_members_of_the_seed(bank: Bank) -> None:
    bank.login()
    body = bank.pay().json()
    assert str(uuid.UUID(body.pop("transactionId"))) != ""
    assert body == {
        "code": "403.000.51",
        "message": "Step-up required",
        "info": "Not Allowed to execute this request",
        "requestPayload": {},
        "authenticationMethods": ["PASSCODE"],
    }


def test_s0_8_passcode_alone_is_offered_until_a_phone_with_a_biometric_key_is_enrolled(
    bank: Bank, make_phone: Callable[..., Handset], make_server: Callable[..., Server]
) -> None:
    bank.login()
    assert bank.pay().json()["authenticationMethods"] == ["PASSCODE"]
    make_phone()
    assert bank.pay().json()["authenticationMethods"] == ["PASSCODE", "BIOMETRIC"]
    pinned = Bank_of(make_server(dialects=("bank",), methods=("PASSCODE",)), bank)
    pinned.login()
    assert pinned.pay().json()["authenticationMethods"] == ["PASSCODE"]


def Bank_of(server: Server, like: Bank) -> Bank:
    return type(like)(InProcessClient(create_app(server), base_url="http://127.0.0.1:9"))


def test_s0_9_one_identifier_serves_one_payment_once(bank: Bank, handset: Handset) -> None:
    transaction = bank.start()
    bank.step_up(transaction, header=handset.header(transaction))
    assert bank.pay(transaction).status_code == 201
    again = bank.pay(transaction)
    assert again.status_code == 403
    assert again.json()["transactionId"] != transaction
    assert bank.balance() == "9990.00"


def test_s0_10_every_new_payment_needs_a_new_step_up(bank: Bank, handset: Handset) -> None:
    for expected in ("9990.00", "9980.00"):
        transaction = bank.start()
        bank.step_up(transaction, header=handset.header(transaction))
        assert bank.pay(transaction).status_code == 201
        assert bank.balance() == expected
    assert bank.pay().status_code == 403


@pytest.mark.parametrize("missing", ["username", "passcode"])
def test_s0_11_the_step_up_body_needs_username_and_passcode(bank: Bank, handset: Handset, missing: str) -> None:
    transaction = bank.start()
    body = {"username": bank.user, "passcode": "111234"}
    del body[missing]
    answer = bank.step_up(transaction, body, handset.header(transaction))
    assert answer.status_code == 400
    assert answer.json()["code"] == "400.000.51"
    assert missing in answer.json()["info"]


def test_s0_11_the_step_up_needs_identifier_and_bearer(bank: Bank, handset: Handset) -> None:
    transaction = bank.start()
    header = handset.header(transaction)
    body = {"username": bank.user, "passcode": "111234"}
    without_id = bank.call("/v1/oauth2/stepup", body, X_Device_Assertion=header)
    assert (without_id.status_code, without_id.json()["code"]) == (400, "400.000.51")
    without_bearer = bank.call(
        "/v1/oauth2/stepup", body, bearer=False, X_TransactionId=transaction, X_Device_Assertion=header
    )
    assert (without_bearer.status_code, without_bearer.json()["code"]) == (401, "401.000.22")


def test_s0_12_a_step_up_answers_a_new_pair_and_ends_the_old_one(bank: Bank, handset: Handset) -> None:
    transaction = bank.start()
    old_access, old_refresh = bank.access, bank.refresh
    answer = bank.step_up(transaction, header=handset.header(transaction)).json()
    assert answer["accessToken"] not in (old_access, old_refresh)
    assert answer["tokenType"] == "Bearer"
    assert answer["expiresIn"] == 300
    assert bank.call("/v1/oauth2/refresh", {"refreshToken": old_refresh}, bearer=False).json()["code"] == "401.000.22"
    bank.access = old_access
    assert bank.pay(transaction).json()["code"] == "401.000.22"


def test_s0_13_only_the_new_tokens_replay_the_payment(bank: Bank, handset: Handset) -> None:
    transaction = bank.start()
    other = type(bank)(bank.http)
    other.login()
    bank.step_up(transaction, header=handset.header(transaction))
    foreign = other.pay(transaction)
    assert foreign.json()["code"] == "403.000.51"
    assert bank.balance() == "10000.00"
    assert bank.pay(transaction).status_code == 201


def test_s0_13_tokens_refreshed_between_step_up_and_replay_still_replay(bank: Bank, handset: Handset) -> None:
    transaction = bank.start()
    bank.step_up(transaction, header=handset.header(transaction))
    assert bank.keep(bank.call("/v1/oauth2/refresh", {"refreshToken": bank.refresh}, bearer=False)).status_code == 200
    assert bank.pay(transaction).status_code == 201


def test_s0_14_the_replay_must_pass_the_identifier(bank: Bank, handset: Handset) -> None:
    transaction = bank.start()
    bank.step_up(transaction, header=handset.header(transaction))
    assert bank.pay().json()["code"] == "403.000.51"
    assert bank.pay(transaction).status_code == 201


@pytest.mark.parametrize("body", [None, {}, "with id"])
def test_s0_15_the_replay_repeats_the_body_or_sends_request_payload(bank: Bank, handset: Handset, body: Any) -> None:
    transaction = bank.start()
    bank.step_up(transaction, header=handset.header(transaction))
    order = {"transactionId": transaction} if body == "with id" else body
    answer = bank.pay(transaction, order=bank.order if order is None else order)
    assert answer.status_code == 201
    assert answer.json()["status"] == "ACCEPTED"
    assert bank.balance() == "9990.00"
    (paid,) = bank.stub("GET", f"/payments?user={bank.user}")
    assert paid["payload"] == bank.order


def test_s0_15_member_order_and_white_space_do_not_matter(bank: Bank, handset: Handset) -> None:
    transaction = bank.start()
    bank.step_up(transaction, header=handset.header(transaction))
    raw = b'{ "payee" : {"accountNumber":"12345678", "sortCode":"112233","name":"ACME Ltd"}, "currency":"GBP",\n"amount":"10.00"}'
    assert bank.pay(transaction, order=raw, Content_Type="application/json").status_code == 201
