"""The mechanism of faults: named edits from outside, noted where they do not act; their pairing with checks is in tests/faults."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from authenticator.apps.bank import BankApp, Means, domestic_payment
from authenticator.ceremonies import Edits
from authenticator.enrolling import enrol
from authenticator.errors import Refused
from authenticator.faults import APPROVE, ENROL, FAULTS, PAY, SIGN_ONLY, Fault, Flow, find_fault
from authenticator.phone import Phone
from authenticator.server_process import running_server
from authenticator.state import POSSESSION
from tests.support.http import open_http

Make = Callable[..., Any]


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with running_server("--dialect", "bank", "--port", "0", "--database", "memory") as url:
        yield url


@pytest.fixture
def clean_server(server: str) -> Iterator[str]:
    with open_http(server) as http:
        assert http.post("/_stub/reset").is_success
        yield server
        assert http.put("/_stub/clock", json={"now": None, "frozen": False}).status_code < 500


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
        if fault.flow in (Flow.BANK_PAYMENT, Flow.BANK_APP):
            assert any(fault.acts_in(command) for command in (ENROL, APPROVE, SIGN_ONLY, PAY)), name


def test_where_a_fault_acts_is_read_from_its_edits() -> None:
    assert not find_fault("altered-amount").acts_in(ENROL)
    assert find_fault("altered-amount").acts_in(APPROVE)
    assert not find_fault("wrong-passcode").acts_in(APPROVE)
    assert find_fault("wrong-passcode").acts_in(SIGN_ONLY)


def test_honest_edits_act_nowhere() -> None:
    honest = Fault(name="none", simulates="", attack="", check="", edits=Edits())
    assert not any(honest.acts_in(command) for command in (ENROL, APPROVE, SIGN_ONLY, PAY))
