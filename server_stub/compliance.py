"""The compliance report: which elements a step-up showed, and every rule of the rule set, judged on evidence, findings and log.

Invariants: the same inputs give the same report, years later too; no evidence never passes (grade `none` goes with `undetermined`
only); a rule has the weakest grade among the facts it relied on; a verdict never rises because another rule passed. `docs/compliance.md`
says each rule in plain words.

The log extract holds this user's entries up to and including those that the decision itself wrote. What the rules read of them
(fields that are absent leave the rule undetermined; `challenge_id` and `code_id` are SHA-256 hex of the nonce's text):

| event | fields read |
| --- | --- |
| `session_started` | `channel`, `device_kind` (phone, tablet, pc, browser, dedicated), `tls` ({version, cipher} or null) [1] |
| `payer_activity` | none: an accepted call by the payer; polling is none |
| `session_ended` | `reason` |
| `order_created`, `_edited`, `_executed` | `order_id`, `kind` (single, batch, preauth, unknown-shape), `amount_minor`, `payee_id` |
| `challenge_issued` | `challenge_id`, `trigger` (a, b, c), `exp` |
| `display_ack` | `challenge_id`, `text_hash`: written when an assertion with a `payment` member verifies |
| `sca_attempt` | `outcome` (accepted, failed, not_evaluated), `attempt`, `challenge_id`, `credential_id`, `internal_reason` (ids of
  failed checks), `public_problem_id`, `elements` (method names), `masked_input` (true, false, null), `method` [4] |
| `code_accepted` | `code_id`, `order_id` |
| `code_replayed` | `code_id` |
| `block_temp` | `until`, `basis` |
| `alert_before_permanent`, `block_permanent` | none |
| `unblock` | `proof_ref` |
| `credential_bound` | `credential_id`, `device_id`, `sca_ref` [2] or `in_person_ref`, `channels` [3], `bound_elsewhere` (a count) |
| `credential_activated` | `credential_id`, `sca_ref` or `in_person_ref`, `method`, `code_expires_at` |
| `credential_renewed`, `credential_suspended` | `credential_id` |
| `credential_revoked` | `credential_id`, `status_updated_at` |
| `device_released` | `device_id` |
| `attestation_evaluated` | `verdict` (intact, altered), level, boot, patch, app, fresh_at |

[1] A session that a refresh token resumes after more than 300 s of silence starts anew. [2] The event id or code id of an earlier
`code_accepted`. [3] `[{"feature": passcode | activation-code, "channel": branch | post | sms | email | push | app, "verified": bool}]`.
[4] `ENROLMENT` marks attempts at an activation code, which have a count of their own; a failed login is an `sca_attempt` without a
transaction.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from server_stub.evidence import Evidence
from server_stub.log_chain import LogEntry
from server_stub.rules import elements as _elements
from server_stub.rules.inputs import (
    NOTHING_OBSERVED,
    RULE_SET,
    SERVER_CONFIG,
    BiometricPolicy,
    Config,
    ControlRecord,
    KnowledgePolicy,
    Observations,
)
from server_stub.rules.probes import Rejudge
from server_stub.rules.ruling import FAIL, NOT_APPLICABLE, PASS, UNDETERMINED, Ruling
from server_stub.rules.scene import Scene
from server_stub.rules.table import Rulebook, judge_rules
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
    "KnowledgePolicy",
    "Observations",
    "elements",
    "judge_compliance",
    "verdict_of",
]

# What "two-factor compliant" rests on, beside the absence of any failure: Arts 4(1), 5, 7, 9(1), 9(3); not applicable counts as met.
_TWO_FACTOR: Final = ("RTS-4.1-elements", "RTS-4.1-once", "RTS-5.", "RTS-7.", "RTS-9.1", "RTS-9.3.")


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
    scene = Scene(evidence, findings, log_extract, config, accepted=accepted, observed=observed)
    judged = judge_rules(scene, rejudge)
    rulings = {rule_id: ruling for rule_id, (_, ruling) in judged.items()}
    written = tuple(_rule(rule, ruling) for rule, ruling in judged.values())
    return Compliance(RULE_SET, _two_factor(rulings), _overall(rulings), written)


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


def _rule(rule: Rulebook, ruling: Ruling) -> Rule:
    return Rule(rule.id, rule.obligation, ruling.verdict, ruling.grade, ruling.findings, ruling.reason)


def _two_factor(rulings: dict[str, Ruling]) -> str:
    """`pass` where every rule that it rests on is met and no rule fails; `fail` where any fails."""
    verdicts = [ruling.verdict for ruling in rulings.values()]
    needed = [ruling.verdict for rule_id, ruling in rulings.items() if rule_id.startswith(_TWO_FACTOR)]
    if FAIL in verdicts:
        return FAIL
    return PASS if all(verdict in (PASS, NOT_APPLICABLE) for verdict in needed) else UNDETERMINED


def _overall(rulings: dict[str, Ruling]) -> str:
    """Every rule is mandatory where its trigger is present; where it is not, the rule is not applicable."""
    verdicts = {ruling.verdict for ruling in rulings.values()}
    return FAIL if FAIL in verdicts else UNDETERMINED if UNDETERMINED in verdicts else PASS
