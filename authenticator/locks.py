"""The phone's screen lock and biometric sensor: frozen states, and pure transitions that take the instant.

A failed match makes no signature and sends nothing: these lockouts are the phone's own (phone-behaviour section 9), and the bank's count of
attempts is the bank's. The screen lock's secret is not the bank's passcode.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from authenticator.profiles import Platform, Profile
from authenticator.schedules import LOCK_SCHEDULES, SENSOR_SCHEDULES, STRONG_AUTHENTICATION
from device_keys.clock import LAST_INSTANT, Instant
from device_keys.entropy import Entropy


class Result(StrEnum):
    """What came of an attempt at lock or sensor."""

    MATCH = "match"
    NO_MATCH = "no-match"
    CANCEL = "cancel"
    TIMEOUT = "timeout"
    LOCKOUT = "lockout"
    LOCKOUT_PERMANENT = "lockout-permanent"
    NOT_ENROLLED = "not-enrolled"
    NO_CREDENTIAL = "no-credential"
    CREDENTIAL_REQUIRED = "credential-required"
    TOO_SHORT = "too-short"
    DUPLICATE = "duplicate"


@dataclass(frozen=True, slots=True)
class Outcome:
    """A result in the platform's words. `code` None: a callback or no error. `retry_at`: when the next attempt will be evaluated.
    `fallback`: the prompt now offers the device credential."""

    result: Result
    name: str
    code: int | None = None
    retry_at: datetime | None = None
    fallback: bool = False

    @property
    def matched(self) -> bool:
        return self.result is Result.MATCH


# The platforms' own codes: Android BiometricPrompt, iOS LAError, CTAP (unverified).
_CODES: Final[dict[Platform, dict[Result, tuple[str, int | None]]]] = {
    Platform.ANDROID: {
        Result.MATCH: ("onAuthenticationSucceeded", None),
        Result.NO_MATCH: ("onAuthenticationFailed", None),
        Result.TIMEOUT: ("ERROR_TIMEOUT", 3),
        Result.LOCKOUT: ("ERROR_LOCKOUT", 7),
        Result.LOCKOUT_PERMANENT: ("ERROR_LOCKOUT_PERMANENT", 9),
        Result.CREDENTIAL_REQUIRED: ("ERROR_LOCKOUT_PERMANENT", 9),
        Result.CANCEL: ("ERROR_USER_CANCELED", 10),
        Result.NOT_ENROLLED: ("ERROR_NO_BIOMETRICS", 11),
        Result.NO_CREDENTIAL: ("ERROR_NO_DEVICE_CREDENTIAL", 14),
        Result.TOO_SHORT: ("CREDENTIAL_TOO_SHORT", None),
        Result.DUPLICATE: ("DUPLICATE_WRONG_GUESS", None),
    },
    Platform.IOS: {
        Result.MATCH: ("success", None),
        Result.NO_MATCH: ("authenticationFailed", -1),
        Result.TIMEOUT: ("systemCancel", -4),
        Result.LOCKOUT: ("biometryLockout", -8),
        Result.LOCKOUT_PERMANENT: ("biometryLockout", -8),
        Result.CREDENTIAL_REQUIRED: ("biometryLockout", -8),
        Result.CANCEL: ("userCancel", -2),
        Result.NOT_ENROLLED: ("biometryNotEnrolled", -7),
        Result.NO_CREDENTIAL: ("passcodeNotSet", -5),
        Result.TOO_SHORT: ("authenticationFailed", -1),
        Result.DUPLICATE: ("authenticationFailed", -1),
    },
    Platform.FIDO: {
        Result.MATCH: ("CTAP2_OK", None),
        Result.NO_MATCH: ("CTAP2_ERR_UV_INVALID", 0x3F),
        Result.TIMEOUT: ("CTAP2_ERR_USER_ACTION_TIMEOUT", 0x2F),
        Result.LOCKOUT: ("CTAP2_ERR_UV_BLOCKED", 0x3C),
        Result.LOCKOUT_PERMANENT: ("CTAP2_ERR_UV_BLOCKED", 0x3C),
        Result.CREDENTIAL_REQUIRED: ("CTAP2_ERR_UV_BLOCKED", 0x3C),
        Result.CANCEL: ("CTAP2_ERR_OPERATION_DENIED", 0x27),
        Result.NOT_ENROLLED: ("CTAP2_ERR_UV_INVALID", 0x3F),
        Result.NO_CREDENTIAL: ("CTAP2_ERR_PIN_NOT_SET", 0x35),
        Result.TOO_SHORT: ("CTAP2_ERR_PIN_POLICY_VIOLATION", 0x37),
        Result.DUPLICATE: ("CTAP2_ERR_PIN_INVALID", 0x31),
    },
}

# The lock screen's own names, where they are not the prompt's.
_LOCK_CODES: Final[dict[Platform, dict[Result, tuple[str, int | None]]]] = {
    Platform.ANDROID: {
        Result.NO_MATCH: ("CONTINUE_TO_HARDWARE", None),
        Result.LOCKOUT: ("RATE_LIMITED", None),
        Result.LOCKOUT_PERMANENT: ("NO_MORE_GUESSES", None),
    },
    Platform.IOS: {
        Result.LOCKOUT: ("device unavailable", None),
        Result.LOCKOUT_PERMANENT: ("device disabled", None),
    },
    Platform.FIDO: {
        Result.NO_MATCH: ("CTAP2_ERR_PIN_INVALID", 0x31),
        Result.LOCKOUT: ("CTAP2_ERR_PIN_AUTH_BLOCKED", 0x34),
        Result.LOCKOUT_PERMANENT: ("CTAP2_ERR_PIN_BLOCKED", 0x32),
    },
}


@dataclass(frozen=True, slots=True)
class Guess:
    """A wrong guess that is remembered, by its digest."""

    digest: str = field(repr=False)
    at: Instant


@dataclass(frozen=True, slots=True)
class ScreenLock:
    """The device credential. `verifier` empty: none is set. `failures` are the counted ones since the last success."""

    schedule: str
    verifier: str = field(default="", repr=False)
    failures: int = 0
    failures_since_boot: int = 0
    wait_until: Instant | None = None
    wait_seconds: int = 0
    guesses: tuple[Guess, ...] = ()


@dataclass(frozen=True, slots=True)
class Sensor:
    """The biometric sensor. `failures` since the last success or pause, `total_failures` since the last success or credential."""

    schedule: str
    enrolled: int = 1
    failures: int = 0
    total_failures: int = 0
    wait_until: Instant | None = None
    locked: bool = False


@dataclass(frozen=True, slots=True)
class Locks:
    """Lock, sensor, and when each was last used. `first_unlock` is False from a reboot until the credential was given."""

    platform: Platform
    lock: ScreenLock
    sensor: Sensor
    booted_at: Instant
    locked: bool = False
    first_unlock: bool = True
    last_credential_at: Instant | None = None
    last_biometric_at: Instant | None = None


def new_locks(profile: Profile, pin: str, now: datetime, entropy: Entropy) -> Locks:
    """A phone after its set-up: a screen lock with this PIN, one biometric enrolled, unlocked by its credential just now."""
    lock = ScreenLock(profile.screen_lock_schedule, _verifier(pin, entropy))
    return Locks(profile.platform, lock, Sensor(profile.biometric_schedule), now, last_credential_at=now)


def milliseconds_since_boot(locks: Locks, now: datetime) -> int:
    """What an authentication token's timestamp says; never before the boot, even if the phone's clock was set back."""
    return max(0, int((now - locks.booted_at).total_seconds() * 1000))


# --- the device credential ----------------------------------------------------------------------------------------------


def enter_credential(locks: Locks, guess: str, now: datetime) -> tuple[Locks, Outcome]:
    """Try the screen lock. A success unlocks the phone and frees the sensor; during a wait nothing is evaluated or counted."""
    lock, outcome = _try_lock(locks.lock, locks.platform, guess, now)
    if not outcome.matched:
        return replace(locks, lock=lock), outcome
    sensor = replace(locks.sensor, failures=0, total_failures=0, wait_until=None, locked=False)
    opened = replace(locks, lock=lock, sensor=sensor, locked=False, first_unlock=True, last_credential_at=now)
    return opened, outcome


def _try_lock(lock: ScreenLock, platform: Platform, guess: str, now: datetime) -> tuple[ScreenLock, Outcome]:
    rules = LOCK_SCHEDULES[lock.schedule]
    if not lock.verifier:
        return lock, _said(platform, Result.NO_CREDENTIAL, lock=True)
    if rules.limit is not None and lock.failures >= rules.limit:
        return lock, _said(platform, Result.LOCKOUT_PERMANENT, lock=True)
    if lock.wait_until is not None and now < lock.wait_until:
        return lock, replace(_said(platform, Result.LOCKOUT, lock=True), retry_at=lock.wait_until)
    if rules.per_boot is not None and lock.failures_since_boot >= rules.per_boot:
        return lock, _said(platform, Result.LOCKOUT, lock=True)
    if len(guess) < rules.shortest:
        return lock, _said(platform, Result.TOO_SHORT, lock=True)
    if _matches(guess, lock.verifier):
        return ScreenLock(lock.schedule, lock.verifier), _said(platform, Result.MATCH, lock=True)
    return _wrong_guess(lock, platform, guess, now)


def _wrong_guess(lock: ScreenLock, platform: Platform, guess: str, now: datetime) -> tuple[ScreenLock, Outcome]:
    rules = LOCK_SCHEDULES[lock.schedule]
    digest = _digest(guess, lock.verifier[:32])
    kept = tuple(old for old in lock.guesses if rules.memory is None or now < old.at + timedelta(seconds=rules.memory))
    if any(hmac.compare_digest(old.digest, digest) for old in kept):
        return replace(lock, guesses=kept), _said(platform, Result.DUPLICATE, lock=True)
    failures = lock.failures + 1
    wait = rules.wait(failures)
    until = _later(now, wait) if wait else None
    guesses = (*kept, Guess(digest, now))[-rules.remembered :] if rules.remembered else ()
    failed = replace(
        lock,
        failures=failures,
        failures_since_boot=lock.failures_since_boot + 1,
        wait_until=until,
        wait_seconds=wait,
        guesses=guesses,
    )
    if rules.limit is not None and failures >= rules.limit:
        return failed, _said(platform, Result.LOCKOUT_PERMANENT, lock=True)
    return failed, replace(_said(platform, Result.NO_MATCH, lock=True), retry_at=until)


def _later(now: datetime, seconds: int) -> datetime:
    """Saturating: the longest waits end after the last year that a datetime can hold."""
    try:
        return now + timedelta(seconds=seconds)
    except OverflowError:
        return LAST_INSTANT


def set_credential(locks: Locks, pin: str, entropy: Entropy) -> Locks:
    """The screen lock has this PIN; counters start anew."""
    return replace(locks, lock=ScreenLock(locks.lock.schedule, _verifier(pin, entropy)))


def remove_credential(locks: Locks) -> Locks:
    """No screen lock, hence no biometrics either."""
    return replace(locks, lock=ScreenLock(locks.lock.schedule), sensor=Sensor(locks.sensor.schedule, enrolled=0))


# --- the sensor ---------------------------------------------------------------------------------------------------------


def present_biometric(locks: Locks, presented: Result, now: datetime) -> tuple[Locks, Outcome]:
    """What comes of a finger or face at the sensor: `presented` is MATCH, NO_MATCH, CANCEL or TIMEOUT. A cancelled or timed-out prompt is
    no failed match. Any other value is a ValueError."""
    if presented not in (Result.MATCH, Result.NO_MATCH, Result.CANCEL, Result.TIMEOUT):
        raise ValueError(f"presented: expected match, no-match, cancel or timeout, not {presented}")
    refusal = _sensor_refusal(locks, now)
    if refusal is not None:
        return locks, refusal
    if presented in (Result.CANCEL, Result.TIMEOUT):
        return locks, _said(locks.platform, presented)
    if presented is Result.MATCH:
        sensor = replace(locks.sensor, failures=0, total_failures=0, wait_until=None)
        return replace(locks, sensor=sensor, locked=False, last_biometric_at=now), _said(locks.platform, Result.MATCH)
    sensor, outcome = _no_match(locks.sensor, locks.platform, now)
    return replace(locks, sensor=sensor), outcome


def _sensor_refusal(locks: Locks, now: datetime) -> Outcome | None:
    sensor = locks.sensor
    if not locks.lock.verifier:
        return _said(locks.platform, Result.NO_CREDENTIAL)
    if not sensor.enrolled:
        return _said(locks.platform, Result.NOT_ENROLLED)
    if sensor.locked:
        return replace(_said(locks.platform, Result.LOCKOUT_PERMANENT), fallback=True)
    if sensor.wait_until is not None and now < sensor.wait_until:
        return replace(_said(locks.platform, Result.LOCKOUT), retry_at=sensor.wait_until)
    if credential_required(locks, now) is not None:
        return replace(_said(locks.platform, Result.CREDENTIAL_REQUIRED), fallback=True)
    return None


def _no_match(sensor: Sensor, platform: Platform, now: datetime) -> tuple[Sensor, Outcome]:
    rules = SENSOR_SCHEDULES[sensor.schedule]
    failures, total = sensor.failures + 1, sensor.total_failures + 1
    failed = replace(sensor, failures=failures, total_failures=total, wait_until=None)
    if total >= rules.hard_after:
        return replace(failed, locked=True), replace(_said(platform, Result.LOCKOUT_PERMANENT), fallback=True)
    if rules.timed_after is not None and failures >= rules.timed_after:
        until = now + timedelta(seconds=rules.pause)
        paused = replace(failed, failures=0, wait_until=until)
        return paused, replace(_said(platform, Result.LOCKOUT), retry_at=until, fallback=True)
    return failed, replace(_said(platform, Result.NO_MATCH), fallback=failures >= rules.fallback_after)


def enrol_biometric(locks: Locks) -> Locks:
    """One finger or face more; what that does to keys is the hardware's business."""
    return replace(locks, sensor=replace(locks.sensor, enrolled=locks.sensor.enrolled + 1))


