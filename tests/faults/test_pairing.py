"""Faults and checks pair one to one (DESIGN section 5), and each fault trips exactly its check in its flow, over HTTP."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from authenticator.cli import main
from authenticator.client import Answer
from authenticator.faults import FAULTS, PHONES, VARIANTS, Fault, Flow
from authenticator.faults.flows import Stage, play, play_bank_app, play_honestly, uses_biometric
from authenticator.phone import Phone
from authenticator.profiles import PROFILES
from authenticator.server_process import running_server
from authenticator.state import BIOMETRIC
from tests.support.http import open_http

ORDINARY = ("pixel-9", "iphone-17")


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with running_server("--port", "0", "--database", "memory") as found:
        yield found


@pytest.fixture
def http(url: str) -> Iterator[httpx2.Client]:
    with open_http(url) as client:
        assert client.post("/_stub/reset").is_success
        yield client
        assert client.put("/_stub/clock", json={"frozen": False}).is_success


def test_every_check_has_one_fault_and_every_fault_one_check(http: httpx2.Client) -> None:
    checks = [check["id"] for check in http.get("/_stub/checks").json()]
    assert Counter(fault.check for fault in FAULTS.values()) == Counter(checks)


def test_variants_trip_checks_that_have_their_fault(http: httpx2.Client) -> None:
    checks = {check["id"] for check in http.get("/_stub/checks").json()}
    assert {fault.check for fault in VARIANTS.values()} <= checks
    assert not set(VARIANTS) & set(FAULTS)


def test_profiles_of_faults_are_phones_that_strict_accepts() -> None:
    for fault in FAULTS.values():
        assert fault.profiles, fault.name
        assert set(fault.profiles) <= {name for name in PHONES if PROFILES[name].strict}


def outcomes(verdict: dict[str, Any]) -> dict[str, str]:
    return {finding["check"]: finding["outcome"] for finding in verdict["findings"]}


HONEST_RUNS: dict[tuple[str, str, bool], dict[str, str]] = {}


def honest_outcomes(fault: Fault, stage: Stage, home: Path) -> dict[str, str]:
    """The same run without the fault, once for each flow, profile and method."""
    honest_code = fault.honest_code_script
    key = (stage.profile, f"{fault.flow} {honest_code and honest_code.__name__}", uses_biometric(fault))
    if key not in HONEST_RUNS:
        phone = Phone(home / "honest", secret=b"s" * 32)
        verdict = play_honestly(fault, stage, phone)
        phone.close()
        assert verdict["accepted"] is True, [f for f in verdict["findings"] if f["outcome"] in ("fail", "not_run")]
        HONEST_RUNS[key] = outcomes(verdict)
        with open_http(stage.server) as http:
            http.post("/_stub/reset")
    return HONEST_RUNS[key]


def cases(profiles: tuple[str, ...]) -> list[Any]:
    faults = (*FAULTS.values(), *VARIANTS.values())
    return [pytest.param(f, p, id=f"{f.name}-{p}") for f in faults for p in f.profiles if p in profiles]


UNIFORM = {"code": "403.000.52", "message": "Authentication failed", "info": "Not Allowed to execute this request"}
PUBLIC = {"user": "403.000.54", "transaction": "403.000.53"}


def check_refusal(fault: Fault, answers: list[Answer]) -> None:
    """Whatever element was wrong, the bank's answer is the same to the byte, save ids and dates (RTS-4.3.a)."""
    answer = answers[-1]
    code = PUBLIC.get(fault.check.split(".")[0], UNIFORM["code"])
    assert answer.status == 403
    assert answer.body["code"] == code
    if code == UNIFORM["code"]:
        assert answer.body == UNIFORM
    headers = {name: value for name, value in answer.headers.items() if name not in ("date", "x-request-id")}
    size = len(json.dumps(answer.body, separators=(",", ":")))
    assert headers == {"content-type": "application/json", "content-length": str(size)}


def check_fault(fault: Fault, profile: str, url: str, home: Path) -> None:
    stage = Stage(url, profile)
    honest = honest_outcomes(fault, stage, home)
    phone = Phone(home / "faulty", secret=b"s" * 32)
    answers: list[Answer] = []
    phone.observe(lambda call, answer: answers.append(answer) if call.path.endswith("/oauth2/stepup") else None)
    verdict = play(fault, stage, phone)
    phone.close()
    if fault.flow is not Flow.LOGINRADIUS_CODE:
        check_refusal(fault, answers)
    assert verdict["accepted"] is False
    found = outcomes(verdict)
    assert [check for check, outcome in found.items() if outcome == "fail"] == [fault.check]
    assert {check for check in honest if found[check] not in (honest[check], "not_run")} == {fault.check}


@pytest.mark.parametrize(("fault", "profile"), cases(ORDINARY))
def test_a_fault_trips_exactly_its_check(
    fault: Fault, profile: str, http: httpx2.Client, url: str, tmp_path: Path
) -> None:
    """All other checks are as in the honest run, or not_run because they needed it."""
    check_fault(fault, profile, url, tmp_path)


@pytest.mark.deep
@pytest.mark.parametrize(("fault", "profile"), cases(tuple(name for name in PHONES if name not in ORDINARY)))
def test_a_fault_trips_exactly_its_check_on_every_other_phone(
    fault: Fault, profile: str, http: httpx2.Client, url: str, tmp_path: Path
) -> None:
    check_fault(fault, profile, url, tmp_path)


@pytest.mark.parametrize("name", ["other-session", "spent-transaction", "replayed-assertion"])
def test_a_fault_of_the_bank_app_trips_its_check_with_a_biometric_too(
    name: str, http: httpx2.Client, url: str, tmp_path: Path
) -> None:
    fault = FAULTS[name]
    assert fault.flow is Flow.BANK_APP
    phone = Phone(tmp_path, secret=b"s" * 32)
    verdict = play_bank_app(fault.edits, Stage(url), phone, factor=BIOMETRIC)
    phone.close()
    assert [check for check, outcome in outcomes(verdict).items() if outcome == "fail"] == [fault.check]


def test_the_command_line_runs_a_fault_and_shows_what_it_tripped(
    http: httpx2.Client, url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["faults", "--run", "altered-amount", "--server", url]) == 0
    shown = capsys.readouterr().out
    assert "binding.amount" in shown
    assert "10.01 GBP" in shown
