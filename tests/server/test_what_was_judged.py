"""What is stored is what was judged: verdicts and bundles outlive other options, and a log that was tampered with is found."""

from __future__ import annotations

import io
import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from authenticator.enrolling import Applicant, enrol
from authenticator.faults import FAULTS
from authenticator.phone import Phone
from device_keys.encoding import b64url_decode, cbor_decode
from server_stub import commands
from server_stub.appraisal import appraise
from server_stub.bundle import read_bundle
from server_stub.cli import main
from server_stub.database import open_database
from server_stub.database.statements import migrations
from server_stub.evidence_key import read_public_key, seeded_key
from server_stub.policy import LENIENT, STRICT, Policy
from server_stub.server import Server, Settings
from server_stub.store import Store, UnitOfWork
from server_stub.trust import NamedPem, Trust, load_trust
from tests.support.server import NOON, URL, Handset, beside, client_of

from .conftest import NUMBER, PASSCODE, USER, Bank

Tamper = Callable[[sqlite3.Connection], Any]


def served(database: str, policy: Policy = STRICT, trust: Trust | None = None, seed: str | None = None) -> Server:
    """A server over a database file, as `serve` with these options."""
    server = Server(
        Store(open_database(database)), trust or load_trust(), policy, Settings(dialects=("bank",), seed=seed)
    )
    server.start()
    return server


def client(server: Server) -> Bank:
    bank = Bank(client_of(server))
    bank.stub("PUT", "/clock", {"now": NOON, "frozen": True})
    return bank


def approved(bank: Bank, folder: Path, profile: str = "pixel-9") -> str:
    """A payment that a phone approved, after two wrong passcodes; the transaction."""
    phone = Phone(folder, secret=b"s" * 32, http_factory=beside(bank.http))
    enrol(phone, Applicant(URL, "bank", USER, PASSCODE, profile, NUMBER, "demo-api-key"))
    bank.login()
    transaction = bank.start()
    for _ in range(2):
        assert bank.step_up(transaction, {"username": USER, "passcode": "999999"}).status_code == 403
    assert bank.step_up(transaction, header=Handset(phone).header(transaction)).status_code == 200
    phone.close()
    return transaction


def raw(bank: Bank, transaction: str, what: str, attempt: int | None = None) -> httpx2.Response:
    return bank.http.get(f"/_stub/transactions/{transaction}/{what}{'' if attempt is None else f'?attempt={attempt}'}")


# --- other options ----------------------------------------------------------------------------------------------------


def test_a_verdict_stays_that_of_the_policy_which_reached_it(tmp_path: Path) -> None:
    """An emulator pays under lenient; the server is started again as strict, whose list of anchors is another too."""
    database = str(tmp_path / "server.sqlite3")
    first = served(database, LENIENT)
    bank = client(first)
    transaction = approved(bank, tmp_path / "phone", "emulator")
    verdict, bundle = raw(bank, transaction, "verdict").content, raw(bank, transaction, "evidence").content
    assert json.loads(verdict)["policy"] == "lenient"
    first.store.database.close()
    second = served(database, STRICT, Trust(load_trust().pems[:2], {"ab": "REVOKED"}))
    bank = client(second)
    assert raw(bank, transaction, "verdict").content == verdict
    assert raw(bank, transaction, "evidence").content == bundle
    key = read_public_key(bank.http.get("/_stub/evidence-key").content)
    again = appraise(read_bundle(bundle), server_key=key)
    assert json.dumps(again.verdict.to_json(), separators=(",", ":")) == verdict.decode()
    assert again.appraisal.to_json() == {
        "anchors": "known", "origin": "verified", "policy": "as-recorded", "differences": [],
    }  # fmt: skip
    assert not appraise(read_bundle(bundle), policy="strict").verdict.accepted
    second.store.database.close()


def test_every_attempt_equals_the_appraisal_of_its_bundle(bank: Bank, tmp_path: Path) -> None:
    transaction = approved(bank, tmp_path / "phone")
    key = read_public_key(bank.http.get("/_stub/evidence-key").content)
    for attempt in (1, 2, 3):
        bundle = read_bundle(raw(bank, transaction, "evidence", attempt).content)
        verdict = appraise(bundle, server_key=key).verdict
        assert json.dumps(verdict.to_json(), separators=(",", ":")) == raw(bank, transaction, "verdict", attempt).text
        assert (verdict.attempt, verdict.accepted) == (attempt, attempt == 3)


