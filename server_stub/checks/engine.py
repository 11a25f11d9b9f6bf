"""How checks are run: all of them, in order, each kept; what depends on a failed one is `not_run`, never green."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, NamedTuple

from server_stub.verdict import Finding, Outcome

if TYPE_CHECKING:
    from server_stub.checks.case import Case


class Failure(NamedTuple):
    """Why a check failed: a stable reason word, and what was expected and seen, for people."""

    reason: str
    expected: str | None = None
    actual: str | None = None


class NotApplicable(NamedTuple):
    """Why a check has nothing to say about this case."""

    reason: str


Result = Failure | NotApplicable | None
CheckFunction = Callable[["Case"], Result]


class Check:
    """One named check: id, citation, the checks it needs, and a pure function over a case (None means: passed)."""

    __slots__ = ("citation", "function", "id", "needs", "not_run", "passed")

    def __init__(self, id_: str, citation: str, function: CheckFunction, needs: Iterable[str] = ()) -> None:
        self.id = id_
        self.citation = citation
        self.function = function
        self.needs = frozenset(needs)
        self.passed = Finding(id_, Outcome.PASS, "ok", citation)
        self.not_run = Finding(id_, Outcome.NOT_RUN, "a check that this one needs did not pass", citation)

    def judge(self, case: Case) -> Finding:
        """This check's finding, its needs being met."""
        result = self.function(case)
        if result is None:
            return self.passed
        if isinstance(result, Failure):
            return Finding(self.id, Outcome.FAIL, result.reason, self.citation, result.expected, result.actual)
        return Finding(self.id, Outcome.NOT_APPLICABLE, result.reason, self.citation)


def run(checks: Iterable[Check], case: Case) -> tuple[Finding, ...]:
    """Every check's finding, in order. A need is met by `pass` or `not_applicable`."""
    unmet: set[str] = set()
    findings: list[Finding] = []
    for check in checks:
        finding = check.not_run if not unmet.isdisjoint(check.needs) else check.judge(case)
        if finding.outcome is Outcome.FAIL or finding.outcome is Outcome.NOT_RUN:
            unmet.add(check.id)
        findings.append(finding)
    return tuple(findings)
