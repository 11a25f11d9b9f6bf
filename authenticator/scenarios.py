"""Scenarios: whole stories of attack, each with the set of checks that it trips. Where a fault trips one check, a story may trip several.

They are played against a server by the flows of `faults.flows`; what a scenario trips is demanded by a test.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Final

import msgspec

from authenticator.approving import client_request, decline, fetch, sign
from authenticator.apps.bank import BankApp
from authenticator.ceremonies import HONEST, Draft, Edits, Scene, same
from authenticator.client import Call
from authenticator.enrolling import enrol
from authenticator.faults import find_fault
from authenticator.faults.circumstances import stranger_session
from authenticator.faults.flows import ORDER, Stage, play, play_bank_payment, verdict_of
from authenticator.faults.response import challenge_for
from authenticator.phone import Phone
from authenticator.state import POSSESSION
from device_keys.messages import Kind, payload_digest, step_up_challenge
from device_keys.orders import read_order

Verdict = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """A story. `trips`: exactly the checks that fail when it is played on `profile`."""

    name: str
    story: str
    trips: tuple[str, ...]
    play: Callable[[Stage, Phone], Verdict]
    profile: str = "pixel-9"

    def to_json(self) -> dict[str, Any]:
        """The row of `stepup-phone scenarios --json`."""
        return {"name": self.name, "story": self.story, "trips": list(self.trips), "profile": self.profile}


# --- how stories are told ------------------------------------------------------------------------------------------------


def _client(stage: Stage, phone: Phone, edits: Edits = HONEST) -> BankApp:
    """An enrolled phone, and a client of the bank that is logged in."""
    client = BankApp(phone, enrol(phone, stage.applicant(), edits=edits))
    client.login(stage.passcode)
    return client


def _evidence(client: BankApp, stage: Stage, transaction_id: str, edits: Edits = HONEST) -> Call:
    """What the phone signs for a transaction, as the client's call."""
    enrolment, step_up = fetch(client.phone, stage.server, transaction_id)
    approval = sign(client.phone, enrolment, step_up, POSSESSION, edits=edits)
    return client_request(client.phone, approval, passcode=stage.passcode, edits=edits)


def _for(call: Call, transaction_id: str) -> Call:
    """The same evidence, offered for another transaction."""
    return replace(call, headers={**call.headers, "X-TransactionId": transaction_id})


def _of_fault(*names: str) -> Callable[[Stage, Phone], Verdict]:
    """A story that one fault, or several together, tell."""
    if len(names) == 1:
        return lambda stage, phone: play(find_fault(names[0]), stage, phone)
    edits = together(*(find_fault(name).edits for name in names))
    return lambda stage, phone: play_bank_payment(edits, stage, phone, biometric=False)


def together(*several: Edits) -> Edits:
    """Several edits one after another at each seam that passes a value on."""
    merged: dict[str, Any] = {}
    for seam in (field.name for field in fields(Edits)):
        chain = [getattr(edits, seam) for edits in several if getattr(edits, seam) is not getattr(HONEST, seam)]
        if len(chain) == 1:
            merged[seam] = chain[0]
        elif chain and getattr(HONEST, seam) is same:
            merged[seam] = _one_after_another(chain)
    return Edits(**merged)


def _one_after_another(chain: list[Any]) -> Any:
    def edit(value: Any, scene: Scene) -> Any:
        for each in chain:
            value = each(value, scene)
        return value

    return edit


def _signs_instead(change: Callable[[dict[str, Any]], dict[str, Any]]) -> Edits:
    """Malware gives the phone another order to show and sign than the bank holds."""

    def edit(draft: Draft, scene: Scene) -> Draft:
        step_up = scene.step_up
        assert step_up is not None, "a draft is signed for a step-up"
        other = change(step_up.payload)
        order = read_order(other)
        assert order is not None, "the stories' orders have a known shape"
        payment = {**(draft.payment or {}), "payeeName": order.payee_name}
        payment["total"] = {"currency": order.currency, "value": order.amount}
        return msgspec.structs.replace(draft, challenge=challenge_for(step_up, step_up.nonce, other), payment=payment)

    return Edits(draft=edit)


# --- the stories ---------------------------------------------------------------------------------------------------------


def _stolen(stage: Stage, phone: Phone) -> Verdict:
    client = _client(stage, phone)
    approved, stolen_for = client.start(ORDER), client.start(ORDER)
    client.send(_for(_evidence(client, stage, approved), stolen_for))
    return verdict_of(phone, stage, stolen_for)


