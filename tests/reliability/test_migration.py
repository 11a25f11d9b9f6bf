"""A database that an earlier version wrote is brought up to date when it is opened, with all that it holds."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import msgspec

from device_keys.clock import parse_instant
from server_stub.checks.table import CHECKS
from server_stub.database import open_database
from server_stub.database.statements import migrations
from server_stub.evidence import CallerFacts, CredentialFacts, Evidence, TransactionFacts, encode
from server_stub.store import Store

AT = "2026-03-02T12:00:00.000000Z"


def an_earlier_database(path: Path, facts: CredentialFacts, evidence: Evidence) -> None:
    """Schema 1: counters beside the registration, verdicts with everything in them."""
    connection = sqlite3.connect(path, isolation_level=None)
    (version, script), *_ = migrations()
    assert version == 1
    connection.executescript(script)
    connection.execute(
        "INSERT INTO credentials VALUES ('key', 'print', 'device', 'bank', 'user', 'possession', 41, 7, ?)", [encode(facts)]
    )  # fmt: skip
    findings = [
        {"check": CHECKS[0].id, "outcome": "fail", "reason": "blocked", "citation": "as written", "actual": "b"}
    ]
    connection.execute(
        "INSERT INTO verdicts VALUES ('t', 1, 0, ?, 5, 'strict', 'digest', ?, ?)",
        [AT, encode(evidence).decode(), msgspec.json.encode(findings).decode()],
    )
    door = '[["user.not_blocked","pass","ok"],["transaction.user","fail","foreign","a transaction of the caller","one of another user"]]'
    connection.execute(
        "INSERT INTO verdicts VALUES ('t', 2, 0, ?, 6, 'strict', 'digest', ?, ?)", [AT, encode(evidence).decode(), door]
    )  # fmt: skip
    connection.execute("INSERT INTO settings VALUES ('webhook', 'kept')")
    connection.execute("PRAGMA user_version = 1")
    connection.close()


def test_an_earlier_database_is_read_as_if_it_were_new(tmp_path: Path) -> None:
    now = parse_instant(AT)
    facts = CredentialFacts(
        credential_id="key", device_id="device", dialect="bank", user="user", factor="possession", registration={"id": "key"},
        challenge="c", enrolled_at=now, sign_count=1,
    )  # fmt: skip
    transaction = TransactionFacts(
        id="t", dialect="bank", kind="payment", user="user", session="s", state="ISSUED", payload={}, created_at=now, expires_at=now,
    )  # fmt: skip
    evidence = Evidence(
        now=now, attempt=1, method="PASSCODE", transaction=transaction, caller=CallerFacts(user="user", session="s"), credential=facts
    )  # fmt: skip
    path = tmp_path / "server.sqlite3"
    an_earlier_database(path, facts, evidence)
    store = Store(open_database(str(path)))
    with store.begin() as unit:
        kept = unit.credential("key")
        assert kept is not None
        assert (kept.sign_count, kept.app_attest_count, kept.registration) == (41, 7, {"id": "key"})
        verdict = unit.verdict("t")
        assert verdict is not None
        assert (verdict.attempt, unit.shown_attempt("t")) == (1, (1, False))
        last = unit.verdict("t", "last")
        assert last is not None
        assert (last.attempt, last.findings[1].reason) == (2, "foreign")
        assert verdict.evidence == evidence
        assert [(f.outcome, f.citation, f.actual) for f in verdict.findings] == [("fail", "as written", "b")]
        assert unit.setting("webhook") == "kept"
        unit.put_counters("key", 42, 8)
    store.database.close()
    again = Store(open_database(str(path)))
    with again.reading() as unit:
        kept = unit.credential("key")
        assert kept is not None
        assert (kept.sign_count, kept.app_attest_count) == (42, 8)
    again.database.close()


def test_counters_that_were_kept_twice_take_the_higher_and_keys_enrolled_twice_are_marked(tmp_path: Path) -> None:
    """Schema 3: an App Attest count beside each credential, and one key could be both factors."""
    path = tmp_path / "server.sqlite3"
    now = parse_instant(AT)
    connection = sqlite3.connect(path, isolation_level=None)
    for version, script in migrations():
        if version <= 3:
            connection.executescript(script)
    for credential, key, device, factor, count in (
        ("p", "one", "iphone", "possession", 10),
        ("b", "two", "iphone", "biometric", 2),
        ("q", "same", "pixel", "possession", 0),
        ("c", "same", "pixel", "biometric", 0),
    ):
        facts = CredentialFacts(
            credential_id=credential,
            device_id=device,
            dialect="bank",
            user="user",
            factor=factor,  # type: ignore[arg-type]
            registration={},
            challenge="c",
            enrolled_at=now,
            sign_count=1,
            app_attest={"keyId": "k", "attestation": "a"} if device == "iphone" else None,
        )
        connection.execute(
            "INSERT INTO credentials VALUES (?, ?, ?, 'bank', 'user', ?, ?)",
            [credential, key, device, factor, encode(facts).decode()],
        )
        connection.execute("INSERT INTO counters VALUES (?, 1, ?)", [credential, count])
    connection.execute("PRAGMA user_version = 3")
    connection.close()
    store = Store(open_database(str(path)))
    with store.begin() as unit:
        kept = {name: unit.credential(name) for name in "pbqc"}
        assert {name: (k.app_attest_count, k.app_attest_key_count, k.shared_key) for name, k in kept.items() if k} == {
            "p": (10, 10, False),
            "b": (2, 10, False),
            "q": (0, 0, True),
            "c": (0, 0, True),
        }
        unit.put_counters("b", 2, 11)
        other = unit.credential("p")
        assert other is not None
        assert (other.app_attest_count, other.app_attest_key_count) == (10, 11)
    store.database.close()


def test_each_step_of_the_schema_has_a_number_of_its_own() -> None:
    """Two steps of one number: a database that saw the first would never see the second."""
    numbers = [version for version, _ in migrations()]
    assert numbers == list(range(1, len(numbers) + 1))