def test_contents_are_kept_once(server: Server, bank: Bank, tmp_path: Path) -> None:
    approved(bank, tmp_path / "phone")
    bank.login()
    bank.step_up(bank.start(), {"username": USER, "passcode": "999999"})
    (count,) = connection(server).execute("SELECT COUNT(*) FROM contents").fetchone()
    assert count == 5  # the grounds, and policy, anchors, revocation state and declarations


def test_contents_that_were_rolled_back_are_written_by_the_next_attempt(
    server: Server, bank: Bank, handset: Handset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first attempt of a process fails after it was judged: nothing of it stays, and nothing is taken for kept."""
    transaction = bank.start()
    wrong = {"username": USER, "passcode": "999999"}
    with monkeypatch.context() as patch:
        patch.setattr(UnitOfWork, "add_verdict", lambda *_: 1 // 0)
        assert bank.step_up(transaction, wrong).status_code == 500
    assert connection(server).execute("SELECT COUNT(*) FROM contents").fetchone() == (0,)
    assert bank.step_up(transaction, wrong).status_code == 403
    assert "differences" not in raw(bank, transaction, "verdict").json()


def test_the_log_head_of_a_bundle_is_that_of_the_decision(bank: Bank, tmp_path: Path) -> None:
    transaction = approved(bank, tmp_path / "phone")
    bank.login()
    log = bank.stub("GET", "/log")
    (end,) = [entry for entry in log if entry["event"] == "code_accepted" and entry["transaction"] == transaction]
    bundle = read_bundle(raw(bank, transaction, "evidence").content)
    assert bundle.log_head is not None
    assert (bundle.log_head.count, bundle.log_head.head) == (end["seq"], end["hash"])
    assert bank.stub("GET", "/log/head") == {"head": log[-1]["hash"], "count": len(log)}
    assert len(log) > end["seq"]


def test_a_bundle_of_a_phone_from_an_unknown_maker_is_refused_whatever_the_file_calls_that_maker(
    server: Server, bank: Bank, make_phone: Callable[..., Handset]
) -> None:
    """The forger's own server believes the forger's root under a shipped anchor's name, and accepts."""
    phone = make_phone(edits=FAULTS["unknown-maker"].edits)
    bank.login()
    with server.store.reading() as unit:
        (device,) = unit.devices("bank", USER)
        registration = unit.credentials_of_device(device.id)[0].registration
    attestation = cbor_decode(b64url_decode(registration["response"]["attestationObject"]))
    own_root = x509.load_der_x509_certificate(attestation["attStmt"]["x5c"][-1]).public_bytes(Encoding.PEM).decode()
    names = [pem.name for pem in server.trust.pems]
    own = Trust([NamedPem(name, own_root) for name in names if name.startswith("android")], {})
    server.trust = own
    transaction = bank.start()
    assert bank.step_up(transaction, header=phone.header(transaction)).status_code == 200
    bundle = read_bundle(raw(bank, transaction, "evidence").content)
    key = read_public_key(bank.http.get("/_stub/evidence-key").content)
    for options in ({}, {"server_key": key}):
        found = appraise(bundle, **options)
        assert found.appraisal.anchors == "unknown"
        assert not found.verdict.accepted
        assert found.verdict.finding("attestation.chain").outcome == "fail"
    assert appraise(bundle, trust=own, server_key=key).verdict.accepted
    assert appraise(bundle, as_recorded=True, server_key=key).verdict.accepted


# --- the key ----------------------------------------------------------------------------------------------------------


def test_the_key_is_made_once_and_stays_over_restart_and_reset(tmp_path: Path) -> None:
    database = str(tmp_path / "server.sqlite3")
    first = served(database)
    pem = client(first).http.get("/_stub/evidence-key").text
    client(first).http.post("/_stub/reset")
    assert client(first).http.get("/_stub/evidence-key").text == pem
    first.store.database.close()
    second = served(database)
    assert client(second).http.get("/_stub/evidence-key").text == pem
    second.store.database.close()
    other = served(str(tmp_path / "other.sqlite3"))
    assert client(other).http.get("/_stub/evidence-key").text != pem
    other.store.database.close()


def test_with_a_seed_the_key_comes_from_the_seed(tmp_path: Path) -> None:
    server = served("memory", seed="abc")
    bank = client(server)
    assert read_public_key(bank.http.get("/_stub/evidence-key").content) == seeded_key("abc").public
    assert seeded_key("abc").public != seeded_key("abd").public
    bundle = read_bundle(raw(bank, approved(bank, tmp_path / "phone"), "evidence").content)
    found = appraise(bundle, server_key=seeded_key("abc").public).to_json()["appraisal"]
    assert (found["origin"], found["signingKey"]) == ("verified", "from-seed")
    server.store.database.close()


# --- yesterday's databases --------------------------------------------------------------------------------------------


def as_schema_2(new: Path, old: Path) -> None:
    """The same records in a database of the schema before: a verdict had a policy's name and one digest of its trust."""
    to = sqlite3.connect(old, isolation_level=None)
    for version, script in migrations()[:2]:
        to.executescript(script.replace("BIGINT PRIMARY KEY", "INTEGER PRIMARY KEY"))
        to.execute(f"PRAGMA user_version = {version}")
    to.execute("ATTACH DATABASE ? AS new", [str(new)])
    for (table,) in to.execute("SELECT name FROM main.sqlite_master WHERE type = 'table'").fetchall():
        names = [row[1] for row in to.execute(f"PRAGMA main.table_info({table})")]
        source = ["grounds" if (table, name) == ("verdicts", "trust") else name for name in names]
        to.execute(f"INSERT INTO main.{table} SELECT {', '.join(source)} FROM new.{table}")
    to.execute("UPDATE verdicts SET trust = 'a digest of anchors and revocation state together'")
    to.close()


def test_what_an_earlier_version_did_not_keep_reads_not_recorded(tmp_path: Path) -> None:
    first = served(str(tmp_path / "new.sqlite3"), LENIENT)
    bank = client(first)
    transaction = approved(bank, tmp_path / "phone", "emulator")
    before = raw(bank, transaction, "verdict").json()
    first.store.database.close()
    as_schema_2(tmp_path / "new.sqlite3", tmp_path / "old.sqlite3")
    server = served(str(tmp_path / "old.sqlite3"), STRICT)
    bank = client(server)
    verdict = raw(bank, transaction, "verdict").json()
    missing = ["policy contents", "trust anchors and revocation state", "declarations"]
    assert verdict["differences"] == [f"{part}: not recorded" for part in missing]
    assert (verdict["policy"], verdict["accepted"]) == ("lenient", True)
    assert verdict["findings"] == before["findings"]
    members = raw(bank, transaction, "evidence").json()
    assert (members["policy"], members["trust"], members["config"]) == (None, None, None)
    assert members["judgedBy"]["policy"] == "lenient"
    bundle = read_bundle(raw(bank, transaction, "evidence").content)
    found = appraise(bundle, server_key=read_public_key(bank.http.get("/_stub/evidence-key").content)).appraisal
    assert found.policy == "other"
    assert list(found.differences) == verdict["differences"]
    server.store.database.close()


# --- a log that was tampered with -------------------------------------------------------------------------------------


def connection(server: Server) -> sqlite3.Connection:
    found: sqlite3.Connection = server.store.database._connection  # type: ignore[attr-defined]
    return found


def rewritten(seq: int, change: Callable[[dict[str, Any]], Any]) -> Tamper:
    def tamper(database: sqlite3.Connection) -> None:
        (text,) = database.execute("SELECT entry FROM log WHERE seq = ?", [seq]).fetchone()
        entry = json.loads(text)
        change(entry)
        database.execute(
            "UPDATE log SET entry = ? WHERE seq = ?",
            [json.dumps(entry, separators=(",", ":"), ensure_ascii=False), seq],
        )

    return tamper


def forged(database: sqlite3.Connection) -> None:
    """An entry before the first, with a hash that fits: it would tell the verdict of a failure that never was."""
    from server_stub.log_chain import GENESIS, append_entry
    from server_stub.tables.columns import json_text

    (text,) = database.execute("SELECT entry FROM log WHERE event = 'sca_attempt' ORDER BY seq DESC").fetchone()
    told = json.loads(text)
    entry = append_entry(
        GENESIS, seq=-7, at=told["at"], clock_id="server", event="block_temp", dialect="bank", user=USER,
        session=told["session"], transaction=told["transaction"], fields={},
    )  # fmt: skip
    database.execute(
        "INSERT INTO log VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        [-7, entry.at, entry.event, "bank", USER, entry.session, entry.transaction, json_text(entry)],
    )


TAMPERED: dict[str, tuple[Tamper, str]] = {
    "transactions blanked": (lambda d: d.execute("UPDATE log SET transaction_id = '' WHERE event = 'sca_attempt'"), "index"),
    "users blanked": (lambda d: d.execute("UPDATE log SET user_id = ''"), "index"),
    "sessions blanked": (lambda d: d.execute("UPDATE log SET session_id = ''"), "index"),
    "another event beside": (lambda d: d.execute("UPDATE log SET event = 'payer_activity' WHERE event = 'sca_attempt'"), "index"),
    "another dialect beside": (lambda d: d.execute("UPDATE log SET dialect = 'weavr'"), "index"),
    "another time beside": (lambda d: d.execute("UPDATE log SET at = '2026-01-01T00:00:00.000000Z'"), "index"),
    "a forged entry before the first": (forged, "added"),
    "a member added": (rewritten(5, lambda entry: entry.update(note="x")), "altered"),
    "a member changed": (rewritten(5, lambda entry: entry.update(at="2026-01-01T00:00:00.000000Z")), "altered"),
    "members in another order": (rewritten(5, lambda entry: entry.update(seq=entry.pop("seq"))), "altered"),
    "no entry at all": (lambda d: d.execute("UPDATE log SET entry = '[]' WHERE seq = 4"), "altered"),
    "one removed": (lambda d: d.execute("DELETE FROM log WHERE seq = 4"), "removed"),
    "the end cut off before the decision": (lambda d: d.execute("DELETE FROM log WHERE seq > 12"), "truncated"),
    "a verdict that refers to an earlier entry": (
        lambda d: d.execute("UPDATE verdicts SET log_seq = log_seq - 1 WHERE attempt = 3"), "verdict",
    ),
    "a verdict that refers to a later entry": (
        lambda d: d.execute("UPDATE verdicts SET log_seq = log_seq + 1 WHERE attempt = 3"), "verdict",
    ),
    "a verdict that says otherwise": (lambda d: d.execute("UPDATE verdicts SET accepted = 1 WHERE attempt = 1"), "verdict"),
    "a finding that says otherwise": (
        lambda d: d.execute("""UPDATE verdicts SET findings = replace(findings, '"fail"', '"pass"') WHERE attempt = 1"""), "verdict",
    ),
    "a verdict removed": (lambda d: d.execute("DELETE FROM verdicts WHERE attempt = 1"), "verdict"),
    "a verdict added": (
        lambda d: d.execute(
            "INSERT INTO verdicts SELECT 'another', attempt, accepted, decided_at, log_seq, policy, grounds, evidence, findings, at_door"
            " FROM verdicts WHERE attempt = 1"
        ),
        "verdict",
    ),
}  # fmt: skip


@pytest.fixture
def verify(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[int, Any]]:
    """`log verify --json`, asking the in-process server: exit code and document."""

    def ask(_: Any, method: str, path: str, body: Any = None) -> bytes:
        answer = bank.http.request(method, path, json=body)
        assert answer.status_code == 200, answer.text
        return answer.content

    monkeypatch.setattr(commands, "_ask", ask)

    def run(*options: str) -> tuple[int, Any]:
        out = io.StringIO()
        return main(["log", "verify", *options, "--json"], out=out), json.loads(out.getvalue())

    return run


def test_an_untouched_log_holds_and_its_head_and_count_are_said(
    bank: Bank, verify: Callable[..., tuple[int, Any]], tmp_path: Path
) -> None:
    approved(bank, tmp_path / "phone")
    head = bank.stub("GET", "/log/head")
    assert verify() == (0, head | {"ok": True, "problem": None})
    kept = ("--head", head["head"], "--count", str(head["count"]))
    assert verify(*kept)[0] == 0
    bank.login()
    assert verify(*kept)[0] == 0  # it has grown, and still holds what was kept


@pytest.mark.parametrize("name", TAMPERED)
def test_tampering_is_found_and_named(
    server: Server, bank: Bank, verify: Callable[..., tuple[int, Any]], tmp_path: Path, name: str
) -> None:
    approved(bank, tmp_path / "phone")
    tamper, problem = TAMPERED[name]
    tamper(connection(server))
    code, said = verify()
    assert (code, said["ok"], said["problem"]["problem"]) == (1, False, problem), said


def test_an_end_that_was_cut_off_is_found_by_what_was_kept_elsewhere(
    server: Server, bank: Bank, verify: Callable[..., tuple[int, Any]], tmp_path: Path
) -> None:
    """Where nothing else in the database speaks of it, only a head or a count kept elsewhere can tell; also if other entries follow."""
    approved(bank, tmp_path / "phone")
    bank.login()
    head = bank.stub("GET", "/log/head")
    connection(server).execute("DELETE FROM log WHERE seq = ?", [head["count"]])
    assert verify()[0] == 0
    kept = (
        ["--head", head["head"]],
        ["--count", str(head["count"])],
        ["--head", head["head"], "--count", str(head["count"])],
    )
    for options in kept:
        code, said = verify(*options)
        assert (code, said["problem"]["problem"]) == (1, "truncated")
    bank.advance(1)
    bank.login()
    assert verify(*kept[2])[1]["problem"]["problem"] == "truncated"


@pytest.mark.parametrize("options", [["--count", "-1"], ["--count", "many"], ["--head", "abc"], ["--head", "A" * 64]])
def test_what_is_no_head_or_count_is_a_usage_error(options: list[str]) -> None:
    out = io.StringIO()
    assert main(["log", "verify", *options, "--json"], out=out) == 2
    assert options[0] in json.loads(out.getvalue())["error"]["message"]


@pytest.mark.parametrize("name", [name for name, (_, problem) in TAMPERED.items() if problem in ("index", "added")])
def test_what_stands_beside_the_entries_steers_no_verdict_and_no_bundle(
    server: Server, bank: Bank, tmp_path: Path, name: str
) -> None:
    transaction = approved(bank, tmp_path / "phone")
    before = [raw(bank, transaction, what).content for what in ("verdict", "evidence")]
    failures = [e for e in read_bundle(before[1]).log if e.event == "sca_attempt" and e.fields["outcome"] == "failed"]
    assert len(failures) == 2
    TAMPERED[name][0](connection(server))
    assert [raw(bank, transaction, what).content for what in ("verdict", "evidence")] == before


@pytest.mark.parametrize(
    "name",
    ["a member changed", "a verdict that refers to an earlier entry", "a verdict that refers to a later entry",
     "the end cut off before the decision"],
)  # fmt: skip
def test_a_damaged_log_gives_no_verdict(server: Server, bank: Bank, tmp_path: Path, name: str) -> None:
    """409 says what is wrong: what was altered is no evidence, and never a traceback."""
    transaction = approved(bank, tmp_path / "phone")
    TAMPERED[name][0](connection(server))
    for what in ("verdict", "evidence"):
        answer = raw(bank, transaction, what)
        assert (answer.status_code, answer.json()["error"]["code"]) == (409, "log_damaged"), answer.text


def test_the_log_is_searched_by_an_index_over_its_entries(server: Server) -> None:
    """Not row by row: a log may hold millions."""
    from server_stub.database.statements import load_queries

    values = {"user": "u", "dialect": "d", "up_to": 9}
    for query, index in (("log_of_user", "log_user"), ("failed_attempts", "log_attempts")):
        plan = connection(server).execute(f"EXPLAIN QUERY PLAN {load_queries()[query]}", values).fetchall()
        assert f"USING INDEX {index}" in plan[0][-1], plan
