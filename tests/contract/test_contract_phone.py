"""DESIGN section 2, `stepup-phone`, against a real server: documents, exit codes, sessions."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest

from authenticator.server_process import running_server

USER = "9de3e326-b5bb-4cdc-bf6d-f6b609fbb765"
PASSCODE = "111234"
NOWHERE = "http://127.0.0.1:9"
Phone = Callable[..., Any]


def test_enrolling_needs_a_passcode_and_nothing_else(phone: Phone, http: httpx2.Client) -> None:
    """Defaults: the bank, its demo user, a pixel-9, the demo number, whose SMS brings the code."""
    ran = phone("enrol", "--passcode", "-", "--json", stdin=f"{PASSCODE}\n")
    assert (ran.json["dialect"], ran.json["user"], ran.json["profile"]) == ("bank", USER, "pixel-9")
    (device,) = http.get(f"/_stub/users/{USER}/devices").json()
    assert device["deviceId"] == ran.json["deviceId"]
    rows = phone("keys", "--json").json
    assert {"keyId", "gate", "algorithm", "securityLevel", "counter", "credentialId"} <= set(rows[0])
    assert [row["gate"] for row in rows] == ["none", "biometric"]
    assert [row["credentialId"] for row in rows] == [one["credentialId"] for one in device["credentials"]]
    (message,) = phone("sms", "--json").json
    assert set(message) == {"from", "text", "code", "receivedAt"}
    assert re.fullmatch(r"\d{6}", message["code"])
    assert phone("sms", "--code-only").out == f"{message['code']}\n"


def test_enrolling_again_replaces_the_enrolment(phone: Phone, http: httpx2.Client) -> None:
    first = phone("enrol", "--passcode", PASSCODE, "--json").json["deviceId"]
    second = phone("enrol", "--passcode", PASSCODE, "--profile", "iphone-17", "--json").json["deviceId"]
    states = {one["deviceId"]: one["state"] for one in http.get(f"/_stub/users/{USER}/devices").json()}
    assert states[second] == "active"
    assert states[first] != "active"
    rows = phone("keys", "--json").json
    assert {row["securityLevel"] for row in rows} == {"SecureEnclave"}
    assert [row["gate"] for row in rows if row["credentialId"]] == ["none", "biometric"]
    assert phone("keys", "reset", "--json").code == 0
    assert phone("keys", "--json").json == []
    ran = phone("pending", "--json")
    assert ran.json["error"]["code"] == "not_enrolled"
    assert "stepup-phone enrol" in ran.json["error"]["message"]


def test_a_biometric_payment_lives_on_the_kept_session_for_half_an_hour(phone: Phone, http: httpx2.Client) -> None:
    """DESIGN section 2, `pay`: after its 30 min it needs `--passcode` beside it; exit 2 says so."""
    assert phone("enrol", "--passcode", PASSCODE).code == 0
    pay = ("pay", "--amount", "1.00", "--biometric", "match")
    assert http.post("/_stub/clock/advance", json={"seconds": 29 * 60}).is_success
    assert phone(*pay, "--json").json["method"] == "BIOMETRIC"
    assert http.post("/_stub/clock/advance", json={"seconds": 30 * 60 + 1}).is_success
    ran = phone(*pay, "--json")
    assert (ran.code, ran.json["error"]["field"]) == (2, "--passcode")
    assert phone(*pay, "--passcode", PASSCODE, "--json").json["method"] == "BIOMETRIC"
    assert phone(*pay).code == 0


def test_a_server_that_went_away_is_exit_3_in_every_command(command: Callable[..., Any]) -> None:
    """One JSON document says so, and how to start one."""
    with running_server("--port", "0", "--database", "memory") as url:
        assert command("authenticator", "enrol", "--passcode", PASSCODE, "--server", url).code == 0
    for arguments in (
        ["enrol", "--passcode", PASSCODE],
        ["pay", "--amount", "1.00", "--passcode", PASSCODE],
        ["pending"],
        ["approve", "some-id", "--passcode", PASSCODE],
        ["decline", "some-id"],
        ["sms", "--wait", "1"],
        ["mail"],
        ["faults", "--run", "altered-amount"],
    ):
        ran = command("authenticator", *arguments, "--server", url, "--json")
        assert (ran.code, ran.json["error"]["code"]) == (3, "unreachable"), arguments
        assert "stepup-server serve" in ran.json["error"]["message"]


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        (["pay", "--amount", "10.00", "--currency", "pounds", "--passcode", "1"], "--currency"),
        (["pay", "--amount", "10.00", "--payee", " ", "--passcode", "1"], "--payee"),
        (["pay", "--amount", "10.001", "--passcode", "1"], "--amount"),
        (["faults", "--run", "no-such-fault"], "--run"),
        (["scenarios", "--run", "no-such-story"], "--run"),
        (["pending", "--server", "localhost:8080"], "--server"),
        (["attest", "--challenge", "AAAA==", "--out", "."], "--challenge"),
        (["attest", "--challenge", "AAAA", "--format", "tpm", "--out", "."], "--format"),
        (["proxy", "--upstream", "localhost", "--port", "0"], "--upstream"),
        (["proxy", "--upstream", NOWHERE, "--port", "70000"], "--port"),
        (["control", "--port", "-1"], "--port"),
        (["control", "--port", "0", "--host", "0.0.0.0"], "--host"),
        (["enrol"], "--passcode"),
        ([], "--json"),
    ],
)
def test_a_mistake_names_the_option_and_is_exit_2(
    arguments: list[str], field: str, command: Callable[..., Any]
) -> None:
    ran = command("authenticator", *arguments, "--json")
    assert ran.code == 2
    error = ran.json["error"]
    assert field in (error.get("field"), *error["message"].replace(":", " ").split())


def test_a_folder_that_is_none_and_a_wrong_pin_are_told_as_such(command: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    ran = command("authenticator", "keys", "--home", str(tmp_path / "file"), "--json")
    assert (ran.code, ran.json["error"]["code"]) == (3, "store")
    ran = command("authenticator", "unlock", "--pin", "0000", "--json")
    assert (ran.code, "PIN" in ran.json["error"]["message"]) == (1, True)


def test_lists_have_the_members_of_the_contract(command: Callable[..., Any], http: httpx2.Client) -> None:
    profiles = command("authenticator", "profiles", "--json").json
    assert all({"name", "platform", "securityLevel", "formats"} <= set(row) for row in profiles)
    strict = [row["name"] for row in profiles if row.get("strict", True)]
    assert strict
    assert all(name.startswith(("pixel-", "iphone-")) for name in strict)
    assert {row["strict"] for row in profiles if "strict" in row} == {False}
    faults = command("authenticator", "faults", "--json").json
    assert all(set(row) == {"name", "simulates", "attack", "check", "flow", "profiles"} for row in faults)
    checks = http.get("/_stub/checks").json()
    assert all(set(check) == {"id", "citation", "needs"} for check in checks)
    assert sorted(row["check"] for row in faults) == sorted(check["id"] for check in checks)
    assert all(set(row["profiles"]) <= set(strict) for row in faults)


def test_the_demo_is_one_document_of_accepted_step_ups(command: Callable[..., Any]) -> None:
    """`{"steps", "transactions", "ok"}`: exactly the transactions with a verdict, all accepted."""
    ran = command("authenticator", "demo", "--json")
    assert ran.code == 0
    assert set(ran.json) == {"steps", "transactions", "ok"}
    assert ran.json["ok"] is True
    assert all(set(one) == {"transactionId", "verdict"} for one in ran.json["transactions"])
    assert [one["verdict"]["accepted"] for one in ran.json["transactions"]] == [True, True]
    assert {element["category"] for one in ran.json["transactions"] for element in one["verdict"]["elements"]} == {
        "knowledge",
        "possession",
        "inherence",
    }


def test_attest_repeats_byte_for_byte_with_a_seed_and_a_clock(command: Callable[..., Any], tmp_path: Path) -> None:
    options = ("--challenge", "AAAA", "--seed", "abc", "--clock", "2026-03-01T12:00:00Z", "--json")
    for folder in ("one", "two"):
        ran = command("authenticator", "attest", *options, "--out", str(tmp_path / folder))
        assert ran.json == json.loads((tmp_path / folder / "claims.json").read_bytes())
    for name in ("attestation.bin", "chain.pem", "root.pem", "claims.json"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_the_authenticator_app_takes_the_secret_of_everybodys_examples(command: Callable[..., Any]) -> None:
    """80 bits, as genuine apps do; 282760 is this secret's code of counter 0 by any other program (RFC 4226)."""
    uri = "otpauth://totp/Bank:alice?secret=JBSWY3DPEHPK3PXP&issuer=Bank"
    assert command("authenticator", "totp", "add", uri).code == 0
    (row,) = command("authenticator", "totp", "--clock", "1970-01-01T00:00:00Z", "--json").json
    assert (row["from"], row["text"], row["code"]) == ("Bank", "alice", "282760")
    assert {"from", "text", "code", "receivedAt"} <= set(row)
    assert command("authenticator", "totp", "add", "otpauth://totp/Bank:bob?secret=0189").code == 2
    assert command("authenticator", "totp", "add", "otpauth://totp/Bank:bob").code == 2
