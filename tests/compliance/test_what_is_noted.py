"""What the rules read is written where it happens: how long a secret is when it is set, how a code travelled, what replaced what."""

from __future__ import annotations

import json
from contextlib import ExitStack
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authenticator.ceremonies import Edits
from device_keys.orders import read_order
from server_stub.knowledge import length_class, shortest_class
from server_stub.log_chain import LogEntry
from server_stub.policy import LENIENT, STRICT
from server_stub.rules.article_6 import LENGTH_CLASSES
from server_stub.server import Server

from ..server.conftest import PASSCODE, USER
from ..support.server import client_of, servers
from .conftest import stage
from .histories import Play, five_wrong, paid

DEMO = {
    "bank": USER,
    "weavr": "110000000000000001",
    "loginradius": "a5d1f0c3b7e84926a1c4d2e85f607b39",
}


def logged(server: Server, event: str) -> list[dict[str, Any]]:
    with server.store.reading() as unit:
        return [{"user": e.user, "dialect": e.dialect, **e.fields} for e in unit.log_entries() if e.event == event]


@given(st.text(max_size=40))
def test_a_class_holds_the_length_and_the_rule_knows_it(secret: str) -> None:
    kind = length_class(secret)
    assert kind in LENGTH_CLASSES
    least, _, most = kind.rstrip("+").partition("-")
    assert int(least) <= len(secret) <= (40 if kind.endswith("+") else int(most or least))


@given(st.lists(st.text(max_size=20), min_size=1))
def test_answers_that_serve_together_have_the_class_of_the_shortest(answers: list[str]) -> None:
    assert LENGTH_CLASSES.index(shortest_class(answers)) == min(LENGTH_CLASSES.index(length_class(a)) for a in answers)


@pytest.mark.parametrize(
    ("dialect", "expected"),
    [
        ("bank", [("passcode", "6-7", "server")]),
        ("weavr", [("password", "8-11", "server")]),
        ("loginradius", [("password", "8-11", "server"), ("pin", "4-5", "server")]),
    ],
)
def test_a_built_in_users_secrets_are_noted_once_with_the_first_login(dialect: str, expected: list[Any]) -> None:
    with ExitStack() as stack:
        play = Play(stack)
        logins = {"bank": lambda: play.bank(None)[0], "weavr": lambda: play.weavr()[1], "loginradius": play.site}
        client = logins[dialect]()
        assert client.login().status_code == 200  # type: ignore[attr-defined]
        noted = logged(play.made["server"], "secret_set")
        assert [(e["method"], e["length_class"], e["set_by"]) for e in noted] == expected


def test_a_start_and_a_reset_write_no_log() -> None:
    with servers() as make:
        server = make(dialects=("bank", "weavr", "loginradius"))
        server.reset()
        assert _entries(server) == []


@pytest.mark.parametrize(
    ("dialect", "method", "secret", "kind"),
    [
        ("bank", "passcode", "7", "1-3"),
        ("bank", "passcode", "", "0"),
        ("weavr", "password", "Tr0ub4dor&3x!", "12+"),
        ("loginradius", "password", "kq9$kq9$", "8-11"),
        ("loginradius", "pin", "837465", "6-7"),
    ],
)
def test_an_operator_who_sets_a_secret_leaves_its_class_in_the_log_and_not_the_secret(
    dialect: str, method: str, secret: str, kind: str
) -> None:
    with servers() as make:
        server = make(dialects=(dialect,))
        body = {"dialect": dialect, "id": DEMO[dialect], method: secret}
        assert client_of(server).put("/_stub/users", json=body).status_code == 200
        newest = logged(server, "secret_set")[-1]
        assert newest == {
            "dialect": dialect, "user": DEMO[dialect], "method": method, "length_class": kind, "set_by": "operator",
        }  # fmt: skip
        assert secret == "" or secret not in newest.values()


def test_how_a_secret_was_last_set_is_in_the_extract_however_long_ago() -> None:
    with servers() as make:
        server = make(dialects=("bank",))
        with server.store.begin() as unit:
            unit.log("secret_set", dialect="bank", user=USER, method="passcode", length_class="4-5")
            unit.log("secret_set", dialect="bank", user=USER, method="passcode", length_class="6-7")
            for _ in range(220):
                unit.log("login_failed", dialect="bank", user=USER)
        with server.store.reading() as unit:
            extract = unit.log_extract("bank", USER, (), (), unit.log_head()[0])
    assert [e.fields["length_class"] for e in extract if e.event == "secret_set"] == ["6-7"]
    assert len(extract) == 201


def test_a_passcode_of_one_digit_fails_and_the_step_up_with_it() -> None:
    report = stage("Android, passcode of one digit").report()
    assert next(rule for rule in report.rules if rule.id == "RTS-6.1").verdict == "fail"
    assert report.two_factor == "fail"


def test_an_activation_code_is_noted_by_the_channel_that_it_took_and_nothing_else_is_claimed() -> None:
    made = stage("Android, passcode")
    (delivery,) = [entry for entry in made.log if entry.event == "delivery"]
    assert delivery.fields == {"feature": "activation-code", "channel": "sms"}
    bound = [entry for entry in made.log if entry.event == "credential_bound"]
    assert bound
    assert "branch" not in json.dumps([entry.fields for entry in made.log])