def remove_biometrics(locks: Locks) -> Locks:
    """None is left."""
    return replace(locks, sensor=Sensor(locks.sensor.schedule, enrolled=0))


def credential_required(locks: Locks, now: datetime) -> str | None:
    """Why the platform wants the device credential now in place of a biometric, or None."""
    if not locks.first_unlock:
        return "the phone was restarted and not yet unlocked with its credential"
    rules = STRONG_AUTHENTICATION[locks.platform.value]
    credential = _seconds_since(locks.last_credential_at, now, locks.booted_at)
    biometric = _seconds_since(locks.last_biometric_at, now, locks.booted_at)
    if rules.credential_within is not None and credential >= rules.credential_within:
        return f"the credential was last given {rules.credential_within // 3600} h ago or earlier"
    if rules.unlock_within is not None and locks.locked and min(credential, biometric) > rules.unlock_within:
        return f"the phone has been locked for more than {rules.unlock_within // 3600} h"
    if rules.idle_credential is None or rules.idle_biometric is None:
        return None
    if credential > rules.idle_credential and biometric > rules.idle_biometric:
        return (
            f"no passcode for {rules.idle_credential // 3600} h and no biometric for {rules.idle_biometric // 3600} h"
        )
    return None


def _seconds_since(moment: datetime | None, now: datetime, boot: datetime) -> float:
    return (now - (moment or boot)).total_seconds()


