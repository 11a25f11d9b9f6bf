"""A rule's answer, and the few ways to make one.

A pass rests on evidence, by construction: `passes` takes what was observed (`Seen`), what an operator declared (`Declared`), or another
rule's pass, and nothing else. A value that is built into this product (`BuiltIn`) may be compared with or printed; it is no evidence, and
`passes` refuses it. That an obligation is not applicable needs a reason from a closed list (`Why`).
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Any, Final, Generic, NamedTuple, TypeVar

from server_stub.evidence import Facts
from server_stub.log_chain import LogEntry
from server_stub.rules.probes import ProbeResult
from server_stub.verdict import Finding, Grade, Outcome

PASS: Final = "pass"  # noqa: S105 (a verdict, no password)
FAIL: Final = "fail"
NOT_APPLICABLE: Final = "not_applicable"
UNDETERMINED: Final = "undetermined"

_STRENGTH: Final = {Grade.PROVED: 4, Grade.SIGNED: 3, Grade.LOGGED: 2, Grade.DECLARED: 1, Grade.NONE: 0}
_WORST_FIRST: Final = {FAIL: 0, UNDETERMINED: 1, PASS: 2, NOT_APPLICABLE: 3}

T = TypeVar("T")


class Ruling(NamedTuple):
    """What was found for one rule; `findings` are the ids of the checks behind it. Grade `none` goes with undetermined only.

    `capped_by`: the rule that this one cannot be stronger than, where that is why it is what it is.
    """

    verdict: str
    grade: Grade
    reason: str | None = None
    findings: tuple[str, ...] = ()
    capped_by: str | None = None


class Seen(NamedTuple):
    """Something that was observed: how well it is evidenced, and the ids of the checks behind it. Only `seen` makes one."""

    grade: Grade
    findings: tuple[str, ...]


class Declared(NamedTuple):
    """What an operator stated, with where that is written down and its date (ISO 8601). Graded `declared`, never more."""

    statement: str
    reference: str
    dated: str

    @property
    def words(self) -> str:
        """For a reason: the statement, its reference and date."""
        return f"{self.statement} ({self.reference}, {self.dated})"


class BuiltIn(NamedTuple, Generic[T]):
    """A constant of this product. It is no evidence: no rule passes by it."""

    value: T


class Why(StrEnum):
    """Why an obligation cannot arise in a step-up: the only reasons for `not_applicable`. What has not happened yet is none."""

    NO_PAYMENT = "the step-up is no payment"
    NO_BATCH = "the order is no batch"
    NO_BLOCKED_AMOUNT = "the order is no card payment with a blocked amount"
    NO_ACCESS = "the authentication was not for account access"
    NO_KNOWLEDGE = "no knowledge element was used"
    NO_POSSESSION = "no possession element was used"
    NO_INHERENCE = "no inherence element was used"
    NO_TERMINAL = "no payee's terminal takes part"
    NO_EXEMPTION = "no exemption was used: strong customer authentication was asked for"
    NO_THIRD_PARTY = "no account information, payment initiation or card issuing provider acts here"


Source = Finding | LogEntry | Facts | ProbeResult
Evidence = Seen | Declared | Ruling


def seen(*sources: Source | None, grade: Grade = Grade.LOGGED) -> Seen:
    """What was observed, from its sources: findings of checks, log entries, facts of the evidence, negative tests.

    A source that is missing, or a check that did not pass, leaves nothing seen (grade `none`). `TypeError` for anything else: a constant
    is no source.
    """
    for source in sources:
        if source is not None and not isinstance(source, Finding | LogEntry | Facts | ProbeResult):
            raise TypeError(f"a source of evidence, not {type(source).__name__}")
    whole = bool(sources) and all(
        source is not None and not (isinstance(source, Finding) and source.outcome is not Outcome.PASS)
        for source in sources
    )
    findings = tuple(dict.fromkeys(source.check for source in sources if isinstance(source, Finding)))
    return Seen(grade if whole else Grade.NONE, findings)


def passes(*evidence: Evidence, reason: str | None = None) -> Ruling:
    """The obligation is met, as all of this evidence shows; the grade is that of the weakest. No evidence never passes."""
    findings: tuple[str, ...] = ()
    grades: list[Grade] = []
    for item in evidence:
        if isinstance(item, Declared):
            grades.append(Grade.DECLARED)
        elif isinstance(item, Seen):
            grades.append(item.grade)
            findings += item.findings
        elif isinstance(item, Ruling):
            grades.append(item.grade if item.verdict == PASS else Grade.NONE)
            findings += item.findings
        else:
            raise TypeError(f"evidence, not {type(item).__name__}")
    grade = weakest(grades)
    named = tuple(dict.fromkeys(findings))
    if grade is Grade.NONE:
        return Ruling(UNDETERMINED, Grade.NONE, "what this rests on is not on record", named)
    return Ruling(PASS, grade, reason, named)


def fails(reason: str, grade: Grade, *findings: str) -> Ruling:
    """Evidence contradicts the obligation."""
    return Ruling(FAIL, grade, reason, findings)


def absent(why: Why, detail: str = "") -> Ruling:
    """The obligation cannot arise here; that is the server's own observation."""
    if not isinstance(why, Why):
        raise TypeError("not_applicable needs a reason from the closed list")
    return Ruling(NOT_APPLICABLE, Grade.LOGGED, f"{why.value}{detail}")


def unknown(reason: str, *findings: str) -> Ruling:
    """A needed input is missing, unverifiable or stale, or a rule that this one needs did not pass: `reason` says which."""
    return Ruling(UNDETERMINED, Grade.NONE, reason, findings)


def unexercised(what: str) -> Ruling:
    """A duty that nothing has called for yet: neither met nor broken."""
    return unknown(f"not exercised: {what}")


def weaker(one: Ruling, other: Ruling) -> bool:
    """Whether `one` is the worse answer."""
    return _WORST_FIRST[one.verdict] < _WORST_FIRST[other.verdict]


def weakest(grades: Iterable[Grade]) -> Grade:
    """The weakest of some grades; `none` where there are none."""
    return min(grades, key=lambda grade: _STRENGTH[grade], default=Grade.NONE)


def stronger(one: Grade, other: Grade) -> bool:
    """Whether `one` is strictly better evidence than `other`."""
    return _STRENGTH[one] > _STRENGTH[other]


def text_of(value: Any) -> str:
    """A log field's text, empty where it has none."""
    return value if isinstance(value, str) else ""