def test_a_phone_in_the_place_of_another_is_logged_as_a_renewal_of_each_key() -> None:
    made = stage("Android, phone replaced")
    revoked = [entry for entry in made.log if entry.event == "credential_revoked"]
    renewed = [entry for entry in made.log if entry.event == "credential_renewed"]
    assert {entry.fields["device_id"] for entry in revoked} == {old for e in renewed for old in e.fields["replaces"]}
    bound = {e.fields["credential_id"] for e in made.log if e.event == "credential_bound" and e.seq > revoked[-1].seq}
    assert {entry.fields["credential_id"] for entry in renewed} == bound
    assert all(entry.fields["status_updated_at"] == entry.at for entry in revoked)


def test_a_first_phone_renews_nothing() -> None:
    assert [entry for entry in stage("Android, passcode").log if entry.event == "credential_renewed"] == []


def ruled(play: Play, transaction: str, rule: str) -> str:
    rules = play.stub("GET", f"/transactions/{transaction}/verdict")["compliance"]["rules"]
    return str(next(one["verdict"] for one in rules if one["id"] == rule))


def test_an_alteration_that_was_found_is_on_record_for_its_own_phone_and_no_other() -> None:
    with ExitStack() as stack:
        play = Play(stack)
        bank, emulator = play.bank("emulator")
        assert ruled(play, paid(play, bank, emulator, expected=403), "RTS-9.3.c") == "pass"
        (evaluated,) = logged(play.made["server"], "attestation_evaluated")
        assert evaluated["verdict"] == "altered"
        assert "attestation.verified_boot" in evaluated["checks"]
        play.made["server"].policy = LENIENT
        assert ruled(play, paid(play, bank, emulator), "RTS-9.3.c") == "fail"
        play.made["server"].policy = STRICT
        another = play.handset("pixel-9")
        assert bank.login().status_code == 200
        assert ruled(play, paid(play, bank, another), "RTS-9.3.c") == "undetermined"
        assert len(logged(play.made["server"], "attestation_evaluated")) == 1


@pytest.mark.parametrize("earlier", [False, True], ids=["as a digest", "as an earlier version kept it"])
def test_an_activation_code_is_kept_as_a_digest_and_one_that_an_earlier_version_kept_still_serves(
    earlier: bool,
) -> None:
    with ExitStack() as stack:
        play = Play(stack)
        play.serve("bank")
        server, seen = play.made["server"], []

        def look(message: dict[str, Any], _: Any) -> dict[str, Any]:
            (enrolment,) = {e.transaction for e in _entries(server) if e.event == "delivery"}
            with server.store.begin() as unit:
                begun = unit.enrolment(enrolment)
                assert begun is not None
                seen.append(message["activationCode"] in json.dumps(begun.document))
                if earlier:
                    begun.document["code"] = message["activationCode"]
                    unit.put_enrolment(begun)
            return message

        play.handset("pixel-9", edits=Edits(enrolment=look))
        assert seen == [False]


def _entries(server: Server) -> list[LogEntry]:
    with server.store.reading() as unit:
        return unit.log_entries()


def test_a_login_that_a_block_refused_is_on_record_whether_or_not_its_passcode_was_right() -> None:
    with ExitStack() as stack:
        play = Play(stack)
        bank, handset = play.bank()
        assert handset is not None
        other = bank.start()
        five_wrong(bank, handset)
        assert bank.step_up(other).status_code == 403
        assert ruled(play, other, "RTS-4.3.b-actions") == "undetermined"
        for passcode in (PASSCODE, "000000"):
            assert bank.login(passcode).status_code == 403
        refused = [(e["user"], e["action"], e["because"]) for e in logged(play.made["server"], "action_refused")]
        assert refused == [(USER, "login", "blocked")] * 2
        assert bank.step_up(other).status_code == 403
        assert ruled(play, other, "RTS-4.3.b-actions") == "pass"


@pytest.mark.parametrize("dialect", ["weavr", "loginradius"])
def test_the_other_dialects_note_it_too(dialect: str) -> None:
    with ExitStack() as stack:
        play = Play(stack)
        login = play.weavr()[1].login if dialect == "weavr" else play.site().login
        server = play.made["server"]
        with server.store.begin() as unit:
            user = unit.user(dialect, DEMO[dialect])
            assert user is not None
            user.blocked_until = unit.now + timedelta(minutes=30)
            unit.put_user(user)
        assert logged(server, "action_refused") == []
        assert login().status_code >= 400
        assert [e["action"] for e in logged(server, "action_refused")] == ["login"]


def test_what_the_message_with_a_payments_code_named_is_noted_and_its_code_is_not() -> None:
    made = stage("Weavr, payment by SMS")
    (sent,) = [entry for entry in made.log if entry.event == "message_sent"]
    order = read_order(made.evidence.transaction.payload)
    assert order is not None
    assert sent.fields == {
        "channel": "sms", "amount_minor": order.minor_units, "currency": order.currency, "payee_name": order.payee_name,
    }  # fmt: skip
    assert [entry for entry in stage("Weavr, code by SMS").log if entry.event == "message_sent"] == []
