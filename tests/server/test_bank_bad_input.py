"""Bad input on the bank's routes: each has its status and code (bank.md 9 and 11.1), names the field, and changes nothing."""

from __future__ import annotations

import json
from typing import Any

import pytest

from .conftest import PASSCODE, USER, Bank, Handset

GOOD = {"username": USER, "passcode": PASSCODE}


def state(bank: Bank) -> Any:
    """All that a bad call could change, besides the log and the time of last activity."""
    users = bank.stub("GET", "/users")
    transactions = bank.stub("GET", "/transactions")
    return users, transactions, bank.stub("GET", f"/payments?user={USER}")


@pytest.mark.parametrize(
    ("body", "names"),
    [
        (b"{", "body"),
        (b"", "body"),
        (b"[]", "body"),
        (b'"text"', "body"),
        (b"\xff\xfe", "body"),
        (b'{"a":1,"a":2}', "duplicate"),
        (b'{"a":NaN}', "NaN"),
        (b'{"a":' + b"[" * 5000 + b"]" * 5000 + b"}", "nested"),
        (b'{"a":9007199254740993}', "RFC 8785"),
        (b'{"a":1e400}', "RFC 8785"),
        (b'{"amount":"-1.00","currency":"GBP","payee":{"name":"A"}}', "amount"),
        (b'{"amount":"0.00","currency":"GBP","payee":{"name":"A"}}', "amount"),
        (b'{"amount":"1.001","currency":"GBP","payee":{"name":"A"}}', "amount"),
        (b'{"amount":"1.5","currency":"JPY","payee":{"name":"A"}}', "amount"),
        (b'{"amount":"ten","currency":"GBP","payee":{"name":"A"}}', "amount"),
        (b'{"amount":-5,"currency":"GBP","payee":{"name":"A"}}', "amount"),
        (b'{"instructedAmount":{"amount":"1,5","currency":"EUR"},"creditorName":"A"}', "amount"),
    ],
)
def test_a_payment_body_that_cannot_be_read_is_400_and_names_what_was_expected(
    bank: Bank, body: bytes, names: str
) -> None:
    bank.login()
    before = state(bank)
    answer = bank.pay(order=body)
    assert (answer.status_code, answer.json()["code"]) == (400, "400.000.51")
    assert names in answer.json()["info"]
    assert "transactionId" not in answer.json()
    assert state(bank) == before


@pytest.mark.parametrize(
    "order",
    [
        {},
        {"a": 1},
        {"amount": 10, "currency": "GBP", "payee": {"name": "A"}},
        {"amount": 10.5, "currency": "GBP", "payee": {"name": "A"}},
    ],
)
def test_any_json_object_is_accepted_as_a_payment_and_asks_for_step_up(bank: Bank, order: Any) -> None:
    bank.login()
    assert bank.pay(order=order).json()["code"] == "403.000.51"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{", "400.000.51"),
        ({"username": 1, "passcode": "x"}, "400.000.51"),
        ({"username": USER, "passcode": None}, "400.000.51"),
        ({"username": USER, "passcode": 111234}, "400.000.51"),
        ({"authenticationMethod": "BIOMETRIC"}, "400.000.51"),
        ({"authenticationMethod": "VOICE", "refreshToken": "x"}, "400.000.52"),
        ({"authenticationMethod": 7, **GOOD}, "400.000.51"),
    ],
)
def test_a_step_up_body_that_cannot_be_read_is_400_and_no_attempt(
    bank: Bank, handset: Handset, body: Any, code: str
) -> None:
    transaction = bank.start()
    before = state(bank)
    answer = bank.step_up(transaction, body, handset.header(transaction))
    assert (answer.status_code, answer.json()["code"]) == (400, code)
    assert state(bank) == before


def test_unknown_members_are_ignored(bank: Bank, handset: Handset) -> None:
    transaction = bank.start()
    assert bank.step_up(transaction, GOOD | {"deviceModel": "x"}, handset.header(transaction)).status_code == 200


@pytest.mark.parametrize(
    "path", ["/v1/oauth2/login", "/v1/payments/domestic", "/v1/oauth2/stepup", "/v1/oauth2/refresh"]
)
@pytest.mark.parametrize("key", ["", "another", "DEMO-API-KEY", "demo-api-key "])
def test_an_unknown_api_key_is_401_on_every_route(bank: Bank, path: str, key: str) -> None:
    bank.login()
    bank.key = key
    answer = bank.call(path, {})
    if key.strip() == "demo-api-key":  # white space around a header's value is not part of it (RFC 9110 section 5.5)
        return
    assert (answer.status_code, answer.json()["code"]) == (401, "401.000.11")