def _replayed_after_use(stage: Stage, phone: Phone) -> Verdict:
    client = _client(stage, phone)
    transaction_id = client.start(ORDER)
    call = _evidence(client, stage, transaction_id)
    client.step_up(call)
    client.send(call)
    return verdict_of(phone, stage, transaction_id)


def _replayed_on_another_user(stage: Stage, phone: Phone) -> Verdict:
    client = _client(stage, phone)
    call = _evidence(client, stage, client.start(ORDER))
    scene = Scene(phone, phone.server(stage.server), client.enrolment, phone.now())
    thief, credentials = stranger_session(scene)
    target = thief.start(ORDER)
    thief.send(_for(replace(call, body=credentials), target))
    return verdict_of(phone, stage, target)


def _signed_other(
    change: Callable[[dict[str, Any]], dict[str, Any]], order: dict[str, Any] = ORDER
) -> Callable[[Stage, Phone], Verdict]:
    def told(stage: Stage, phone: Phone) -> Verdict:
        client = _client(stage, phone)
        transaction_id = client.start(order)
        client.send(_evidence(client, stage, transaction_id, _signs_instead(change)))
        return verdict_of(phone, stage, transaction_id)

    return told


def _login_for_payment(draft: Draft, scene: Scene) -> Draft:
    step_up = scene.step_up
    assert step_up is not None, "a draft is signed for a step-up"
    digest = payload_digest({"purpose": "log in", "user": scene.enrolment.user})
    challenge = step_up_challenge(Kind.ACCOUNT_ACCESS, step_up.nonce, step_up.transaction_id, digest)
    return msgspec.structs.replace(draft, type="webauthn.get", challenge=challenge, payment=None)


def _declined_then_header(stage: Stage, phone: Phone) -> Verdict:
    """The phone says no; then it is made to sign all the same, and the client's call carries the signature."""
    client = _client(stage, phone)
    transaction_id = client.start(ORDER)
    decline(phone, stage.server, transaction_id)
    client.send(_evidence(client, stage, transaction_id))
    return verdict_of(phone, stage, transaction_id)


def _old_phone(stage: Stage, phone: Phone) -> Verdict:
    client = _client(stage, phone)
    transaction_id = client.start(ORDER)
    call = _evidence(client, stage, transaction_id)
    with tempfile.TemporaryDirectory() as home:
        new = phone.another(Path(home))
        enrol(new, stage.applicant())
        new.close()
    client.send(call)
    return verdict_of(phone, stage, transaction_id)


def _cloned(stage: Stage, phone: Phone) -> Verdict:
    """The phone's storage is copied, secret included; the owner pays once, then the copy does."""
    client = _client(stage, phone)
    with tempfile.TemporaryDirectory() as home:
        copy = Path(home) / "clone"
        shutil.copytree(phone.home, copy)
        client.step_up(_evidence(client, stage, client.start(ORDER)))
        clone = phone.twin(copy)
        transaction_id = client.start(ORDER)
        enrolment, step_up = fetch(clone, stage.server, transaction_id)
        approval = sign(clone, enrolment, step_up, POSSESSION)
        client.send(client_request(clone, approval, passcode=stage.passcode))
        clone.close()
    return verdict_of(phone, stage, transaction_id)


def _five_wrong_then_right(stage: Stage, phone: Phone) -> Verdict:
    client = _client(stage, phone)
    transaction_id = client.start(ORDER)
    for _ in range(5):
        call = _evidence(client, stage, transaction_id)
        client.send(replace(call, body={**(call.body or {}), "passcode": "000000"}))
    last = client.start(ORDER)
    client.send(_evidence(client, stage, last))
    return verdict_of(phone, stage, last)


def _one_cent_more(order: dict[str, Any]) -> dict[str, Any]:
    return {**order, "amount": "10.01"}


def _look_alike(order: dict[str, Any]) -> dict[str, Any]:
    return {**order, "payee": {**order["payee"], "name": order["payee"]["name"].replace("A", "А")}}


def _reordered(order: dict[str, Any]) -> dict[str, Any]:
    return {**order, "payments": list(reversed(order["payments"]))}


BATCH: Final = {
    "payments": [
        {
            "amount": "10.00",
            "currency": "GBP",
            "payee": {"name": "ACME Ltd", "sortCode": "112233", "accountNumber": "12345678"},
        },
        {
            "amount": "20.00",
            "currency": "GBP",
            "payee": {"name": "Widgets plc", "sortCode": "445566", "accountNumber": "87654321"},
        },
    ]
}

