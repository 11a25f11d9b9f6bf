"""A fault trips exactly its check (DESIGN section 5): over HTTP, against a real server, in its own flow."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from authenticator.approving import client_request, fetch, sign
from authenticator.apps.bank import BankApp, Means, domestic_payment
from authenticator.ceremonies import HONEST, Edits
from authenticator.enrolling import enrol
from authenticator.errors import Refused
from authenticator.faults import APPROVE, ENROL, FAULTS, PAY, SIGN_ONLY, Fault, Flow, find_fault
from authenticator.phone import Phone
from authenticator.server_process import running_server
from authenticator.state import BIOMETRIC, POSSESSION

Make = Callable[..., Any]


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with running_server("--dialect", "bank", "--port", "0", "--database", "memory") as url:
        yield url


@pytest.fixture
def clean_server(server: str) -> Iterator[str]:
    with httpx2.Client() as http:
        assert http.post(f"{server}/_stub/reset").is_success
    yield server
    with httpx2.Client() as http:
        assert http.put(f"{server}/_stub/clock", json={"now": None, "frozen": False}).status_code < 500


def biometric(fault: Fault) -> bool:
    """Flow bank-payment uses the biometric where the fault's name or check says so."""
    return "biometric" in fault.name + fault.check


HONEST_OUTCOMES: dict[tuple[str, bool], dict[str, str]] = {}


def honest_outcomes(server: str, home: Path, applicant: Make, profile: str, *, biometric: bool) -> dict[str, str]:
    """Once per profile and method: an accepted run, and what every check said of it."""
    if (profile, biometric) not in HONEST_OUTCOMES:
        verdict = verdict_of(HONEST, server, home, applicant, profile, biometric=biometric)
        assert verdict["accepted"], [f for f in verdict["findings"] if f["outcome"] == "fail"]
        assert verdict["compliance"]["twoFactor"] == "pass"
        HONEST_OUTCOMES[profile, biometric] = outcomes(verdict)
    return HONEST_OUTCOMES[profile, biometric]


def verdict_of(
    edits: Edits, server: str, home: Path, applicant: Make, profile: str, *, biometric: bool
) -> dict[str, Any]:
    """Flow bank-payment, as DESIGN section 5 defines it."""
    phone = Phone(home, secret=b"s" * 32)
    try:
        enrolment = enrol(phone, applicant(server=server, profile=profile), edits=edits)
        app = BankApp(phone, enrolment)
        app.login("111234")
        transaction_id = app.start(domestic_payment("10.00", "GBP", "ACME Ltd", "112233", "12345678"))
        enrolment, step_up = fetch(phone, server, transaction_id)
        approval = sign(phone, enrolment, step_up, BIOMETRIC if biometric else POSSESSION, edits=edits)
        session = app.enrolment.session
        assert session is not None
        token = session.refresh_token if biometric else None
        call = client_request(phone, approval, passcode="111234", refresh_token=token, edits=edits)
        app.send(call)
        verdict: dict[str, Any] = phone.server(server).stub("GET", f"transactions/{transaction_id}/verdict")
        return verdict
    finally:
        phone.close()


def outcomes(verdict: dict[str, Any]) -> dict[str, str]:
    return {finding["check"]: finding["outcome"] for finding in verdict["findings"]}


BANK_PAYMENT = [fault for fault in FAULTS.values() if fault.flow is Flow.BANK_PAYMENT]


@pytest.mark.parametrize(
    ("fault", "profile"),
    [
        pytest.param(fault, profile, id=f"{fault.name}-{profile}")
        for fault in BANK_PAYMENT
        for profile in ("pixel-9", "iphone-17")
        if profile in fault.profiles
    ],
)
def test_a_fault_trips_exactly_its_check(
    fault: Fault, profile: str, clean_server: str, tmp_path: Path, applicant: Make
) -> None:
    """All other checks are as in the honest run, or not_run because they needed it."""
    expected = honest_outcomes(clean_server, tmp_path / "honest", applicant, profile, biometric=biometric(fault))
    faulty = verdict_of(fault.edits, clean_server, tmp_path / "faulty", applicant, profile, biometric=biometric(fault))
    assert not faulty["accepted"]
    found = outcomes(faulty)
    assert [check for check, outcome in found.items() if outcome == "fail"] == [fault.check]
    changed = {check for check in expected if found[check] not in (expected[check], "not_run")}
    assert changed == {fault.check}


def test_a_fault_in_the_bank_app_is_refused_like_any_other(clean_server: str, tmp_path: Path, applicant: Make) -> None:
    """`pay --fault`: the bank's uniform refusal, 403.000.52 (RTS-4.3.a)."""
    phone = Phone(tmp_path / "home", secret=b"s" * 32)
    enrolment = enrol(phone, applicant(server=clean_server))
    order = domestic_payment("10.00", "GBP", "ACME Ltd", "112233", "12345678")
    for name in ("forged-signature", "wrong-passcode", "no-evidence"):
        app = BankApp(phone, enrolment, edits=FAULTS[name].edits)
        with pytest.raises(Refused) as refused:
            app.pay(order, Means(POSSESSION, "111234"))
        assert refused.value.code == "403.000.52"
    phone.close()


def test_every_fault_is_complete_and_acts_somewhere() -> None:
    for name, fault in FAULTS.items():
        assert name == fault.name
        assert set(fault.to_json()) == {"name", "simulates", "attack", "check", "flow", "profiles"}
        assert any(fault.acts_in(command) for command in (ENROL, APPROVE, SIGN_ONLY, PAY))


def test_where_a_fault_acts_is_read_from_its_edits() -> None:
    assert not find_fault("altered-amount").acts_in(ENROL)
    assert find_fault("altered-amount").acts_in(APPROVE)
    assert not find_fault("wrong-passcode").acts_in(APPROVE)
    assert find_fault("wrong-passcode").acts_in(SIGN_ONLY)


def test_honest_edits_act_nowhere() -> None:
    honest = Fault(name="none", simulates="", attack="", check="", edits=Edits())
    assert not any(honest.acts_in(command) for command in (ENROL, APPROVE, SIGN_ONLY, PAY))
