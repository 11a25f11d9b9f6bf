"""The log on PostgreSQL: found by what its entries say, and held against the columns beside them."""

from __future__ import annotations

import json
from typing import Any

from server_stub.bundle import read_bundle
from server_stub.server import Server
from tests.support.server import Handset

from ..server.conftest import USER, Bank


def test_columns_beside_the_entries_steer_no_bundle_and_are_found(server: Server, bank: Bank, handset: Handset) -> None:
    transaction = bank.start()
    assert bank.step_up(transaction, {"username": USER, "passcode": "999999"}).status_code == 403
    assert bank.step_up(transaction, header=handset.header(transaction)).status_code == 200
    path = f"/_stub/transactions/{transaction}/evidence"
    before = bank.http.get(path).content
    assert len([entry for entry in read_bundle(before).log if entry.event == "sca_attempt"]) == 3
    assert "problem" not in bank.stub("GET", "/log/check")
    database: Any = server.store.database
    with database.transaction() as statements:
        statements._connection.execute("UPDATE log SET user_id = '', transaction_id = '' WHERE event = 'sca_attempt'")
    assert bank.http.get(path).content == before
    assert bank.stub("GET", "/log/check")["problem"]["problem"] == "index"


def test_text_that_jsonb_cannot_hold_is_logged_and_found(bank: Bank, handset: Handset) -> None:
    """A payee's name with a NUL, and one with a backslash before what looks like one."""
    for name in ("a\0b", "a\\u0000b"):
        order = {"amount": "1.00", "currency": "GBP", "payee": {"name": name, "iban": "GB1"}}
        transaction = bank.start(order)
        assert bank.step_up(transaction, {"username": USER, "passcode": "999999"}).status_code == 403
        found = bank.http.get(f"/_stub/transactions/{transaction}/evidence")
        assert found.status_code == 200, found.text
        (created,) = [
            entry for entry in read_bundle(found.content).log if (entry.event, entry.transaction) == ("order_created", transaction)
        ]  # fmt: skip
        assert json.loads(json.dumps(created.fields))["payee_name"] == name
        bank.login()
