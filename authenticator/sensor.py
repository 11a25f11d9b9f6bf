"""Lock and sensor joined to the secure hardware: what is presented becomes an authentication token for one operation, or a refusal.

The screen lock's PIN is not the bank's passcode. A command of the headless phone implies an owner who holds the phone and has unlocked it,
so the platform's deadlines for giving the PIN again are met by `hold`; failed attempts count all the same.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from authenticator import locks as rules
from authenticator.errors import Refused, UsageError
from authenticator.locks import Locks, Outcome, Result
from authenticator.profiles import PROFILES
from device_keys.clock import rfc3339
from device_keys.secure_hardware import AuthenticatorType, AuthToken

if TYPE_CHECKING:
    from authenticator.phone import Phone
    from authenticator.state import PhoneState

DEFAULT_PIN: Final = "1234"
PRESENTED: Final = (Result.MATCH, Result.NO_MATCH, Result.CANCEL, Result.TIMEOUT)
_WORDS: Final = {
    Result.NO_MATCH: "The biometric did not match.",
    Result.CANCEL: "The prompt was cancelled.",
    Result.TIMEOUT: "Nobody touched the sensor in time.",
    Result.LOCKOUT: "Too many failed matches.",
    Result.LOCKOUT_PERMANENT: "The sensor is locked until the screen lock's PIN is given (stepup-phone unlock).",
    Result.CREDENTIAL_REQUIRED: "The phone wants the screen lock's PIN first (stepup-phone unlock).",
    Result.NOT_ENROLLED: "No biometric is enrolled on this phone.",
    Result.NO_CREDENTIAL: "This phone has no screen lock, hence no biometrics.",
    Result.TOO_SHORT: "The PIN is too short.",
    Result.DUPLICATE: "This wrong PIN was tried already; it is not counted again.",
}


def locks_of(phone: Phone, state: PhoneState, now: datetime) -> Locks:
    """The phone's lock and sensor, as after its set-up where they were never used."""
    if state.locks is None:
        state.locks = rules.new_locks(PROFILES[state.profile], DEFAULT_PIN, now, phone.entropy)
    return state.locks


def hold(locks: Locks, now: datetime) -> Locks:
    """The owner has the phone in hand and has unlocked it with the PIN; what failed attempts have locked stays locked."""
    return replace(locks, locked=False, first_unlock=True, last_credential_at=now)


def present_biometric(
    phone: Phone, state: PhoneState, operation: int, outcome: str, now: datetime, *, held: bool = True
) -> tuple[AuthToken | None, Refused | None]:
    """A token for `operation`, or why there is none; counters and waits are kept in `state` either way."""
    if outcome not in PRESENTED:
        raise UsageError(f"--biometric: expected one of {', '.join(PRESENTED)}", field="--biometric")
    locks = locks_of(phone, state, now)
    state.locks, result = rules.present_biometric(hold(locks, now) if held else locks, Result(outcome), now)
    if not result.matched:
        return None, refused(result, "Nothing was signed.")
    token = phone.hardware.mint_token(
        challenge=operation,
        authenticator_type=AuthenticatorType.BIOMETRIC,
        timestamp_ms=rules.milliseconds_since_boot(state.locks, now),
    )
    return token, None


def refused(outcome: Outcome, consequence: str, *, words: str | None = None) -> Refused:
    """An outcome in words (by default those for the sensor), with the platform's own name and code for it."""
    code = "" if outcome.code is None else f" {outcome.code}"
    words = words or _WORDS.get(outcome.result, "The attempt failed.")
    wait = "" if outcome.retry_at is None else f" Try again at {rfc3339(outcome.retry_at)}."
    return Refused(outcome.result.replace("-", "_"), f"{words}{wait} {consequence} ({outcome.name}{code})")


def unlock(phone: Phone, pin: str) -> None:
    """The screen lock opens, and the sensor is free again; `Refused` for a wrong PIN, which counts."""
    with phone.edit() as state:
        state.locks, outcome = rules.enter_credential(locks_of(phone, state, phone.now()), pin, phone.now())
    if outcome.result is Result.NO_MATCH:
        raise refused(outcome, "The phone stays locked.", words="That is not the PIN.")
    if not outcome.matched:
        raise refused(outcome, "The phone stays locked.")


def lockout_report(state: PhoneState) -> dict[str, Any]:
    """The local failure counters that the phone puts into what it signs (phone-behaviour section 9)."""
    return (
        rules.lockout_report(state.locks) if state.locks is not None else {"screenFailures": 0, "biometricFailures": 0}
    )
