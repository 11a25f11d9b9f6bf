"""Named misbehaviours: each an edit of a message or of the phone, applied from outside, with the one check that it must trip.

Honest code knows nothing of this table. A fault is a row of `FAULTS`; its edits pass through the seams of `ceremonies.Edits`.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from authenticator.attestation_faults import ATTESTATION_FAULTS, AttestationFault
from authenticator.ceremonies import HONEST, Draft, Edit, Edits, Scene, same
from authenticator.client import Call
from authenticator.edits import honest
from authenticator.errors import UsageError
from device_keys.clock import parse_instant, rfc3339

if TYPE_CHECKING:
    from authenticator.app_maker import AppClaims
    from authenticator.maker import Claims
    from device_keys.messages import Assertion

ENROL, APPROVE, SIGN_ONLY, PAY, ATTEST = "enrol", "approve", "approve --sign-only", "pay", "attest"
_MAKING: Final = frozenset({"key", "registration", "claims", "attested", "app_claims"})
_SIGNING: Final = frozenset({"before", "draft", "app_attest", "assertion", "after"})
# Which seams each command passes.
SEAMS: Final = {
    ENROL: _MAKING | {"enrolment", "enrolled"},
    APPROVE: _SIGNING,
    SIGN_ONLY: _SIGNING | {"request"},
    PAY: _SIGNING | {"request", "bank_app"},
    ATTEST: _MAKING,
}


class Flow(StrEnum):
    """The run in which a fault trips its check (DESIGN section 5)."""

    BANK_PAYMENT = "bank-payment"
    BANK_APP = "bank-app"
    ACCOUNT_ACCESS = "account-access"


ANDROID: Final = ("pixel-9", "pixel-9-strongbox", "pixel-5")
IPHONES: Final = ("iphone-17", "iphone-14", "iphone-8")
PHONES: Final = ANDROID + IPHONES


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One misbehaviour. `check` is the id of the check that it trips on each of `profiles` in its `flow`."""

    name: str
    simulates: str
    attack: str
    check: str
    flow: Flow = Flow.BANK_PAYMENT
    profiles: tuple[str, ...] = PHONES
    edits: Edits = field(repr=False)

    def to_json(self) -> dict[str, Any]:
        """The row of `stepup-phone faults --json`."""
        return {
            "name": self.name,
            "simulates": self.simulates,
            "attack": self.attack,
            "check": self.check,
            "flow": str(self.flow),
            "profiles": list(self.profiles),
        }

    def acts_in(self, command: str) -> bool:
        """Whether the command passes a seam that this fault edits; elsewhere the phone behaves honestly and says so."""
        return any(getattr(self.edits, seam) is not getattr(HONEST, seam) for seam in SEAMS[command])


def find_fault(name: str) -> Fault:
    """The fault of that name; `UsageError` points to the list."""
    if name not in FAULTS:
        raise UsageError(f"--fault: no fault is called {name!r}; stepup-phone faults lists them", field="--fault")
    return FAULTS[name]


# --- building blocks for edits --------------------------------------------------------------------------------------------


def payment(**members: Any) -> Edit[Draft]:
    """The signed payment member says something else."""
    return lambda draft, scene: replace(draft, payment={**(draft.payment or {}), **members})


def device(**members: Any) -> Edit[Draft]:
    """The signed device member says something else."""
    return lambda draft, scene: replace(draft, device={**draft.device, **members})


def draft(**values: Any) -> Edit[Draft]:
    """The draft has other values."""
    return lambda honest, scene: replace(honest, **values)


def advance_server(seconds: float) -> Edit[Call]:
    """Time passes between signing and the client's call."""

    def advance(call: Call, scene: Scene) -> Call:
        scene.server.stub("POST", "clock/advance", {"seconds": seconds})
        return call

    return advance


# --- the edits ------------------------------------------------------------------------------------------------------------


def _one_unit_more(draft: Draft, scene: Scene) -> Draft:
    total = dict((draft.payment or {}).get("total", {}))
    value = Decimal(str(total.get("value", "0")))
    total["value"] = str(value + Decimal(1).scaleb(int(value.as_tuple().exponent)))
    return payment(total=total)(draft, scene)


