"""Failures in a row count for a user over enrolments, challenges and logins; the fifth blocks (RTS Art. 4(3)(b))."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import msgspec
import pytest

from server_stub import unknown_names
from server_stub.app import create_app
from server_stub.database import open_database
from server_stub.evidence import Evidence
from server_stub.log_chain import LogEntry
from server_stub.rules.article_4 import five_failures
from server_stub.rules.scene import Scene
from server_stub.server import Server, Settings
from server_stub.store import Store
from server_stub.trust import load_trust

from ..in_process import InProcessClient
from ..support.server import NOON, URL, Handset
from .conftest import USER, Bank

WRONG = {"username": USER, "passcode": "000000"}
NOBODY = "8a0c2b1e-0000-4000-8000-000000000000"


def enrolments(bank: Bank) -> Callable[..., httpx2.Response]:
    def call(path: str = "", body: Any = None) -> httpx2.Response:
        headers = {"X-APIKEY": bank.key, "Authorization": f"Bearer {bank.access}"}
        return bank.http.post(f"/device/v1/enrolments{path}", json=body, headers=headers)

    return call


def guess(bank: Bank) -> httpx2.Response:
    """A wrong activation code for a new enrolment."""
    enrol = enrolments(bank)
    begun = enrol()
    assert begun.status_code == 200, begun.text
    sent = bank.stub("GET", "/messages?channel=sms")[-1]["code"]
    wrong = f"{(int(sent) + 1) % 10**6:06}"
    return enrol(f"/{begun.json()['enrolmentId']}", {"activationCode": wrong, "credentials": []})


def test_one_wrong_activation_code_for_each_of_five_enrolments_blocks(bank: Bank) -> None:
    bank.login()
    enrol = enrolments(bank)
    waiting = enrol().json()["enrolmentId"]
    right = bank.stub("GET", "/messages?channel=sms")[-1]["code"]
    for _ in range(5):
        assert guess(bank).json()["error"]["code"] == "activation_code"
    assert (enrol().status_code, enrol().json()["error"]["code"]) == (403, "blocked")
    late = enrol(f"/{waiting}", {"activationCode": right, "credentials": []})
    assert (late.status_code, late.json()["error"]["code"]) == (403, "blocked")
    assert bank.login().json()["code"] == "403.000.54"
    tried = [e["fields"]["outcome"] for e in bank.stub("GET", "/log") if e["event"] == "sca_attempt"]
    assert tried == [*["failed"] * 5, "not_evaluated"]
    bank.advance(1800)
    assert bank.login().status_code == 200
    assert guess(bank).json()["error"]["code"] == "activation_code"


def test_enrolments_challenges_and_logins_count_together(bank: Bank, handset: Handset) -> None:
    transaction = bank.start()
    assert guess(bank).status_code == 403
    assert bank.login("000000").json()["code"] == "403.000.52"
    for _ in range(2):
        bank.step_up(transaction, WRONG, handset.header(transaction))
    assert guess(bank).json()["error"]["code"] == "activation_code"
    assert bank.step_up(transaction).json()["code"] == "403.000.54"
    rules = bank.verdict(transaction)["compliance"]["rules"]
    (rule,) = [rule for rule in rules if rule["id"] == "RTS-4.3.b"]
    assert rule["verdict"] != "fail"


def test_a_right_activation_code_ends_a_row_of_activation_codes_and_no_other(
    bank: Bank, make_phone: Callable[..., Handset]
) -> None:
    bank.login()
    for _ in range(4):
        guess(bank)
    make_phone()
    assert bank.stub("GET", "/users")[0]["failures"] == 0
    assert bank.login("000000").json()["code"] == "403.000.52"
    make_phone()
    assert bank.stub("GET", "/users")[0]["failures"] == 1


def test_only_two_elements_end_a_row_in_which_a_passcode_was_guessed(bank: Bank, handset: Handset) -> None:
    for _ in range(4):
        bank.login("000000")
    bank.login()
    assert bank.stub("GET", "/users")[0]["failures"] == 4
    transaction = bank.start()
    assert bank.step_up(transaction, header=handset.header(transaction)).status_code == 200
    assert bank.stub("GET", "/users")[0]["failures"] == 0


def test_rts_4_3_b_fails_over_a_log_that_shows_six_wrong_activation_codes(bank: Bank, handset: Handset) -> None:
    """The rule counts what the log shows, over all enrolments: a server that counts each by itself is found out."""
    transaction = bank.start()
    bank.step_up(transaction, header=handset.header(transaction))
    entries = [entry for entry in bank.stub("GET", "/log") if entry["event"] == "sca_attempt"]
    kept = msgspec.convert(entries, list[LogEntry])
    wrong = [
        msgspec.structs.replace(
            kept[0],
            seq=number,
            transaction=f"enrolment-{number}",
            fields={**kept[0].fields, "outcome": "failed", "method": "ENROLMENT"},
        )
        for number in range(6)
    ]
    case = Scene(_evidence(bank, transaction), (), tuple(wrong))
    assert five_failures(case).verdict == "fail"


def _evidence(bank: Bank, transaction: str) -> Any:
    return msgspec.convert(bank.stub("GET", f"/transactions/{transaction}/evidence")["evidence"], Evidence)


# --- names that nobody has --------------------------------------------------------------------------------------------


def answers(bank: Bank, user: str, passcode: str) -> tuple[int, bytes]:
    answer = Bank(bank.http, user=user).login(passcode)
    return answer.status_code, answer.content


def test_a_name_that_nobody_has_is_counted_and_blocked_like_a_customers(bank: Bank) -> None:
    """The sixth wrong login must not tell who is a customer."""
    for _ in range(3):
        for number in range(7):
            assert answers(bank, NOBODY, "000000") == answers(bank, USER, "000000"), number
        assert answers(bank, NOBODY, "0")[1].startswith(b'{"code":"403.000.54"')
        bank.advance(1799)
        assert answers(bank, NOBODY, "000000") == answers(bank, USER, "000000")
        bank.advance(1)
    bank.advance(10_000_000)  # the third block is for good
    assert answers(bank, NOBODY, "000000") == answers(bank, USER, "000000")
    assert answers(bank, NOBODY, "0")[1].startswith(b'{"code":"403.000.54"')


def test_letter_case_makes_no_other_name(bank: Bank) -> None:
    for name in ("Nobody", "nobody", "NOBODY", "nObody", "noBody"):
        answers(bank, name, "0")
    assert answers(bank, "nobodY", "0")[1].startswith(b'{"code":"403.000.54"')


def test_what_is_kept_of_names_outlives_a_restart_names_nobody_and_is_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unknown_names, "MOST", 20)

    def opened() -> tuple[Server, Bank]:
        server = Server(
            Store(open_database(str(tmp_path / "bank.sqlite3"))), load_trust(), settings=Settings(dialects=("bank",))
        )
        server.start()
        return server, Bank(InProcessClient(create_app(server), base_url=URL))

    server, bank = opened()
    bank.stub("PUT", "/clock", {"now": NOON, "frozen": True})
    for _ in range(5):
        answers(bank, NOBODY, "000000")
    server.store.database.close()
    server, bank = opened()
    assert answers(bank, NOBODY, "000000")[1].startswith(b'{"code":"403.000.54"')
    for number in range(30):
        answers(bank, f"other-{number}", "000000")
    with server.store.reading() as unit:
        kept = unit.records(unknown_names.KIND, "bank")
    assert len(kept) == 20
    assert (
        NOBODY.encode() not in (tmp_path / "bank.sqlite3").read_bytes() + (tmp_path / "bank.sqlite3-wal").read_bytes()
    )
    assert answers(bank, "other-29", "000000")[1].startswith(b'{"code":"403.000.52"')
    server.store.database.close()


def test_a_new_customer_does_not_inherit_the_block_of_the_name(bank: Bank) -> None:
    for _ in range(6):
        answers(bank, NOBODY, "000000")
    bank.stub("PUT", "/users", {"dialect": "bank", "id": NOBODY, "passcode": "135790", "balances": {}})
    assert answers(bank, NOBODY, "135790")[0] == 200
