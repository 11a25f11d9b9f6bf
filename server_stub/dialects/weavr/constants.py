"""What Weavr does not publish and this simulator chose (weavr.md section 12), in one place; and the two APIs as values."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from server_stub.accounts import IDLE
from server_stub.blocking import BlockingRule

NAME: Final = "weavr"
SMS: Final = "SMS"
AUTHY: Final = "AUTHY"
BIOMETRIC: Final = "BIOMETRIC"
OTP_CHANNELS: Final = (SMS,)
PUSH_CHANNELS: Final = (AUTHY, BIOMETRIC)


@dataclass(frozen=True, slots=True)
class WeavrConstants:
    """Limits, lifetimes and names that no document gives. `programmes`: API key → programme."""

    programmes: Mapping[str, str] = field(
        default_factory=lambda: {"demo-api-key": "demo", "second-api-key": "second"}, hash=False
    )
    idle: timedelta = IDLE
    retry_wait: timedelta = timedelta(seconds=15)
    challenges_per_session: int = 2
    challenge_life: timedelta = timedelta(minutes=5)
    wrong_codes: int = 5
    lock: timedelta = timedelta(minutes=30)
    payment_challenges: int = 5
    push_enrolments: int = 5
    call_ref_length: int = 255
    idempotency_life: timedelta = timedelta(hours=24)
    idempotency_lease: timedelta = timedelta(seconds=60)
    passwords_remembered: int = 5
    # Numbers of the EEA and the United Kingdom.
    calling_codes: tuple[str, ...] = (
        "30", "31", "32", "33", "34", "351", "352", "353", "354", "356", "357", "358", "359", "36", "370", "371", "372", "385", "386",
        "39", "40", "420", "421", "423", "43", "44", "45", "46", "47", "48", "49",
    )  # fmt: skip


WEAVR: Final = WeavrConstants()
# Wrong passwords, codes and pushes count together; the fifth in a row blocks (weavr.md 7, 12.3 to 12.5).
LOCK_RULE: Final = BlockingRule(
    failures=WEAVR.wrong_codes,
    duration=WEAVR.lock,
    permanent_after=0,
    basis="30 minutes, published for failed logins and biometric challenges",
)
MOBILE: Final = re.compile(r"\+[1-9][0-9]{6,14}\Z")


@dataclass(frozen=True, slots=True)
class Surface:
    """One of the two APIs: where its paths begin, and where the other answers differently."""

    name: str
    base: str

    @property
    def multi(self) -> bool:
        return self.name == "multi"


MULTI: Final = Surface("multi", "/multi")
PAYMENT_RUN: Final = Surface("payment-run", "/payment-run/v1")
