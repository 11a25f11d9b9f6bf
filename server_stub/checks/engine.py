"""How checks are run: all of them, in order, each kept; what depends on a failed one is `not_run`, never green."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Generic, NamedTuple, TypeVar

from server_stub.verdict import Finding, Outcome

C = TypeVar("C")


class Failure(NamedTuple):
    """Why a check failed: a stable reason word, and what was expected and seen, for people."""

    reason: str
    expected: str | None = None
    actual: str | None = None


class NotApplicable(NamedTuple):
    """Why a check has nothing to say about this case."""

    reason: str


Result = Failure | NotApplicable | None


class Check(Generic[C]):
    """One named check: id, citation, the checks it needs, and a pure function over a case (None means: passed)."""

    __slots__ = ("_not_applicable", "citation", "function", "id", "needs", "not_run", "passed")

    def __init__(self, id_: str, citation: str, function: Callable[[C], Result], needs: Iterable[str] = ()) -> None:
        self.id = id_
        self.citation = citation
        self.function = function
        self.needs = frozenset(needs)
        self.passed = Finding(id_, Outcome.PASS, "ok", citation)
        self.not_run = Finding(id_, Outcome.NOT_RUN, "a check that this one needs did not pass", citation)
        self._not_applicable: dict[str, Finding] = {}

    def __repr__(self) -> str:
        return f"Check({self.id!r})"

    def finding(self, result: Result) -> Finding:
        """The finding that a result stands for. All but failures are shared values: reasons are few and fixed."""
        if result is None:
            return self.passed
        if type(result) is Failure:
            return Finding(self.id, Outcome.FAIL, result.reason, self.citation, result.expected, result.actual)
        known = self._not_applicable.get(result.reason)
        if known is None:
            known = self._not_applicable[result.reason] = Finding(
                self.id, Outcome.NOT_APPLICABLE, result.reason, self.citation
            )
        return known

    def judge(self, case: C) -> Finding:
        """This check's finding, its needs being met."""
        return self.finding(self.function(case))

    def describe(self) -> dict[str, Any]:
        """The row of `GET /_stub/checks`."""
        return {"id": self.id, "citation": self.citation, "needs": sorted(self.needs)}


def run_into(checks: Iterable[Check[C]], case: C, findings: list[Finding], unmet: set[str]) -> None:
    """Append every check's finding, in order; add to `unmet` those that failed or were not run. A need is met by
    `pass` or `not_applicable`."""
    keep = findings.append
    for check in checks:
        if unmet and not unmet.isdisjoint(check.needs):
            unmet.add(check.id)
            keep(check.not_run)
            continue
        result = check.function(case)
        if result is None:
            keep(check.passed)
            continue
        if type(result) is Failure:
            unmet.add(check.id)
        keep(check.finding(result))


def run(checks: Iterable[Check[C]], case: C) -> tuple[Finding, ...]:
    """Every check's finding, in order."""
    findings: list[Finding] = []
    run_into(checks, case, findings, set())
    return tuple(findings)
