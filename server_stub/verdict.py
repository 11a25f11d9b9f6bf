"""Findings and the verdict: every check is run, every finding kept, and the decision made at the end.

A verdict is read on the operator's channel only; what a vendor's route answers says nothing of it (RTS Art. 4(3)(a)).
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, NoReturn

import msgspec


class Outcome(StrEnum):
    """What a check found. `not_run`: a check that it needs did not pass, so nothing can be said."""

    PASS = "pass"  # noqa: S105
    FAIL = "fail"
    NOT_APPLICABLE = "not_applicable"
    NOT_RUN = "not_run"


class Grade(StrEnum):
    """How well something is evidenced, best first (`docs/compliance.md`)."""

    PROVED = "proved"
    SIGNED = "signed"
    LOGGED = "logged"
    DECLARED = "declared"
    NONE = "none"


class Category(StrEnum):
    """The three categories of authentication element (PSD2 Art. 4(30))."""

    KNOWLEDGE = "knowledge"
    POSSESSION = "possession"
    INHERENCE = "inherence"


class Finding(msgspec.Struct, frozen=True, omit_defaults=True):
    """One check's answer. `reason` is a stable word; `expected` and `actual` are for people."""

    check: str
    outcome: Outcome
    reason: str
    citation: str
    expected: str | None = None
    actual: str | None = None


class Element(msgspec.Struct, frozen=True):
    """An authentication element that this step-up showed."""

    category: Category
    method: str
    grade: Grade


class Rule(msgspec.Struct, frozen=True, omit_defaults=True):
    """One rule of the rule set, judged. `verdict`: pass, fail, not_applicable or undetermined."""

    id: str
    obligation: str
    verdict: str
    grade: Grade
    findings: tuple[str, ...]
    reason: str | None = None


class Compliance(msgspec.Struct, frozen=True, rename="camel"):
    """The report over a rule set; `two_factor` and `overall` are pass, fail or undetermined."""

    rule_set: str
    two_factor: str
    overall: str
    rules: tuple[Rule, ...]


class Refused(Exception):
    """Raised by `Verdict.raise_for_refusal`; carries the verdict."""

    def __init__(self, verdict: Verdict) -> None:
        first = verdict.first_failure
        why = f"{first.check}: {first.reason}" if first else "no check failed"
        if first and first.expected is not None:
            why += f" (expected {first.expected}, was {first.actual})"
        super().__init__(f"step-up {verdict.transaction_id} refused by {why}")
        self.verdict = verdict


class Verdict(msgspec.Struct, frozen=True, rename="camel"):
    """The whole judgement of one attempt at one step-up."""

    transaction_id: str
    attempt: int
    accepted: bool
    decided_at: str
    policy: str
    elements: tuple[Element, ...]
    findings: tuple[Finding, ...]
    compliance: Compliance

    def __bool__(self) -> NoReturn:
        raise TypeError("a verdict has no truth value: read .accepted or call .raise_for_refusal()")

    @property
    def first_failure(self) -> Finding | None:
        """The first finding that failed, in the order of the checks."""
        return next((finding for finding in self.findings if finding.outcome is Outcome.FAIL), None)

    def finding(self, check: str) -> Finding:
        """The finding of one check; `KeyError` where the policy has no such check."""
        for finding in self.findings:
            if finding.check == check:
                return finding
        raise KeyError(check)

    def raise_for_refusal(self) -> Verdict:
        """This verdict, or `Refused` where the step-up was not accepted."""
        if not self.accepted:
            raise Refused(self)
        return self

    def to_json(self) -> dict[str, Any]:
        """The contract's JSON form."""
        document: dict[str, Any] = msgspec.to_builtins(self)
        return document
