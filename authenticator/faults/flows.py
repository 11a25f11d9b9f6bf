"""The runs in which faults trip their checks, played from start to verdict against a server: for tests, and for `faults --run`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from authenticator.approving import client_request, fetch, sign
from authenticator.apps.bank import BankApp, Means, domestic_payment
from authenticator.ceremonies import HONEST, Edits
from authenticator.enrolling import Applicant, enrol
from authenticator.errors import Refused
from authenticator.faults.codes import CodeApp
from authenticator.faults.fault import CodeScript, Fault, Flow
from authenticator.phone import Phone
from authenticator.state import BIOMETRIC, POSSESSION
from device_keys.entropy import new_uuid

ORDER: Final = domestic_payment("10.00", "GBP", "ACME Ltd", "112233", "12345678")


@dataclass(frozen=True, slots=True)
class Stage:
    """Where a flow is played: a server with its demo users, and a phone of its own."""

    server: str
    profile: str = "pixel-9"
    user: str = "9de3e326-b5bb-4cdc-bf6d-f6b609fbb765"
    passcode: str = "111234"
    number: str = "+447700900123"
    api_key: str = "demo-api-key"

    def applicant(self) -> Applicant:
        return Applicant(self.server, "bank", self.user, self.passcode, self.profile, self.number, self.api_key)

    def __repr__(self) -> str:
        return f"Stage({self.server!r}, {self.profile!r})"


def own_stage(server: str, profile: str, phone: Phone) -> Stage:
    """A stage with a bank customer made for one run, so that it unseats no phone and blocks no user of others."""
    stage = Stage(server, profile, user=new_uuid(phone.entropy, "user"), passcode="246810", number="+447700900150")
    customer = {"id": stage.user, "passcode": stage.passcode, "mobile": stage.number, "balances": {"GBP": "10000.00"}}
    phone.server(server).stub("PUT", "users", {"dialect": "bank", **customer})
    return stage


def uses_biometric(fault: Fault) -> bool:
    """Flow bank-payment takes the biometric where the fault's name or check says so (DESIGN section 5)."""
    return "biometric" in fault.name + fault.check


def play(fault: Fault, stage: Stage, phone: Phone) -> dict[str, Any]:
    """The verdict of the fault's run."""
    if fault.code_script is not None:
        return play_code(fault.code_script, stage, phone)
    if fault.flow is Flow.BANK_APP:
        return play_bank_app(fault.edits, stage, phone)
    return play_bank_payment(fault.edits, stage, phone, biometric=uses_biometric(fault))


def play_honestly(fault: Fault, stage: Stage, phone: Phone) -> dict[str, Any]:
    """The verdict of the same run without the fault."""
    if fault.honest_code_script is not None:
        return play_code(fault.honest_code_script, stage, phone)
    if fault.flow is Flow.BANK_APP:
        return play_bank_app(HONEST, stage, phone)
    return play_bank_payment(HONEST, stage, phone, biometric=uses_biometric(fault))


def play_bank_payment(edits: Edits, stage: Stage, phone: Phone, *, biometric: bool) -> dict[str, Any]:
    """Enrol; a client's login and payment; approve with `--sign-only`; one step-up call; the latest verdict."""
    enrolment = enrol(phone, stage.applicant(), edits=edits)
    client = BankApp(phone, enrolment)
    client.login(stage.passcode)
    transaction_id = client.start(ORDER)
    enrolment, step_up = fetch(phone, stage.server, transaction_id)
    approval = sign(phone, enrolment, step_up, BIOMETRIC if biometric else POSSESSION, edits=edits)
    session = client.enrolment.session
    token = session.refresh_token if biometric and session is not None else None
    client.send(client_request(phone, approval, passcode=stage.passcode, refresh_token=token, edits=edits))
    return verdict_of(phone, stage, transaction_id)


def play_bank_app(edits: Edits, stage: Stage, phone: Phone, *, factor: str = POSSESSION) -> dict[str, Any]:
    """Enrol; the phone's own bank app pays; the verdict of the newest transaction."""
    enrolment = enrol(phone, stage.applicant())
    try:
        BankApp(phone, enrolment, edits=edits).pay(ORDER, Means(factor, stage.passcode))
    except Refused:
        if edits is HONEST:
            raise
    return verdict_of(phone, stage, newest(phone, stage, "bank"))


def play_code(script: CodeScript, stage: Stage, phone: Phone) -> dict[str, Any]:
    """A customer's app steps up with a code; the verdict of the newest transaction."""
    script(CodeApp(phone, stage.server))
    return verdict_of(phone, stage, newest(phone, stage, "loginradius"))


def newest(phone: Phone, stage: Stage, dialect: str) -> str:
    """The id of a dialect's newest transaction."""
    found: str = phone.server(stage.server).stub("GET", f"transactions?dialect={dialect}")[0]["transactionId"]
    return found


def verdict_of(phone: Phone, stage: Stage, transaction_id: str) -> dict[str, Any]:
    """The verdict on a transaction's newest attempt, one that was refused at its door too."""
    verdict: dict[str, Any] = phone.server(stage.server).stub(
        "GET", f"transactions/{transaction_id}/verdict?attempt=last"
    )
    return verdict


def summary(name: str, verdict: dict[str, Any]) -> dict[str, Any]:
    """What a run tripped, for people and scripts."""
    failed = [finding for finding in verdict["findings"] if finding["outcome"] == "fail"]
    return {"name": name, "transactionId": verdict["transactionId"], "accepted": verdict["accepted"], "failed": failed}