def test_header_names_compare_without_regard_to_case(bank: Bank) -> None:
    bank.login()
    headers = {"x-ApiKey": "demo-api-key", "AUTHORIZATION": f"Bearer {bank.access}"}
    assert bank.http.post("/bank/v1/payments/domestic", json=bank.order, headers=headers).status_code == 403


@pytest.mark.parametrize("token", ["", "x", "Bearer", "é" * 3])
def test_a_bad_bearer_is_401(bank: Bank, token: str) -> None:
    answer = bank.http.post(
        "/bank/v1/payments/domestic",
        json=bank.order,
        headers={"X-APIKEY": "demo-api-key", "Authorization": f"Bearer {token}".encode()},
    )
    assert (answer.status_code, answer.json()["code"]) == (401, "401.000.22")


def test_a_body_over_64_kib_is_413_and_one_of_64_kib_is_read(bank: Bank) -> None:
    bank.login()
    filler = json.dumps({"note": ""})
    exact = json.dumps({"note": "x" * (64 * 1024 - len(filler))}).encode()
    assert len(exact) == 64 * 1024
    assert bank.pay(order=exact).status_code == 403
    answer = bank.pay(order=exact + b" ")
    assert (answer.status_code, answer.json()["code"]) == (413, "413.000.51")


@pytest.mark.parametrize(
    "path", ["/v1/payments", "/v1/v1/payments/domestic", "/v1/oauth2", "/", "/v2/payments/domestic"]
)
def test_an_unknown_route_is_404_in_the_banks_shape(bank: Bank, path: str) -> None:
    assert bank.call(path, {}).json()["code"] == "404.001.001"


def test_another_method_on_a_known_route_is_404_in_the_banks_shape(bank: Bank) -> None:
    answer = bank.http.get("/bank/v1/payments/domestic")
    assert (answer.status_code, answer.json()["code"]) == (404, "404.001.001")


@pytest.mark.parametrize("path", ["/oauth2/login", "/v1/oauth2/login"])
def test_paths_with_and_without_v1_reach_the_same_handler(bank: Bank, path: str) -> None:
    assert bank.call(path, GOOD, bearer=False).status_code == 200


@pytest.mark.parametrize("identifier", ["unknown", "'; DROP TABLE users; --", "x" * 4000])
def test_an_identifier_that_does_not_exist_is_refused_as_not_valid(
    bank: Bank, handset: Handset, identifier: str
) -> None:
    answer = bank.step_up(identifier, header="e30")
    assert (answer.status_code, answer.json()["code"]) == (403, "403.000.53")


def test_a_method_that_was_not_offered_is_400(bank: Bank) -> None:
    bank.login()
    transaction = bank.start()
    answer = bank.step_up(transaction, bank.biometric())
    assert (answer.status_code, answer.json()["code"]) == (400, "400.000.52")


def test_a_changed_body_at_the_replay_voids_the_identifier_and_asks_anew(bank: Bank, handset: Handset) -> None:
    """RTS-5.1.d."""
    transaction = bank.start()
    bank.step_up(transaction, header=handset.header(transaction))
    raised = bank.pay(transaction, order=bank.order | {"amount": "10.01"})
    assert raised.json()["code"] == "403.000.51"
    assert raised.json()["transactionId"] != transaction
    assert bank.pay(transaction).json()["code"] == "403.000.51"
    assert bank.balance() == "10000.00"


def test_insufficient_funds_void_the_identifier_at_the_replay(bank: Bank, handset: Handset) -> None:
    bank.order["amount"] = "10000.01"
    transaction = bank.start()
    assert bank.step_up(transaction, header=handset.header(transaction)).status_code == 200
    answer = bank.pay(transaction)
    assert (answer.status_code, answer.json()["code"]) == (400, "400.000.53")
    assert bank.pay(transaction).json()["code"] == "403.000.51"
    assert bank.balance() == "10000.00"


def test_no_403_but_step_up_required_carries_a_transaction_id(bank: Bank, handset: Handset) -> None:
    """A client recognises "step-up needed" by the status and that member alone (bank.md 3)."""
    transaction = bank.start()
    for answer in (bank.step_up(transaction), bank.step_up("unknown"), bank.login("000000")):
        assert answer.status_code == 403
        assert set(answer.json()) == {"code", "message", "info"}
