"""The biometric prompt: what the sensor meets becomes an authentication token for one operation, or a refusal in the platform's words."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from authenticator.errors import Refused
from device_keys.secure_hardware import AuthenticatorType, AuthToken, SecureHardware

if TYPE_CHECKING:
    from authenticator.state import PhoneState

OUTCOMES = ("match", "no-match", "cancel")


def present_biometric(
    state: PhoneState, hardware: SecureHardware, operation: int, outcome: str, now: datetime
) -> tuple[AuthToken | None, Refused | None]:
    """A token for `operation`, or why there is none."""
    if outcome == "match":
        return hardware.mint_token(
            challenge=operation, authenticator_type=AuthenticatorType.BIOMETRIC, timestamp_ms=0
        ), None
    if outcome == "cancel":
        return None, Refused("user_cancelled", "The biometric prompt was cancelled. Nothing was signed.")
    return None, Refused("no_match", "The biometric did not match. Nothing was signed.")
