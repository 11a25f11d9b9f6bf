"""Short words for the screen: durations, instants, money. Pure."""

from __future__ import annotations

from datetime import datetime


def duration(seconds: float) -> str:
    """`0:30`, `4:12`, `2:00:00`, `3 d 4 h`; never below zero, and rounded up, so that 0:00 means over."""
    left = max(0, -int(-seconds // 1))
    if left >= 86_400:
        days, rest = divmod(left, 86_400)
        return f"{days} d {rest // 3600} h"
    if left >= 3600:
        return f"{left // 3600}:{left % 3600 // 60:02}:{left % 60:02}"
    return f"{left // 60}:{left % 60:02}"


def bar(share: float, width: int) -> str:
    """`████░░`, so many of `width` cells as the share says."""
    full = round(max(0.0, min(1.0, share)) * width)
    return "█" * full + "░" * (width - full)


def clock_time(instant: datetime | None) -> str:
    """`09:41`, in UTC as everything here; `--:--` while there is no clock."""
    return "--:--" if instant is None else f"{instant:%H:%M}"


def grouped(code: str) -> str:
    """`123 456`."""
    half = (len(code) + 1) // 2
    return f"{code[:half]} {code[half:]}" if len(code) >= 6 else code


def plural(number: int, noun: str) -> str:
    """`1 key`, `2 keys`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


_OUTCOMES = {
    "no-match": "No match.",
    "cancel": "Cancelled.",
    "timeout": "Nobody touched the sensor in time.",
    "lockout": "Too many tries.",
    "lockout-permanent": "The sensor is off until the PIN is given.",
    "credential-required": "The phone wants its PIN first.",
    "not-enrolled": "No finger or face is enrolled.",
    "no-credential": "This phone has no screen lock.",
    "too-short": "Too short: four digits at least.",
    "duplicate": "The same wrong PIN again; it is not counted twice.",
}


def outcome(result: str, *, pin: bool = False) -> str:
    """What came of an attempt at lock or sensor, for the screen."""
    if pin and result == "no-match":
        return "Wrong PIN."
    return _OUTCOMES.get(result, "That did not work.")
