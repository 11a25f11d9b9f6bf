"""The bank's names, and what it does not publish and this simulator chose (bank.md section 11), in one place."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from server_stub.accounts import IDLE

NAME: Final = "bank"
STEP_UP_PATH: Final = "/v1/oauth2/stepup"
METHODS: Final = ("PASSCODE", "BIOMETRIC")


@dataclass(frozen=True, slots=True)
class BankConstants:
    """What is not published, and chosen here (bank.md section 11)."""

    api_keys: tuple[str, ...] = ("demo-api-key",)
    issued_life: timedelta = timedelta(seconds=240)
    verified_life: timedelta = timedelta(seconds=300)
    access_idle: timedelta = IDLE
    refresh_life: timedelta = timedelta(minutes=30)
    idempotency_life: timedelta = timedelta(hours=24)


BANK: Final = BankConstants()
