"""Lockout schedules, tick by tick (issue 3, point 4; phone-behaviour sections 3 to 6 and 8)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from authenticator.locks import (
    Locks,
    Outcome,
    Result,
    credential_required,
    enrol_biometric,
    enter_credential,
    lock_screen,
    lockout_report,
    milliseconds_since_boot,
    new_locks,
    present_biometric,
    reboot,
    remove_biometrics,
    remove_credential,
    set_credential,
)
from authenticator.profiles import PROFILES
from device_keys.entropy import SeededEntropy

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
PIN = "24680"
TICK = timedelta(microseconds=1)


def phone(profile: str) -> Locks:
    return new_locks(PROFILES[profile], PIN, START, SeededEntropy("locks"))


def fail_until_waiting(locks: Locks, now: datetime, number: int) -> tuple[Locks, Outcome]:
    """The n-th counted failure, each guess a new one."""
    return enter_credential(locks, f"wrong-{number}", now)


def waits_of(profile: str, failures: int) -> list[int]:
    """Seconds of pause after each failure, found by trying at the last microsecond of each pause and at its end."""
    locks, now, waits = phone(profile), START, []
    for number in range(1, failures + 1):
        locks, outcome = fail_until_waiting(locks, now, number)
        assert outcome.result is Result.NO_MATCH
        assert locks.lock.failures == number
        if outcome.retry_at is None:
            waits.append(0)
            continue
        waits.append(int((outcome.retry_at - now).total_seconds()))
        untouched, early = enter_credential(locks, PIN, outcome.retry_at - TICK)
        assert early.result is Result.LOCKOUT, "the right PIN is not evaluated during the wait"
        assert early.retry_at == outcome.retry_at
        assert untouched == locks, "an attempt during the wait is not counted"
        _, due = enter_credential(locks, PIN, outcome.retry_at)
        assert due.matched, "at the end of the wait the PIN is taken again"
        now = outcome.retry_at
    return waits


def test_gatekeeper_schedule_failure_by_failure() -> None:
    expected = [0] * 4 + [30] + [0] * 4 + [30] + [30] * 19
    for failures in range(30, 140):
        expected.append(30 * 2 ** ((failures - 30) // 10))
    assert expected[39] == 60
    assert expected[138] == 30_720
    assert waits_of("pixel-5", 141) == [*expected, 86_400, 86_400]


def test_android_16_limiter_guess_by_guess() -> None:
    minutes = [0, 0, 0, 0, 1, 5, 15, 30, 90, 243, 729, 2187, 6561, 19_683]
    assert waits_of("pixel-9", 14) == [60 * value for value in minutes]


def test_android_16_limiter_counts_unique_guesses_only_and_forgets_them_after_five_minutes() -> None:
    locks, _ = enter_credential(phone("pixel-9"), "11111", START)
    again, repeated = enter_credential(locks, "11111", START + timedelta(seconds=300) - TICK)
    assert (repeated.result, repeated.name, again.lock.failures) == (Result.DUPLICATE, "DUPLICATE_WRONG_GUESS", 1)
    later, forgotten = enter_credential(locks, "11111", START + timedelta(seconds=300))
    assert (forgotten.result, later.lock.failures) == (Result.NO_MATCH, 2)


def test_android_16_limiter_remembers_the_last_five_guesses() -> None:
    locks = phone("pixel-9")
    for guess in ("00001", "00002", "00003", "00004", "00005"):
        locks, _ = enter_credential(locks, guess, START)
    now = START + timedelta(seconds=60)
    assert enter_credential(locks, "00001", now)[1].result is Result.DUPLICATE
    locks, _ = enter_credential(locks, "00006", now)
    assert enter_credential(locks, "00001", now + timedelta(seconds=300))[1].result is Result.NO_MATCH


def test_android_16_limiter_does_not_count_too_short_guesses() -> None:
    locks, outcome = enter_credential(phone("pixel-9"), "123", START)
    assert (outcome.result, outcome.name) == (Result.TOO_SHORT, "CREDENTIAL_TOO_SHORT")
    assert locks.lock.failures == 0


def test_android_16_limiter_takes_no_guess_after_the_twentieth() -> None:
    locks, now = phone("pixel-9"), START
    for number in range(20):
        locks, outcome = fail_until_waiting(locks, now, number)
        now = outcome.retry_at or now
    assert (outcome.result, outcome.name) == (Result.LOCKOUT_PERMANENT, "NO_MORE_GUESSES")
    assert enter_credential(locks, PIN, now + timedelta(days=40_000))[1].result is Result.LOCKOUT_PERMANENT


@pytest.mark.parametrize(
    ("profile", "seconds"),
    [
        ("iphone-17", [0, 0, 0, 60, 300, 900, 3600, 10_800, 28_800]),
        ("iphone-8", [0, 0, 0, 0, 60, 300, 900, 900, 3600]),
    ],
)
def test_ios_schedules_failure_by_failure_then_disabled(profile: str, seconds: list[int]) -> None:
    assert waits_of(profile, 9) == seconds
    locks, now = phone(profile), START
    for number in range(10):
        locks, outcome = fail_until_waiting(locks, now, number)
        now = outcome.retry_at or now
    assert (outcome.result, outcome.name) == (Result.LOCKOUT_PERMANENT, "device disabled")
    assert enter_credential(locks, PIN, now + timedelta(days=365))[1].result is Result.LOCKOUT_PERMANENT


def test_ios_does_not_count_the_same_wrong_passcode_twice_however_late() -> None:
    locks, _ = enter_credential(phone("iphone-17"), "11111", START)
    again, outcome = enter_credential(locks, "11111", START + timedelta(days=3))
    assert (outcome.result, again.lock.failures) == (Result.DUPLICATE, 1)


def test_security_key_pin_blocks_after_three_until_power_cycle_and_after_eight_for_good() -> None:
    locks, codes = phone("security-key"), []
    for number in range(8):
        locks, outcome = fail_until_waiting(locks, START, number)
        codes.append(outcome.code)
        if locks.lock.failures_since_boot == 3:
            assert enter_credential(locks, PIN, START)[1].code == 0x34
            locks = reboot(locks, START)
    assert codes == [0x31] * 7 + [0x32]
    assert enter_credential(reboot(locks, START), PIN, START)[1].code == 0x32


def test_a_success_clears_the_lock_counter() -> None:
    locks = phone("pixel-5")
    for number in range(4):
        locks, _ = fail_until_waiting(locks, START, number)
    locks, outcome = enter_credential(locks, PIN, START)
    assert outcome.matched
    assert (locks.lock.failures, locks.lock.wait_until) == (0, None)


def test_gatekeeper_counter_survives_a_reboot_and_the_wait_goes_on() -> None:
    locks = phone("pixel-5")
    for number in range(5):
        locks, outcome = fail_until_waiting(locks, START, number)
    rebooted = reboot(locks, START + timedelta(seconds=20))
    assert (rebooted.lock.failures, rebooted.lock.wait_until) == (5, outcome.retry_at)


@pytest.mark.parametrize("profile", ["pixel-9", "iphone-17"])
def test_a_reboot_during_a_wait_starts_that_wait_again(profile: str) -> None:
    locks, now = phone(profile), START
    for number in range(5):
        locks, outcome = fail_until_waiting(locks, now, number)
        now = outcome.retry_at if outcome.retry_at and number < 4 else now
    seconds = locks.lock.wait_seconds
    assert seconds in (60, 300)
    later = now + timedelta(seconds=seconds // 2)
    assert reboot(locks, later).lock.wait_until == later + timedelta(seconds=seconds)
    over = now + timedelta(seconds=seconds)
    assert reboot(locks, over).lock.wait_until == locks.lock.wait_until, "a wait that is over does not begin anew"


# --- biometrics ---------------------------------------------------------------------------------------------------------


def show(locks: Locks, result: Result, now: datetime) -> tuple[Locks, Outcome]:
    return present_biometric(locks, result, now)


def test_android_biometrics_pause_30_s_after_every_fifth_failure_and_stop_after_the_twentieth() -> None:
    locks, now, seen = phone("pixel-9"), START, []
    for _ in range(20):
        locks, outcome = show(locks, Result.NO_MATCH, now)
        seen.append(outcome.code)
        if outcome.retry_at is not None:
            assert outcome.retry_at - now == timedelta(seconds=30)
            same, early = show(locks, Result.MATCH, outcome.retry_at - TICK)
            assert (early.result, early.code, same) == (Result.LOCKOUT, 7, locks)
            assert show(locks, Result.MATCH, outcome.retry_at)[1].matched
            now = outcome.retry_at
    assert seen == [None] * 4 + [7] + [None] * 4 + [7] + [None] * 4 + [7] + [None] * 4 + [9]
    stuck, outcome = show(locks, Result.MATCH, now + timedelta(hours=1))
    assert (outcome.code, outcome.fallback) == (9, True)
    freed, _ = enter_credential(stuck, PIN, now + timedelta(hours=1))
    assert show(freed, Result.MATCH, now + timedelta(hours=1))[1].matched


def test_android_single_mismatch_is_a_callback_not_an_error() -> None:
    locks, outcome = show(phone("pixel-9"), Result.NO_MATCH, START)
    assert (outcome.name, outcome.code) == ("onAuthenticationFailed", None)
    assert locks.sensor.total_failures == 1


def test_a_match_clears_both_android_counters() -> None:
    locks = phone("pixel-9")
    for _ in range(4):
        locks, _ = show(locks, Result.NO_MATCH, START)
    locks, outcome = show(locks, Result.MATCH, START)
    assert outcome.matched
    assert (locks.sensor.failures, locks.sensor.total_failures) == (0, 0)


@pytest.mark.parametrize(("result", "android", "ios"), [(Result.CANCEL, 10, -2), (Result.TIMEOUT, 3, -4)])
def test_cancel_and_timeout_are_no_failed_match_and_bear_the_platforms_code(
    result: Result, android: int, ios: int
) -> None:
    for profile, code in (("pixel-9", android), ("iphone-17", ios)):
        locks, outcome = show(phone(profile), result, START)
        assert (outcome.result, outcome.code) == (result, code)
        assert locks == phone(profile)


def test_ios_locks_after_five_failures_in_a_row_until_the_passcode() -> None:
    locks, seen = phone("iphone-17"), []
    for _ in range(5):
        locks, outcome = show(locks, Result.NO_MATCH, START)
        seen.append((outcome.code, outcome.fallback))
    assert seen == [(-1, False), (-1, True), (-1, True), (-1, True), (-8, True)]
    assert show(locks, Result.MATCH, START + timedelta(days=1))[1].code == -8
    freed, _ = enter_credential(locks, PIN, START + timedelta(days=1))
    assert show(freed, Result.MATCH, START + timedelta(days=1))[1].matched


def test_touch_id_offers_the_passcode_after_one_failure() -> None:
    assert show(phone("iphone-8"), Result.NO_MATCH, START)[1].fallback


def test_no_biometrics_or_no_credential_is_told_by_the_platforms_code() -> None:
    for profile, none_enrolled, no_credential in (("pixel-9", 11, 14), ("iphone-17", -7, -5)):
        assert show(remove_biometrics(phone(profile)), Result.MATCH, START)[1].code == none_enrolled
        assert show(remove_credential(phone(profile)), Result.MATCH, START)[1].code == no_credential


def test_a_reboot_leaves_biometrics_locked_until_the_credential() -> None:
    rebooted = reboot(phone("pixel-9"), START)
    assert show(rebooted, Result.MATCH, START)[1].result is Result.CREDENTIAL_REQUIRED
    unlocked, _ = enter_credential(rebooted, PIN, START)
    assert show(unlocked, Result.MATCH, START)[1].matched


def test_android_wants_the_credential_every_72_hours() -> None:
    locks, _ = show(phone("pixel-9"), Result.MATCH, START + timedelta(hours=71))
    due = START + timedelta(hours=72)
    assert credential_required(locks, due - TICK) is None
    assert show(locks, Result.MATCH, due)[1].result is Result.CREDENTIAL_REQUIRED


def test_ios_wants_the_passcode_after_48_hours_locked() -> None:
    locks = lock_screen(phone("iphone-17"))
    limit = START + timedelta(hours=48)
    assert credential_required(locks, limit) is None
    assert credential_required(locks, limit + TICK) is not None


def test_ios_wants_the_passcode_after_156_hours_without_it_and_4_without_a_biometric() -> None:
    locks = phone("iphone-17")
    unlocked_at = START + timedelta(hours=153)
    for day in range(7):
        locks, outcome = show(locks, Result.MATCH, START + timedelta(hours=24 * day))
        assert outcome.matched
    locks, _ = show(locks, Result.MATCH, unlocked_at)
    limit = unlocked_at + timedelta(hours=4)
    assert credential_required(locks, limit) is None
    assert credential_required(locks, limit + TICK) is not None


def test_presenting_nonsense_to_the_sensor_is_an_error_that_names_the_choices() -> None:
    with pytest.raises(ValueError, match="match, no-match, cancel or timeout"):
        present_biometric(phone("pixel-9"), Result.LOCKOUT, START)


# --- the state ----------------------------------------------------------------------------------------------------------


def test_a_changed_pin_replaces_the_old_one() -> None:
    locks = set_credential(phone("pixel-9"), "13579", SeededEntropy("new"))
    assert enter_credential(locks, PIN, START)[1].result is Result.NO_MATCH
    assert enter_credential(locks, "13579", START)[1].matched


def test_counters_are_reported_as_they_stand() -> None:
    locks, _ = enter_credential(phone("pixel-9"), "99999", START)
    locks, _ = show(locks, Result.NO_MATCH, START)
    assert lockout_report(locks) == {"screenFailures": 1, "biometricFailures": 1}


def test_locks_survive_the_store_and_never_show_the_pin() -> None:
    locks, _ = enter_credential(enrol_biometric(phone("pixel-9")), "99999", START)
    stored = msgspec.json.encode(locks)
    assert msgspec.json.decode(stored, type=Locks) == locks
    assert PIN not in repr(locks) + stored.decode()
    assert locks.lock.verifier not in repr(locks)


def test_token_time_counts_from_the_boot_and_is_never_negative() -> None:
    locks = reboot(phone("pixel-9"), START)
    assert milliseconds_since_boot(locks, START + timedelta(seconds=1.5)) == 1500
    assert milliseconds_since_boot(locks, START - timedelta(hours=1)) == 0
