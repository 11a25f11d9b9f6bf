"""Every check, in order, and the judgement: all of them run, every finding kept, the decision at the end.

Findings on the attestation of a key depend on its enrolment, the policy and the trust alone. They are kept for the
keys seen last, and found again by comparing all of that, not by a name.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from device_keys.encoding import FormatError
from server_stub.checks.android import ANDROID
from server_stub.checks.app_attest import APP_ATTEST
from server_stub.checks.assertion import ASSERTION
from server_stub.checks.attestation import GENERAL
from server_stub.checks.case import Appraisal, Case
from server_stub.checks.challenge import CHALLENGE
from server_stub.checks.engine import Check, NotApplicable, run_into
from server_stub.checks.enrolment import Enrolment, read_enrolment
from server_stub.checks.factors import CALL, RECEIVED
from server_stub.evidence import CredentialFacts, Evidence
from server_stub.policy import Policy
from server_stub.trust import Trust
from server_stub.verdict import Finding, Outcome

ATTESTATION: Final[tuple[Check[Enrolment], ...]] = (*GENERAL, *ANDROID, *APP_ATTEST)
SIGNED: Final[tuple[Check[Case], ...]] = (*ASSERTION, *CHALLENGE)
CHECKS: Final[tuple[Check[Any], ...]] = (*CALL, *RECEIVED, *ATTESTATION, *SIGNED)
CITATIONS: Final = {check.id: check.citation for check in CHECKS}

_DEVICE: Final[tuple[Check[Any], ...]] = (*RECEIVED, *ATTESTATION, *SIGNED)
_NO_DEVICE: Final = tuple(check.finding(NotApplicable("method-without-device")) for check in _DEVICE)
_ATTESTATION_NOT_RUN: Final = tuple(check.not_run for check in ATTESTATION)
_ATTESTATION_IDS: Final = frozenset(check.id for check in ATTESTATION)
_KEPT: Final = 4096


def judge(evidence: Evidence, policy: Policy, trust: Trust) -> tuple[Finding, ...]:
    """The finding of every check, in the order of CHECKS. Never raises, whatever the evidence holds."""
    return judge_case(Case(evidence, policy, trust))


def judge_case(case: Case) -> tuple[Finding, ...]:
    """As `judge`, for evidence that was read already."""
    findings: list[Finding] = []
    unmet: set[str] = set()
    run_into(CALL, case, findings, unmet)
    if case.evidence.device_required:
        judge_device(case, findings, unmet)
    else:
        findings.extend(_NO_DEVICE)
    return tuple(findings)


def judge_device(
    case: Case,
    findings: list[Finding],
    unmet: set[str],
    *,
    received: Iterable[Check[Case]] = RECEIVED,
    signed: Iterable[Check[Case]] = SIGNED,
) -> None:
    """Add the findings on the phone's evidence: what was received, the key's attestation, what was signed."""
    if case.evidence.credential is not None:
        case.appraisal = appraise(case.evidence.credential, case.policy, case.trust)
    run_into(received, case, findings, unmet)
    if "credential.known" in unmet:
        findings.extend(_ATTESTATION_NOT_RUN)
        unmet |= _ATTESTATION_IDS
    else:
        findings.extend(case.appraisal.findings)
        unmet |= case.appraisal.unmet
    run_into(signed, case, findings, unmet)


def accepted(findings: Iterable[Finding]) -> bool:
    """Whether nothing failed and nothing was left unjudged."""
    for finding in findings:
        outcome = finding.outcome
        if outcome is Outcome.FAIL or outcome is Outcome.NOT_RUN:
            return False
    return True


# --- appraisals kept ----------------------------------------------------------------------------------------------------

_appraisals: dict[str, tuple[CredentialFacts, Policy, Trust, Appraisal]] = {}


def appraise(facts: CredentialFacts, policy: Policy, trust: Trust) -> Appraisal:
    """What to think of an enrolled key: judged once for this enrolment, policy and trust, and kept while it is in
    use."""
    kept = _appraisals.get(facts.credential_id)
    if kept is not None and _same(kept, facts, policy, trust):
        return kept[3]
    appraisal = _appraise(facts, policy, trust)
    _appraisals.pop(facts.credential_id, None)
    while len(_appraisals) >= _KEPT:
        _appraisals.pop(next(iter(_appraisals), ""), None)
    _appraisals[facts.credential_id] = (facts, policy, trust, appraisal)
    return appraisal


def _same(
    kept: tuple[CredentialFacts, Policy, Trust, Appraisal], facts: CredentialFacts, policy: Policy, trust: Trust
) -> bool:
    """Whether a kept appraisal is of the very same enrolment under the same policy and trust; what changes in use is
    not part of it."""
    old = kept[0]
    return (
        (kept[1] is policy or kept[1] == policy)
        and (kept[2] is trust or kept[2].digest == trust.digest)
        and (
            old is facts
            or (
                old.registration == facts.registration
                and old.enrolled_at == facts.enrolled_at
                and old.challenge == facts.challenge
                and old.factor == facts.factor
                and old.app_attest == facts.app_attest
                and old.app_attest_covers == facts.app_attest_covers
            )
        )
    )


def _appraise(facts: CredentialFacts, policy: Policy, trust: Trust) -> Appraisal:
    appraisal = Appraisal()
    try:
        enrolment = read_enrolment(facts, policy, trust)
    except FormatError as error:
        appraisal.problem = error
        return appraisal
    appraisal.problem = None
    appraisal.key = enrolment.key
    appraisal.backup_eligible = bool(int(enrolment.auth_data.flags) & 0x08)
    appraisal.findings, appraisal.unmet = judge_enrolment(enrolment)
    app = enrolment.app
    appraisal.app_key = app.auth_data.credential.public_key if app and app.auth_data.credential else None
    appraisal.app_rp_id_hash = app.auth_data.rp_id_hash if app else b""
    return appraisal


def judge_enrolment(
    enrolment: Enrolment, checks: Iterable[Check[Enrolment]] = ATTESTATION
) -> tuple[tuple[Finding, ...], frozenset[str]]:
    """The findings on an enrolment, and the ids of the checks that failed or were not run."""
    findings: list[Finding] = []
    unmet: set[str] = set()
    run_into(checks, enrolment, findings, unmet)
    return tuple(findings), frozenset(unmet)