_ALL: Final = (
    Scenario(
        name="stolen-assertion",
        story="An approval for one payment is offered for another of the same user, amount and payee.",
        trips=("challenge.transaction", "binding.order"),
        play=_stolen,
    ),
    Scenario(
        name="replayed-after-use",
        story="The call of an accepted step-up is sent again.",
        trips=("transaction.issued", "assertion.counter"),
        play=_replayed_after_use,
    ),
    Scenario(
        name="replayed-on-another-user",
        story="A thief with an account of their own offers the victim's approval for the thief's payment.",
        trips=("credential.user", "challenge.transaction", "binding.order"),
        play=_replayed_on_another_user,
    ),
    Scenario(
        name="amount-raised",
        story="The phone showed and signed one cent more than the bank's order.",
        trips=("binding.order", "binding.amount"),
        play=_signed_other(_one_cent_more),
    ),
    Scenario(
        name="payee-look-alike",
        story="The phone showed and signed a payee whose name has a Cyrillic letter.",
        trips=("binding.order", "binding.payee"),
        play=_signed_other(_look_alike),
    ),
    Scenario(
        name="batch-reordered",
        story="Two payments of a batch changed places between the bank and the phone.",
        trips=("binding.order", "binding.payee"),
        play=_signed_other(_reordered, BATCH),
    ),
    Scenario(
        name="access-for-payment",
        story="The user was asked to log in; what they signed is offered for a payment.",
        trips=("assertion.type", "binding.order", "binding.amount", "binding.payee", "binding.context"),
        play=lambda stage, phone: play_bank_payment(Edits(draft=_login_for_payment), stage, phone, biometric=False),
    ),
    Scenario(
        name="declined-then-header",
        story="The user declined on the phone; the client's call brings a signature made after that.",
        trips=("evidence.approved",),
        play=_declined_then_header,
    ),
    Scenario(
        name="old-phone",
        story="The user enrolled a new phone; the old one's approval still arrives.",
        trips=("credential.active",),
        play=_old_phone,
    ),
    Scenario(
        name="cloned-phone",
        story="The phone's storage was copied; the owner has paid since, now the copy does.",
        trips=("assertion.counter",),
        play=_cloned,
    ),
    Scenario(
        name="rooted-phone",
        story="The bootloader is unlocked, and the system on it is not the maker's.",
        trips=("attestation.verified_boot", "attestation.device_locked"),
        play=_of_fault("unverified-boot", "unlocked-bootloader"),
    ),
    Scenario(
        name="wrong-app",
        story="A repackaged app, signed by somebody else, enrolled the phone.",
        trips=("attestation.application",),
        play=_of_fault("repackaged-app"),
    ),
    Scenario(
        name="expired-attestation",
        story="The batch certificate had expired when the phone was enrolled.",
        trips=("attestation.validity",),
        play=_of_fault("expired-batch"),
    ),
    Scenario(
        name="revoked-attestation",
        story="The maker revoked the batch that this phone is from.",
        trips=("attestation.revocation",),
        play=_of_fault("revoked-batch"),
    ),
    Scenario(
        name="emulator",
        story="The phone is an emulator: its keys live in software, and no maker answers for them.",
        trips=(
            "attestation.chain",
            "attestation.security_level",
            "attestation.key_origin",
            "attestation.purpose",
            "attestation.verified_boot",
            "attestation.device_locked",
            "attestation.patch_level",
            "attestation.gate",
        ),
        profile="emulator",
        play=lambda stage, phone: play_bank_payment(HONEST, stage, phone, biometric=False),
    ),
    Scenario(
        name="skewed-clock",
        story="The phone's clock is seven minutes fast.",
        trips=("challenge.skew",),
        play=_of_fault("skewed-clock"),
    ),
    Scenario(
        name="five-wrong-then-right",
        story="Five wrong passcodes, then the right one.",
        trips=("user.not_blocked",),
        play=_five_wrong_then_right,
    ),
    Scenario(
        name="delivered-too-late",
        story="The approval arrives when the nonce's two minutes are over.",
        trips=("challenge.fresh",),
        play=_of_fault("late-assertion"),
    ),
)

SCENARIOS: Final[dict[str, Scenario]] = {scenario.name: scenario for scenario in _ALL}
