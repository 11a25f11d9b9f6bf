"""`stepup-phone`: stdout is data, stderr is talk, exit codes as in DESIGN section 2."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from authenticator.cli import COMMANDS, build_parser, main

Run = Callable[..., Any]
ORDER = {
    "amount": "10.00",
    "currency": "GBP",
    "payee": {"name": "ACME Ltd", "sortCode": "112233", "accountNumber": "1"},
}


@pytest.fixture
def enrolled_cli(stepup_phone: Run) -> Run:
    assert stepup_phone("enrol", "--passcode", "111234").code == 0
    return stepup_phone


def test_every_command_of_the_contract_has_help() -> None:
    """DESIGN section 2."""
    for command in COMMANDS:
        with pytest.raises(SystemExit) as ended:
            build_parser().parse_args([*([command] if command else []), "--help"])
        assert ended.value.code == 0


def test_shared_options_stand_before_or_after_the_command() -> None:
    before = build_parser().parse_args(["--server", "http://x:1", "--json", "pending"])
    after = build_parser().parse_args(["pending", "--server", "http://x:1", "--json"])
    assert (before.server, before.json) == (after.server, after.json) == ("http://x:1", True)


def test_enrol_prints_the_device_and_its_keys(stepup_phone: Run, bank: Any) -> None:
    ran = stepup_phone("enrol", "--passcode", "111234", "--json")
    assert ran.code == 0
    assert ran.json["deviceId"] == "device-1"
    assert [one["factor"] for one in ran.json["credentials"]] == ["possession", "biometric"]
    assert ran.json["user"] == bank.user


def test_the_passcode_comes_from_stdin_or_the_environment(
    stepup_phone: Run, bank: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that it stands in no process list."""
    monkeypatch.setattr(sys, "stdin", io.StringIO("111234\n"))
    assert stepup_phone("enrol", "--passcode", "-").code == 0
    monkeypatch.setenv("STEPUP_PASSCODE", "111234")
    assert stepup_phone("enrol").code == 0
    monkeypatch.delenv("STEPUP_PASSCODE")
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    for arguments in (["enrol"], ["enrol", "--passcode", "-"]):
        ran = stepup_phone(*arguments, "--json")
        assert (ran.code, ran.json["error"]["field"]) == (2, "--passcode")


def test_pay_answers_with_the_payment(enrolled_cli: Run) -> None:
    ran = enrolled_cli("pay", "--amount", "10.00", "--passcode", "111234", "--json")
    assert ran.code == 0
    assert (ran.json["status"], ran.json["method"]) == ("ACCEPTED", "PASSCODE")
    assert "10.00 GBP" in ran.err


def test_pay_by_biometric_needs_no_passcode(enrolled_cli: Run) -> None:
    assert enrolled_cli("pay", "--amount", "10.00", "--biometric", "--json").json["method"] == "BIOMETRIC"


def test_pay_says_when_the_session_is_over(enrolled_cli: Run, bank: Any) -> None:
    bank.access_works = bank.refresh_works = False
    ran = enrolled_cli("pay", "--amount", "10.00", "--biometric", "--json")
    assert (ran.code, ran.json["error"]["code"]) == (2, "session_over")