# --- the phone ----------------------------------------------------------------------------------------------------------


def lock_screen(locks: Locks) -> Locks:
    """The screen is locked."""
    return replace(locks, locked=True)


def reboot(locks: Locks, now: datetime) -> Locks:
    """Locked, and no biometric until the credential was given; counters stay, and where the platform says so the wait starts again."""
    lock = replace(locks.lock, failures_since_boot=0)
    waiting = lock.wait_until is not None and now < lock.wait_until
    if waiting and LOCK_SCHEDULES[lock.schedule].restarts_wait:
        lock = replace(lock, wait_until=_later(now, lock.wait_seconds))
    return replace(locks, lock=lock, booted_at=now, locked=True, first_unlock=False)


def lockout_report(locks: Locks) -> dict[str, Any]:
    """The counters that the phone puts into what it signs (RTS Art. 4(3)(b) cannot rest on them: phone-behaviour section 9)."""
    return {"screenFailures": locks.lock.failures, "biometricFailures": locks.sensor.total_failures}


def _said(platform: Platform, result: Result, *, lock: bool = False) -> Outcome:
    names = _CODES[platform] | (_LOCK_CODES[platform] if lock else {})
    return Outcome(result, *names[result])


def _verifier(pin: str, entropy: Entropy) -> str:
    """Salt and digest: no more, since what holds a stolen phone's lock is its hardware, and here the sealed store."""
    salt = entropy.bytes("locks.salt", 16).hex()
    return salt + _digest(pin, salt)


def _digest(guess: str, salt: str) -> str:
    return hashlib.pbkdf2_hmac("sha256", guess.encode(), salt.encode(), 1000).hex()


def _matches(guess: str, verifier: str) -> bool:
    return hmac.compare_digest(_digest(guess, verifier[:32]), verifier[32:])
