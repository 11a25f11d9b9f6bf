"""The compliance report: which elements a step-up showed, and every rule of the rule set, judged on evidence, findings and log.

Invariants: the same inputs give the same report, years later too; no evidence never passes (grade `none` goes with `undetermined`
only); a rule has the weakest grade among the facts it relied on; a verdict never rises because another rule passed. `docs/compliance.md`
says each rule in plain words.

The log extract holds this user's entries up to and including those that the decision itself wrote. What the rules read of them stands in
`docs/compliance.md`, section 5; a field that is absent leaves the rule undetermined.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from server_stub.evidence import Evidence
from server_stub.log_chain import LogEntry
from server_stub.rules import elements as _elements
from server_stub.rules.article_7 import synced
from server_stub.rules.inputs import (
    NOTHING_OBSERVED,
    RULE_SET,
    SERVER_CONFIG,
    BiometricPolicy,
    Config,
    ControlRecord,
    Declaration,
    KnowledgePolicy,
    Observations,
)
from server_stub.rules.probes import Rejudge
from server_stub.rules.registry import judge_rules, rules
from server_stub.rules.ruling import FAIL, PASS, UNDETERMINED, Ruling
from server_stub.rules.scene import Scene
from server_stub.verdict import Compliance, Element, Finding, Rule, Verdict

if TYPE_CHECKING:
    from server_stub.policy import Policy
    from server_stub.trust import Trust

__all__ = [
    "RULE_SET",
    "SERVER_CONFIG",
    "BiometricPolicy",
    "Config",
    "ControlRecord",
    "Declaration",
    "KnowledgePolicy",
    "Observations",
    "elements",
    "judge_compliance",
    "verdict_of",
]

# `twoFactor` answers one question: were two elements of different categories shown, bound to this action, for an accepted code?
# It fails where one of these fails by itself; a transport that is open or plain is the business of `overall`.
TWO_FACTOR: Final = (
    "RTS-4.1-elements", "RTS-4.1-once", "RTS-4.2.a", "RTS-4.2.b", "RTS-4.2.c", "RTS-5.1.b", "RTS-5.1.c", "RTS-5.1.d", "RTS-6.1", "RTS-6.2",
    "RTS-7.1", "RTS-7.2", "RTS-8.1", "RTS-8.2", "RTS-9.1", "RTS-24.2.b",
)  # fmt: skip
_TRANSPORT: Final = "RTS-35.1"


def elements(evidence: Evidence, findings: Iterable[Finding]) -> tuple[Element, ...]:
    """The authentication elements that this step-up showed: those whose checks passed, and those reused from its session."""
    return _elements.elements(Scene(evidence, findings))


def judge_compliance(
    evidence: Evidence,
    findings: Iterable[Finding],
    log_extract: tuple[LogEntry, ...],
    config: Config = SERVER_CONFIG,
    *,
    accepted: bool,
    observed: Observations = NOTHING_OBSERVED,
    rejudge: Rejudge | None = None,
) -> Compliance:
    """Every rule of the rule set, judged for one attempt.

    `observed`: what the server saw over its whole log and store. `rejudge` runs the server's checks on other evidence, for the negative
    tests of Art. 5; without it they recompute the commitment only.
    """
    scene = Scene(evidence, findings, log_extract, config, accepted=accepted, observed=observed, rejudge=rejudge)
    rulings = judge_rules(scene)
    written = tuple(
        Rule(one.id, one.obligation, ruling.verdict, ruling.grade, ruling.findings, ruling.reason)
        for one in rules()
        for ruling in (rulings[one.id],)
    )
    return Compliance(RULE_SET, _two_factor(scene, rulings), _overall(rulings), written)


def verdict_of(
    evidence: Evidence,
    log_extract: tuple[LogEntry, ...],
    *,
    policy: Policy | None,
    trust: Trust | None,
    decided_at: str,
    policy_name: str | None = None,
    config: Config = SERVER_CONFIG,
    observed: Observations = NOTHING_OBSERVED,
    findings: tuple[Finding, ...] | None = None,
) -> Verdict:
    """The whole verdict over one attempt; the server and an offline appraisal both make it here, so that they cannot differ.

    `findings`: those that were kept of the attempt; by default every check is run again. Where policy or trust is None (not recorded), the
    findings are needed, `policy_name` says what is known, and the negative tests of Art. 5 recompute the commitment only.
    """
    from server_stub.checks.table import accepted, judge

    def rejudge(other: Evidence) -> tuple[Finding, ...]:
        if policy is None or trust is None:
            raise ValueError("policy, trust: needed to judge")
        return judge(other, policy, trust)

    found = findings if findings is not None else rejudge(evidence)
    known = policy is not None and trust is not None
    good = accepted(found)
    return Verdict(
        transaction_id=evidence.transaction.id,
        attempt=evidence.attempt,
        accepted=good,
        decided_at=decided_at,
        policy=policy.name if policy is not None else policy_name or "",
        elements=elements(evidence, found),
        findings=found,
        compliance=judge_compliance(
            evidence,
            found,
            log_extract,
            config,
            accepted=good,
            observed=observed,
            rejudge=rejudge if known else None,
        ),
    )


def _two_factor(scene: Scene, rulings: dict[str, Ruling]) -> str:
    """`undetermined` where no code was accepted, an element is open, or the possession is a synced passkey; else what TWO_FACTOR says."""
    if not scene.accepted:
        return UNDETERMINED
    ours = [rulings[rule_id] for rule_id in TWO_FACTOR]
    if any(ruling.verdict == FAIL and ruling.capped_by != _TRANSPORT for ruling in ours):
        return FAIL
    if rulings["RTS-4.1-elements"].verdict != PASS or synced(scene):
        return UNDETERMINED
    return PASS


def _overall(rulings: dict[str, Ruling]) -> str:
    """Every rule is mandatory where its trigger is present; where it is not, the rule is not applicable."""
    verdicts = {ruling.verdict for ruling in rulings.values()}
    return FAIL if FAIL in verdicts else UNDETERMINED if UNDETERMINED in verdicts else PASS
