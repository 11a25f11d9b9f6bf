"""How long phones make one wait: the platforms' real lockout schedules as data (phone-behaviour sections 3 to 6).

Durations in seconds. What the sources mark as unverified is marked so here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

DAY: Final = 86_400


@dataclass(frozen=True, slots=True)
class LockSchedule:
    """A screen lock's rules. `wait` gives the pause after the n-th counted failure; `limit`: after so many no guess is taken any more.

    `remembered` wrong guesses are not counted again, for `memory` seconds (None: for good); guesses shorter than `shortest` neither.
    `restarts_wait`: a reboot starts the current wait anew. `per_boot`: after so many failures in a row only a reboot helps.
    """

    name: str
    wait: Callable[[int], int]
    limit: int | None = None
    remembered: int = 0
    memory: int | None = None
    shortest: int = 4
    restarts_wait: bool = False
    per_boot: int | None = None


@dataclass(frozen=True, slots=True)
class SensorSchedule:
    """A biometric sensor's rules. After `timed_after` failures it pauses for `pause` seconds (0: no pause); after `hard_after` failures in
    all only the device credential helps. `fallback_after`: failures after which the prompt offers the credential."""

    name: str
    timed_after: int | None
    pause: int
    hard_after: int
    fallback_after: int


@dataclass(frozen=True, slots=True)
class StrongAuthentication:
    """When a biometric no longer suffices, in seconds: since the last credential; since the last unlock; and, both together, since the last
    credential and since the last biometric unlock."""

    credential_within: int | None = None
    unlock_within: int | None = None
    idle_credential: int | None = None
    idle_biometric: int | None = None


def _gatekeeper(failures: int) -> int:
    """Android's Gatekeeper, by failure counter."""
    if failures < 5 or 5 < failures < 10:
        return 0
    if failures < 30:
        return 30
    return 30 * 2 ** ((failures - 30) // 10) if failures < 140 else DAY


_LIMITER_MINUTES: Final = {5: 1, 6: 5, 7: 15, 8: 30, 9: 90}


def _limiter(unique_guesses: int) -> int:
    """Android 16's software limiter, by number of unique wrong guesses; from the tenth on 3^(n−5) minutes."""
    minutes = 3 ** (unique_guesses - 5) if unique_guesses >= 10 else _LIMITER_MINUTES.get(unique_guesses, 0)
    return 60 * minutes


def _table(waits: dict[int, int]) -> Callable[[int], int]:
    return lambda failures: waits.get(failures, 0)


LOCK_SCHEDULES: Final[dict[str, LockSchedule]] = {
    schedule.name: schedule
    for schedule in (
        LockSchedule("android-gatekeeper", _gatekeeper),
        # The limit of 20 guesses is unverified; the source names the result NO_MORE_GUESSES and waits up to the 19th.
        LockSchedule("android-16", _limiter, limit=20, remembered=5, memory=300, restarts_wait=True),
        LockSchedule(
            "ios",
            _table({4: 60, 5: 300, 6: 900, 7: 3600, 8: 3 * 3600, 9: 8 * 3600}),
            limit=10,
            remembered=1,
            restarts_wait=True,
        ),
        LockSchedule(
            "ios-older",
            _table({5: 60, 6: 300, 7: 900, 8: 900, 9: 3600}),
            limit=10,
            remembered=1,
            restarts_wait=True,
        ),
        LockSchedule("fido-pin", _table({}), limit=8, per_boot=3),
    )
}

SENSOR_SCHEDULES: Final[dict[str, SensorSchedule]] = {
    schedule.name: schedule
    for schedule in (
        SensorSchedule("android", timed_after=5, pause=30, hard_after=20, fallback_after=1),
        SensorSchedule("ios", timed_after=None, pause=0, hard_after=5, fallback_after=2),
        SensorSchedule("ios-touch", timed_after=None, pause=0, hard_after=5, fallback_after=1),
        # CTAP's number of tries is the authenticator's own choice.
        SensorSchedule("fido", timed_after=None, pause=0, hard_after=5, fallback_after=3),
    )
}

STRONG_AUTHENTICATION: Final[dict[str, StrongAuthentication]] = {
    "android": StrongAuthentication(credential_within=72 * 3600),
    "ios": StrongAuthentication(unlock_within=48 * 3600, idle_credential=156 * 3600, idle_biometric=4 * 3600),
    "fido": StrongAuthentication(),
}
