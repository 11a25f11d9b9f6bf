"""Instants that clients and operators send: read by one reader, refused with the field's name, never a 500."""

from __future__ import annotations

import io
import json
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import msgspec
import pytest

from authenticator.ceremonies import Draft, Edits, Scene
from authenticator.cli import main as phone_main
from server_stub.cli import main as server_main
from tests.server.conftest import Bank, Handset

UNHOLDABLE = (
    "0001-01-01T00:00:00+14:00",
    "9999-12-31T23:59:59-14:00",
    "2026-12-31T23:59:60Z",
    "2026-01-01T24:00:00Z",
    "soon",
)


def signed_at(value: object) -> Edits:
    def edit(honest: Draft, scene: Scene) -> Draft:
        return msgspec.structs.replace(honest, device={**honest.device, "signedAt": value})

    return Edits(draft=edit)


@pytest.mark.parametrize(
    "value", [*UNHOLDABLE, "0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z", None, 0, [], {"a": 1}, True]
)
def test_a_signed_instant_that_no_calendar_holds_is_an_evaluated_attempt(
    bank: Bank, handset: Handset, value: object
) -> None:
    """Guesses of the passcode beside it are counted: the verdict is kept, the failure counted, the attempt logged."""
    transaction = bank.start()
    for attempt in (1, 2):
        header = handset.header(transaction, edits=signed_at(value))
        answer = bank.step_up(transaction, {"username": bank.user, "passcode": "999999"}, header=header)
        assert (answer.status_code, answer.json()["code"]) == (403, "403.000.52")
        assert bank.failed(transaction) == ["secret.correct", "challenge.skew"]
        assert bank.verdict(transaction)["attempt"] == attempt
        (user,) = [user for user in bank.stub("GET", "/users") if user["id"] == bank.user]
        assert user["failures"] == attempt


@pytest.mark.parametrize("value", [*UNHOLDABLE, "9000-01-01T00:00:00Z", "1969-12-31T23:59:59Z"])
def test_a_clock_that_cannot_be_held_is_refused_wherever_it_is_given(bank: Bank, tmp_path: Path, value: str) -> None:
    answer = bank.http.put("/_stub/clock", json={"now": value})
    assert answer.status_code == 400
    assert "now: expected an" in answer.text
    out = str(tmp_path / "out")
    for main, command in (
        (server_main, ["serve", "--port", "0", "--database", "memory", "--clock", value]),
        (phone_main, ["attest", "--profile", "pixel-9", "--challenge", "AAAA", "--out", out, "--clock", value]),
        (phone_main, ["enrol", "--passcode", "111234", "--home", str(tmp_path / "home"), "--clock", value]),
    ):
        code, said = run(main, [*command, "--json"] if main is phone_main else command)
        assert code == 2, said
        assert "--clock: expected an" in said
        assert "Traceback" not in said


def run(main: object, command: list[str]) -> tuple[int, str]:
    assert callable(main)
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        try:
            code = main(command)
        except SystemExit as ended:
            code = ended.code
    return int(code), out.getvalue() + err.getvalue()


def test_an_appraisal_at_an_instant_that_cannot_be_held_is_a_usage_error(
    bank: Bank, handset: Handset, tmp_path: Path
) -> None:
    transaction = bank.start()
    bank.step_up(transaction, header=handset.header(transaction))
    bundle = tmp_path / "bundle.json"
    bundle.write_bytes(bank.http.get(f"/_stub/transactions/{transaction}/evidence").content)
    for value in (*UNHOLDABLE, "9000-01-01T00:00:00Z"):
        code, said = run(server_main, ["appraise", str(bundle), "--now", value, "--json"])
        assert code == 2, said
        assert "--now: expected an" in json.dumps(said)