@pytest.mark.parametrize(
    ("arguments", "code", "error"),
    [
        (["pay", "--amount", "ten", "--passcode", "1"], 2, "usage"),
        (["pay", "--amount", "1.00"], 2, "usage"),
        (["pay", "--amount", "1.00", "--biometric", "no-match"], 1, "no_match"),
        (["pay", "--amount", "1.00", "--biometric", "cancel"], 1, "cancel"),
        (["pay", "--amount", "1.00", "--passcode", "000000"], 1, "403.000.52"),
        (["approve", "nothing", "--passcode", "1"], 1, "unknown_step_up"),
        (["decline", "nothing"], 1, "unknown_step_up"),
        (["pay", "--amount", "1.00", "--passcode", "1", "--fault", "no-such-fault"], 2, "usage"),
        (["enrol", "--passcode", "1", "--profile", "nokia"], 2, "usage"),
        (["enrol", "--passcode", "1", "--clock", "yesterday"], 2, "usage"),
        (["dance"], 2, "usage"),
        (["sms", "--wait", "-1"], 2, "usage"),
        (["sms", "--wait", "0"], 1, "no_message"),
        (["inspect", "/nonexistent"], 3, "unreadable_file"),
        (["totp", "add", "http://x"], 2, "usage"),
        (["totp", "remove", "nothing"], 2, "usage"),
        (["totp", "--code-only"], 1, "no_code"),
    ],
)
def test_refusals_and_errors_are_one_json_document_too(
    enrolled_cli: Run, bank: Any, arguments: list[str], code: int, error: str
) -> None:
    ran = enrolled_cli(*arguments, "--json")
    assert (ran.code, ran.json["error"]["code"]) == (code, error)
    assert set(ran.json) == {"error"}
    plain = enrolled_cli(*arguments)
    assert plain.out == ""
    assert "Traceback" not in plain.err
    assert plain.err.strip()


