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
