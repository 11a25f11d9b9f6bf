"""A rule's answer, and the few ways to make one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

from server_stub.verdict import Grade

PASS: Final = "pass"  # noqa: S105
FAIL: Final = "fail"
NOT_APPLICABLE: Final = "not_applicable"
UNDETERMINED: Final = "undetermined"

_STRENGTH: Final = {Grade.PROVED: 4, Grade.SIGNED: 3, Grade.LOGGED: 2, Grade.DECLARED: 1, Grade.NONE: 0}


class Ruling(NamedTuple):
    """What was found for one rule; `findings` are the ids of the checks behind it. Grade `none` goes with undetermined only."""

    verdict: str
    grade: Grade
    reason: str | None = None
    findings: tuple[str, ...] = ()


def passes(grade: Grade, *findings: str, reason: str | None = None) -> Ruling:
    """Every needed input was there, and the obligation is met; no evidence never passes."""
    if grade is Grade.NONE:
        return Ruling(UNDETERMINED, Grade.NONE, reason or "there is no evidence either way", findings)
    return Ruling(PASS, grade, reason, findings)


def fails(reason: str, grade: Grade, *findings: str) -> Ruling:
    """Evidence contradicts the obligation."""
    return Ruling(FAIL, grade, reason, findings)


def absent(reason: str, *findings: str) -> Ruling:
    """The article's trigger is absent: `reason` names the condition; the absence is the server's own observation."""
    return Ruling(NOT_APPLICABLE, Grade.LOGGED, reason, findings)


def unknown(reason: str, *findings: str) -> Ruling:
    """A needed input is missing, unverifiable or stale, or a rule that this one needs did not pass: `reason` says which."""
    return Ruling(UNDETERMINED, Grade.NONE, reason, findings)


def weakest(grades: Iterable[Grade]) -> Grade:
    """The weakest of some grades (rule of grading a); `none` where there are none."""
    return min(grades, key=lambda grade: _STRENGTH[grade], default=Grade.NONE)


def stronger(one: Grade, other: Grade) -> bool:
    """Whether `one` is strictly better evidence than `other`."""
    return _STRENGTH[one] > _STRENGTH[other]