def _look_alike(draft: Draft, scene: Scene) -> Draft:
    name = str((draft.payment or {}).get("payeeName", ""))
    lookalikes = str.maketrans("aceopxyABCEHKMOPTX", "асеорхуАВСЕНКМОРТХ")
    changed = name.translate(lookalikes)
    return payment(payeeName=changed if changed != name else f"{name}.")(draft, scene)


def _forged(assertion: Assertion, scene: Scene) -> Assertion:
    """A valid signature over the same bytes, by a key that nobody enrolled."""
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.derive_private_key(int.from_bytes(hashlib.sha256(b"forger").digest(), "big") >> 1, ec.SECP256R1())
    data = assertion.authenticator_data + hashlib.sha256(assertion.client_data_json).digest()
    return replace(assertion, signature=key.sign(data, ec.ECDSA(hashes.SHA256(), deterministic_signing=True)))


def _skewed(draft: Draft, scene: Scene) -> Draft:
    signed_at = parse_instant(str(draft.device["signedAt"]), "signedAt") + timedelta(minutes=7)
    return device(signedAt=rfc3339(signed_at))(draft, scene)


def _wrong_passcode(call: Call, scene: Scene) -> Call:
    body = dict(call.body or {})
    passcode = str(body.get("passcode") or "")
    body["passcode"] = passcode[:-1] + ("0" if passcode[-1:] != "0" else "1")
    return replace(call, body=body)


def _no_evidence(call: Call, scene: Scene) -> Call:
    headers = {name: value for name, value in call.headers.items() if name != "X-Device-Assertion"}
    return replace(call, headers=headers)


_TABLE: Final = (
    Fault(
        name="altered-amount",
        simulates="the signed amount is one smallest unit more than the order's",
        attack="malware raises the amount between display and signature",
        check="binding.amount",
        edits=Edits(draft=_one_unit_more),
    ),
    Fault(
        name="altered-payee",
        simulates="the signed payee's name has look-alike letters",
        attack="the payee is replaced by one that looks the same",
        check="binding.payee",
        edits=Edits(draft=_look_alike),
    ),
    Fault(
        name="wrong-passcode",
        simulates="the passcode's last digit is wrong",
        attack="a thief has the phone and guesses the passcode",
        check="secret.correct",
        edits=Edits(request=_wrong_passcode),
    ),
    Fault(
        name="forged-signature",
        simulates="the signature is another key's",
        attack="the evidence is made up without the phone",
        check="assertion.signature",
        edits=Edits(assertion=_forged),
    ),
    Fault(
        name="wrong-origin",
        simulates="the client data names another origin",
        attack="a phishing site relays the bank's challenge",
        check="assertion.origin",
        edits=Edits(draft=draft(origin="https://stepup-simulator.example")),
    ),
    Fault(
        name="skewed-clock",
        simulates="the phone's clock is seven minutes fast",
        attack="evidence is dated ahead, to be used later",
        check="challenge.skew",
        edits=Edits(draft=_skewed),
    ),
    Fault(
        name="late-assertion",
        simulates="the evidence arrives after the nonce's life",
        attack="a captured response is held back and used when convenient",
        check="challenge.fresh",
        edits=Edits(after=advance_server(130)),
    ),
    Fault(
        name="no-evidence",
        simulates="the client's call carries no device evidence",
        attack="the passcode is used without the phone",
        check="evidence.present",
        edits=Edits(request=_no_evidence),
    ),
)


def _at_enrolment(defect: AttestationFault) -> Fault:
    """A defective attestation as a fault of enrolment: it is about one factor's key, or about the app."""

    def claims(honest_claims: Claims, scene: Scene) -> Claims:
        about = scene.plan is not None and scene.plan.factor == defect.factor
        return defect.claims(honest_claims) if about else honest_claims

    def app_claims(honest_claims: AppClaims, scene: Scene) -> AppClaims:
        return defect.app_claims(honest_claims)

    return Fault(
        name=defect.name,
        simulates=defect.simulates,
        attack=defect.attack,
        check=defect.check,
        profiles=defect.profiles,
        edits=Edits(
            claims=same if defect.claims is honest else claims,
            app_claims=same if defect.app_claims is honest else app_claims,
        ),
    )


FAULTS: Final[dict[str, Fault]] = {
    fault.name: fault for fault in (*_TABLE, *map(_at_enrolment, ATTESTATION_FAULTS.values()))
}