def test_a_server_that_does_not_answer_is_exit_3(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STEPUP_PHONE_SECRET", "A" * 43)
    out = io.StringIO()
    code = main(
        ["enrol", "--passcode", "1", "--server", "http://127.0.0.1:1", "--home", str(tmp_path), "--json"], stdout=out
    )
    assert (code, json.loads(out.getvalue())["error"]["code"]) == (3, "unreachable")


@pytest.mark.parametrize("server", ["localhost", "ftp://x", "http://", "http://x:0x1", "http://x?y"])
def test_a_bad_server_url_is_a_usage_error(tmp_path: Path, server: str) -> None:
    out = io.StringIO()
    assert main(["pending", "--server", server, "--home", str(tmp_path), "--json"], stdout=out) == 2
    assert json.loads(out.getvalue())["error"]["field"] == "--server"


def test_pending_lists_the_fields_of_the_contract(enrolled_cli: Run, bank: Any) -> None:
    bank.pending["t1"] = ORDER
    rows = enrolled_cli("pending", "--json").json
    assert [list(row) for row in rows] == [["transactionId", "dialect", "kind", "payload", "expiresAt", "methods"]]
    assert "10.00 GBP to ACME Ltd" in enrolled_cli("pending").out


def test_approve_delivers_and_never_sends_the_passcode(enrolled_cli: Run, bank: Any) -> None:
    """Without --sign-only the passcode only picks the possession key."""
    bank.pending["t1"] = ORDER
    ran = enrolled_cli("approve", "t1", "--passcode", "987654", "--json")
    assert (ran.code, ran.json) == (0, {"transactionId": "t1", "outcome": "approved", "method": "PASSCODE"})
    assert bank.delivered[-1]["outcome"] == "approved"
    assert "987654" not in json.dumps([body for _, _, _, body in bank.requests])


def test_approve_sign_only_prints_the_clients_request(enrolled_cli: Run, bank: Any) -> None:
    bank.pending["t1"] = ORDER
    ran = enrolled_cli("approve", "t1", "--sign-only", "--passcode", "111234", "--json")
    assert list(ran.json) == ["method", "path", "headers", "body"]
    assert list(ran.json["headers"]) == ["X-TransactionId", "X-Device-Assertion"]
    assert not bank.delivered
    ran = enrolled_cli("approve", "t1", "--sign-only", "--biometric", "match", "--refresh-token", "r1", "--json")
    assert ran.json["body"] == {"refreshToken": "r1", "authenticationMethod": "BIOMETRIC"}


def test_a_token_may_begin_with_a_dash(enrolled_cli: Run, bank: Any) -> None:
    """Tokens are base64url, so one in 64 does; an option that does not exist is still one error."""
    bank.pending["t1"] = ORDER
    biometric = ("approve", "t1", "--sign-only", "--biometric", "match", "--json")
    ran = enrolled_cli(*biometric, "--refresh-token", "-r1")
    assert ran.json["body"] == {"refreshToken": "-r1", "authenticationMethod": "BIOMETRIC"}
    assert enrolled_cli(*biometric, "-r1").code == 2


def test_a_fault_that_acts_elsewhere_is_noted_on_stderr(enrolled_cli: Run, bank: Any) -> None:
    """DESIGN section 5."""
    bank.pending["t1"] = ORDER
    ran = enrolled_cli("approve", "t1", "--passcode", "1", "--fault", "imported-key", "--json")
    assert ran.code == 0
    assert "does not act in approve" in ran.err


def test_a_faulted_sign_only_still_prints_the_request(enrolled_cli: Run, bank: Any) -> None:
    bank.pending["t1"] = ORDER
    ran = enrolled_cli("approve", "t1", "--sign-only", "--passcode", "111234", "--fault", "no-evidence", "--json")
    assert ran.code == 0
    assert list(ran.json["headers"]) == ["X-TransactionId"]
    ran = enrolled_cli("approve", "t1", "--sign-only", "--passcode", "111234", "--fault", "wrong-passcode", "--json")
    assert ran.json["body"]["passcode"] == "111230"


def test_approve_without_a_factor_says_which_there_are(enrolled_cli: Run, bank: Any) -> None:
    bank.pending["t1"] = ORDER
    ran = enrolled_cli("approve", "t1", "--json")
    assert (ran.code, ran.json["error"]["field"]) == (2, "--passcode")


def test_keys_lists_gate_level_and_counter(enrolled_cli: Run) -> None:
    rows = enrolled_cli("keys", "--json").json
    wanted = {"keyId", "gate", "algorithm", "securityLevel", "counter", "credentialId"}
    assert all(wanted <= set(row) for row in rows)
    assert [row["gate"] for row in rows] == ["none", "biometric"]
    assert [row["counter"] for row in rows] == [1, 1]
    assert enrolled_cli("keys", "reset", "--json").json == {"deleted": 2}
    assert enrolled_cli("keys", "--json").json == []


def test_profiles_and_faults_list_the_fields_of_the_contract(stepup_phone: Run) -> None:
    profiles = stepup_phone("profiles", "--json").json
    assert all({"name", "platform", "securityLevel", "formats"} <= set(row) for row in profiles)
    assert all(row["name"].startswith(("pixel-", "iphone-")) for row in profiles if row.get("strict", True))
    faults = stepup_phone("faults", "--json").json
    assert all(list(row) == ["name", "simulates", "attack", "check", "flow", "profiles"] for row in faults)


def test_sms_reads_waits_and_picks_the_code(stepup_phone: Run, bank: Any) -> None:
    assert stepup_phone("sms", "--json").json == []
    bank.send_sms("Your code is 123456", "123456")
    ran = stepup_phone("sms", "--wait", "5", "--json")
    assert ran.json == [
        {"from": "Bank", "text": "Your code is 123456", "code": "123456", "receivedAt": "2026-03-01T12:00:00.000000Z"}
    ]
    assert stepup_phone("sms", "--wait", "0", "--json").code == 1, "it was read already"
    bank.send_sms("Your code is 654321", "654321")
    assert stepup_phone("sms", "--wait", "0", "--code-only").out == "654321\n"
    assert stepup_phone("sms", "--code-only", "--json").json == "654321"
    assert stepup_phone("sms", "--to", "+440000", "--json").json == []


def test_a_network_that_started_anew_has_unread_messages(stepup_phone: Run, bank: Any) -> None:
    """After a server's reset its message ids begin again."""
    for _ in range(3):
        bank.send_sms("old", "111111")
    stepup_phone("sms")
    bank.inbox.clear()
    bank.send_sms("new", "222222")
    assert stepup_phone("sms", "--wait", "0", "--code-only").out == "222222\n"


def test_hostile_messages_cannot_steer_the_terminal(stepup_phone: Run, bank: Any) -> None:
    bank.send_sms("\x1b[2Jhello\u202e")
    assert "\x1b" not in stepup_phone("sms").out


RFC_SECRET = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"


@pytest.mark.parametrize(
    ("at", "code"), [(59, "94287082"), (1111111109, "07081804"), (1234567890, "89005924"), (20000000000, "65353130")]
)
def test_totp_follows_rfc_6238(stepup_phone: Run, at: int, code: str) -> None:
    """RFC 6238 appendix B, SHA-1, 8 digits."""
    from datetime import UTC, datetime

    stepup_phone("totp", "add", f"otpauth://totp/Bank:alice?secret={RFC_SECRET}&issuer=Bank&digits=8")
    clock = datetime.fromtimestamp(at, UTC).isoformat()
    ran = stepup_phone("totp", "--clock", clock, "--json")
    assert ran.json[0]["code"] == code
    assert (ran.json[0]["from"], ran.json[0]["text"]) == ("Bank", "alice")
    assert stepup_phone("totp", "--clock", clock, "--code-only").out == f"{code}\n"


def test_totp_accounts_are_replaced_and_removed(stepup_phone: Run) -> None:
    for _ in range(2):
        assert stepup_phone("totp", "add", f"otpauth://totp/Bank:alice?secret={RFC_SECRET}&issuer=Bank").code == 0
    assert len(stepup_phone("totp", "--json").json) == 1
    assert stepup_phone("totp", "remove", "Bank:alice", "--json").code == 0
    assert stepup_phone("totp", "--json").json == []


def test_unlock_frees_a_locked_sensor(enrolled_cli: Run, bank: Any) -> None:
    for _ in range(5):
        enrolled_cli("pay", "--amount", "1.00", "--biometric", "no-match")
    assert enrolled_cli("pay", "--amount", "1.00", "--biometric", "--json").json["error"]["code"] == "lockout"
    assert enrolled_cli("unlock", "--pin", "0000", "--json").code == 1
    assert enrolled_cli("unlock", "--json").code == 0
    assert enrolled_cli("pay", "--amount", "1.00", "--biometric").code == 0


def test_attest_writes_the_four_files(stepup_phone: Run, tmp_path: Path) -> None:
    ran = stepup_phone("attest", "--challenge", "AAAA", "--out", str(tmp_path / "made"), "--json")
    assert ran.code == 0
    assert sorted(file.name for file in (tmp_path / "made").iterdir()) == [
        "attestation.bin",
        "chain.pem",
        "claims.json",
        "root.pem",
    ]
    bad = stepup_phone("attest", "--challenge", "not base64!", "--out", str(tmp_path), "--json")
    assert (bad.code, bad.json["error"]["field"]) == (2, "--challenge")


def test_inspect_explains_what_attest_made_and_says_what_it_does_not_know(stepup_phone: Run, tmp_path: Path) -> None:
    stepup_phone("attest", "--challenge", "AAAA", "--out", str(tmp_path))
    ran = stepup_phone("inspect", str(tmp_path / "attestation.bin"), "--json")
    assert (ran.code, ran.json["unreadable"]) == (0, [])
    assert "userAuthType" in ran.out or "noAuthRequired" in ran.out
    (tmp_path / "junk").write_bytes(b"\x00junk")
    ran = stepup_phone("inspect", str(tmp_path / "junk"), "--json")
    assert (ran.code, ran.json["kind"]) == (3, "not recognised")


def test_the_program_starts_by_its_module(tmp_path: Path) -> None:
    """One run as a process of its own; light commands load no heavy library."""
    script = (
        "import sys; from authenticator.cli import build_parser; build_parser().parse_args(['pending']);"
        "heavy = {'httpx2', 'textual', 'cryptography', 'rich', 'msgspec', 'nacl'} & set(sys.modules); sys.exit(len(heavy))"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
    ran = subprocess.run(
        [sys.executable, "-m", "authenticator", "profiles", "--json"],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "HOME": str(tmp_path)},
    )
    assert json.loads(ran.stdout)[0]["name"] == "pixel-9"
