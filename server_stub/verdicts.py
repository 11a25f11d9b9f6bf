"""From what was kept of an attempt to the verdict that an operator reads: the compliance report is computed here, when asked for."""

from __future__ import annotations

from server_stub.compliance import elements, judge_compliance
from server_stub.log_chain import LogEntry
from server_stub.store import StoredVerdict, UnitOfWork
from server_stub.verdict import Verdict


def extract_of(unit: UnitOfWork, stored: StoredVerdict) -> tuple[LogEntry, ...]:
    """The log entries that this verdict may read: of its transaction, sessions and enrolment, up to the decision."""
    evidence = stored.evidence
    transactions, sessions = [stored.transaction], {evidence.transaction.session, evidence.caller.session}
    device = unit.device(evidence.credential.device_id) if evidence.credential else None
    if device is not None:
        transactions.append(device.document["enrolmentId"])
        sessions.add(device.document["enrolmentSession"])
    return unit.log_extract(
        evidence.transaction.dialect, evidence.transaction.user, transactions, sorted(sessions), stored.log_seq
    )


def verdict_from(stored: StoredVerdict, extract: tuple[LogEntry, ...]) -> Verdict:
    """The verdict over a stored attempt and its log extract."""
    return Verdict(
        transaction_id=stored.transaction,
        attempt=stored.attempt,
        accepted=stored.accepted,
        decided_at=stored.decided_at,
        policy=stored.policy,
        elements=elements(stored.evidence, stored.findings),
        findings=stored.findings,
        compliance=judge_compliance(stored.evidence, stored.findings, extract, accepted=stored.accepted),
    )
