"""Named misbehaviours: each an edit of a message or of the phone, applied from outside, with the one check that it must trip.

Honest code knows nothing of them: a fault's edits pass through the seams of `ceremonies.Edits`;
the tables stand in the modules beside this one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

import msgspec

from authenticator.ceremonies import HONEST, Draft, Edit, Edits, Scene
from authenticator.client import Call

# What a customer's app does with one-time codes; it is given a `codes.CodeApp`.
CodeScript = Callable[[Any], None]

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
    LOGINRADIUS_CODE = "loginradius-code"


ANDROID: Final = ("pixel-9", "pixel-9-strongbox", "pixel-5")
IPHONES: Final = ("iphone-17", "iphone-14", "iphone-8")
PHONES: Final = ANDROID + IPHONES
ANY_PHONE: Final = PHONES


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One misbehaviour. `check` is the id of the check that it trips on each of `profiles` in its `flow`."""

    name: str
    simulates: str
    attack: str
    check: str
    flow: Flow = Flow.BANK_PAYMENT
    profiles: tuple[str, ...] = PHONES
    edits: Edits = field(default=HONEST, repr=False)
    code_script: CodeScript | None = field(default=None, repr=False)
    honest_code_script: CodeScript | None = field(default=None, repr=False)

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


# --- building blocks for edits --------------------------------------------------------------------------------------------


def payment(**members: Any) -> Edit[Draft]:
    """The signed payment member says something else."""
    return lambda draft, scene: msgspec.structs.replace(draft, payment={**(draft.payment or {}), **members})


def device(**members: Any) -> Edit[Draft]:
    """The signed device member says something else."""
    return lambda draft, scene: msgspec.structs.replace(draft, device={**draft.device, **members})


def draft(**values: Any) -> Edit[Draft]:
    """The draft has other values."""
    return lambda honest, scene: msgspec.structs.replace(honest, **values)


def advance_server(seconds: float) -> Edit[Call]:
    """Time passes between signing and the client's call."""

    def advance(call: Call, scene: Scene) -> Call:
        scene.server.stub("POST", "clock/advance", {"seconds": seconds})
        return call

    return advance
