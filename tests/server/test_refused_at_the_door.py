"""A call that is refused at the door of a transaction is an attempt of its caller, and not what the transaction is shown by."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from typing import Any

import httpx2
import pytest

from server_stub import cli, commands
from server_stub.testing import ServerHandle

from .conftest import USER, Bank, Handset

STRANGER = "0c6d5b3e-7f44-4c0b-9a58-3f3b6c1f0d11"
WRONG = {"username": USER, "passcode": "000000"}


@pytest.fixture
def stranger(bank: Bank) -> Bank:
    """Another customer, logged in."""
    customer = {"id": STRANGER, "passcode": "246810", "mobile": "+447700900199", "balances": {"GBP": "5.00"}}
    bank.stub("PUT", "/users", {"dialect": "bank", **customer})
    made = Bank(bank.http, user=STRANGER)
    made.login("246810")
    return made


def intrude(stranger: Bank, transaction: str) -> httpx2.Response:
    return stranger.step_up(transaction, {"username": STRANGER, "passcode": "246810"}, "e30")


def paid(bank: Bank, handset: Handset) -> str:
    transaction = bank.start()
    assert bank.step_up(transaction, header=handset.header(transaction)).status_code == 200
    assert bank.pay(transaction).status_code == 201
    return transaction


def shown(bank: Bank, transaction: str) -> tuple[bool, int, bool | None]:
    """Outcome and number of the verdict that a transaction is shown by, and the outcome in the list."""
    verdict = bank.stub("GET", f"/transactions/{transaction}/verdict")
    evidence = bank.stub("GET", f"/transactions/{transaction}/evidence")
    assert evidence["attempt"] == verdict["attempt"]
    (row,) = [row for row in bank.stub("GET", "/transactions") if row["transactionId"] == transaction]
    return verdict["accepted"], verdict["attempt"], row["accepted"]


def failures(bank: Bank) -> dict[str, int]:
    return {user["id"]: user["failures"] for user in bank.stub("GET", "/users")}


def test_a_strangers_call_leaves_a_paid_transaction_as_it_was_judged(
    bank: Bank, handset: Handset, stranger: Bank
) -> None:
    transaction = paid(bank, handset)
    assert intrude(stranger, transaction).json()["code"] == "403.000.53"
    assert shown(bank, transaction) == (True, 1, True)
    for attempt in (2, "last"):
        assert bank.verdict(transaction, attempt)["attempt"] == 2
        assert "transaction.user" in [
            f["check"] for f in bank.verdict(transaction, attempt)["findings"] if f["outcome"] == "fail"
        ]


def test_a_used_identifier_and_another_session_of_the_owner_are_refused_at_the_door_too(
    bank: Bank, handset: Handset
) -> None:
    transaction = paid(bank, handset)
    assert bank.step_up(transaction, header="e30").json()["code"] == "403.000.53"
    assert "transaction.issued" in bank.failed(transaction)
    waiting = bank.start()
    bank.step_up(waiting, WRONG, handset.header(waiting))
    other = Bank(bank.http)
    other.login()
    assert other.step_up(waiting, header="e30").json()["code"] == "403.000.53"
    assert "transaction.session" in bank.failed(waiting)
    assert shown(bank, transaction) == (True, 1, True)
    assert shown(bank, waiting) == (False, 1, False)


def test_a_blocked_caller_is_no_judge_of_anybodys_transaction(bank: Bank, handset: Handset, stranger: Bank) -> None:
    """Blocked first, foreign second: the check of the block fails, and still the transaction is shown as before."""
    transaction, waiting = paid(bank, handset), bank.start()
    for client, passcode in ((stranger, {"username": STRANGER, "passcode": "0"}), (bank, WRONG)):
        for _ in range(5):
            client.step_up(client.start(), passcode, "e30")
    assert intrude(stranger, transaction).json()["code"] == "403.000.54"
    assert intrude(stranger, waiting).json()["code"] == "403.000.54"
    assert bank.step_up(transaction, header="e30").json()["code"] == "403.000.54"
    assert shown(bank, transaction) == (True, 1, True)
    assert bank.http.get(f"/_stub/transactions/{waiting}/verdict").status_code == 404
    assert bank.step_up(waiting, header="e30").json()["code"] == "403.000.54"
    assert shown(bank, waiting) == (False, 2, False)  # the block was the owner's own, and so is this attempt


def test_where_all_calls_were_refused_at_the_door_the_answer_says_how_to_see_them(bank: Bank, stranger: Bank) -> None:
    bank.login()
    transaction = bank.start()
    intrude(stranger, transaction)
    for what in ("verdict", "evidence"):
        answer = bank.http.get(f"/_stub/transactions/{transaction}/{what}")
        assert answer.status_code == 404
        assert "attempt=last" in answer.json()["error"]["message"]
        assert bank.http.get(f"/_stub/transactions/{transaction}/{what}?attempt=last").status_code == 200
    untried = bank.start()
    assert "attempt=last" not in bank.http.get(f"/_stub/transactions/{untried}/verdict").json()["error"]["message"]
    (row,) = [row for row in bank.stub("GET", "/transactions") if row["transactionId"] == transaction]
    assert (row["attempts"], row["accepted"]) == (1, None)
    for bad in ("latest", "-1", "1.0", "last "):
        assert bank.http.get(f"/_stub/transactions/{transaction}/verdict", params={"attempt": bad}).status_code == 400


def test_a_strangers_call_counts_for_nobody_and_uses_up_nothing(bank: Bank, handset: Handset, stranger: Bank) -> None:
    """Its elements are not evaluated (bank.md 11.2, step 6); what the owner's phone delivered is the owner's alone."""
    transaction = bank.start()
    handset.deliver(transaction)
    before = failures(bank)
    stranger.step_up(transaction, {"username": STRANGER, "passcode": "246810"})
    assert failures(bank) == before
    evidence = bank.stub("GET", f"/transactions/{transaction}/evidence?attempt=last")["evidence"]
    assert (evidence.get("assertion"), evidence["evidenceSource"]) == (None, "")
    assert bank.step_up(transaction).status_code == 200
    assert shown(bank, transaction) == (True, 2, True)


def test_the_owners_evidence_holds_nothing_of_the_stranger_and_theirs_their_own_count(
    bank: Bank, handset: Handset, stranger: Bank
) -> None:
    wrong = {"username": STRANGER, "passcode": "0"}
    stranger.step_up(stranger.start(), wrong, "e30")
    transaction = bank.start()
    stranger.step_up(transaction, wrong, "e30")
    bank.step_up(transaction, WRONG, handset.header(transaction))
    bank.step_up(transaction, header=handset.header(transaction))
    owners = bank.http.get(f"/_stub/transactions/{transaction}/evidence").text
    assert STRANGER not in owners
    theirs = json.loads(bank.http.get(f"/_stub/transactions/{transaction}/evidence?attempt=1").text)
    assert theirs["evidence"]["caller"]["failures"] == 1
    assert {entry["user"] for entry in theirs["log"]} == {STRANGER}
    assert [entry["fields"]["outcome"] for entry in theirs["log"] if entry["event"] == "sca_attempt"] == [
        "failed",
        "not_evaluated",
    ]


class _Handle(ServerHandle):
    """What the pytest plugin gives, over the client of this test."""

    def __init__(self, client: httpx2.Client) -> None:
        self._client = client

    @property
    def http(self) -> httpx2.Client:
        return self._client


def test_the_plugins_handle_shows_the_judgement_and_explains_the_last_call(
    bank: Bank, handset: Handset, stranger: Bank
) -> None:
    transaction = paid(bank, handset)
    intrude(stranger, transaction)
    handle = _Handle(bank.http)
    assert handle.verdict(transaction).accepted
    assert handle.verdict().accepted
    assert handle.verdict(transaction, 2).attempt == handle.verdict(transaction, "last").attempt == 2
    assert "transaction.user: foreign" in handle.explain()


@pytest.fixture
def commanded(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[int, Any]]:
    """`stepup-server` against the server of this test: exit code and what `--json` printed."""

    def ask(_: Any, method: str, path: str, body: Any = None) -> bytes:
        answer = bank.http.request(method, path, json=body)
        if answer.status_code != 200:
            raise commands._refused(answer.status_code, answer.content)
        return answer.content

    monkeypatch.setattr(commands, "_ask", ask)

    def run(*arguments: str) -> tuple[int, Any]:
        out = io.StringIO()
        code = cli.main([*arguments, "--json"], out=out)
        return code, json.loads(out.getvalue())

    return run


def test_the_command_line_shows_the_judgement_or_the_attempt_that_is_named(
    bank: Bank, handset: Handset, stranger: Bank, commanded: Callable[..., tuple[int, Any]]
) -> None:
    transaction = paid(bank, handset)
    intrude(stranger, transaction)
    code, verdict = commanded("report", transaction)
    assert (code, verdict["attempt"]) == (0, 1)
    for attempt in ("2", "last"):
        code, verdict = commanded("report", transaction, "--attempt", attempt)
        assert (code, verdict["attempt"]) == (1, 2)
    code, bundle = commanded("evidence", transaction, "--attempt", "last")
    assert (code, bundle["attempt"]) == (0, 2)
    unpaid = bank.start()
    intrude(stranger, unpaid)
    code, problem = commanded("report", unpaid)
    assert code == 1
    assert "attempt=last" in problem["error"]["message"]
    assert commanded("report", unpaid, "--attempt", "newest")[0] == 2
