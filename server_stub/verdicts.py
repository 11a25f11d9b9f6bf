"""From what was kept of an attempt to the verdict that an operator reads: the compliance report is computed here, when asked for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from server_stub.compliance import Observations, verdict_of
from server_stub.evidence_key import EvidenceKey
from server_stub.grounds import Grounds, kept_grounds
from server_stub.log_chain import LogDamaged, LogEntry
from server_stub.records import StoredVerdict
from server_stub.rules.inputs import RULE_SET, Config
from server_stub.store import UnitOfWork
from server_stub.verdict import Verdict

# What the judgement of an attempt logs after the attempt itself.
_CONSEQUENCES: Final = frozenset({
    "code_replayed", "block_temp", "block_permanent", "alert_before_permanent", "code_accepted",
})  # fmt: skip
_MOST_CONSEQUENCES: Final = 8


@dataclass(frozen=True, slots=True)
class Record:
    """Everything that a verdict is computed from: nothing of it is this server's present setting."""

    stored: StoredVerdict
    grounds: Grounds
    extract: tuple[LogEntry, ...]
    observed: Observations


def bundle_of(unit: UnitOfWork, stored: StoredVerdict, key: EvidenceKey) -> bytes:
    """The evidence bundle of a stored attempt, by what judged it, whatever this server runs with now. Raises LogDamaged."""
    from server_stub.bundle import LogHead, build_bundle

    record = record_of(unit, stored)
    decided = unit.log_entries(after=stored.log_seq - 1, most=1)
    return build_bundle(
        stored.evidence,
        key=key,
        grounds=record.grounds,
        log_extract=record.extract,
        observed=record.observed,
        decided_at=stored.decided_at,
        log_head=LogHead(decided[0].hash, stored.log_seq),
    )


def record_of(unit: UnitOfWork, stored: StoredVerdict) -> Record:
    """The stored attempt with what judged it, its log extract, and what the whole log and store show."""
    return Record(
        stored, kept_grounds(unit, stored.policy, stored.grounds), _extract(unit, stored), _observed(unit, stored)
    )


def _extract(unit: UnitOfWork, stored: StoredVerdict) -> tuple[LogEntry, ...]:
    """The caller's log entries up to the decision: on this transaction, their sessions, their phone's enrolment and their failures.

    What others did with the same transaction is part of their own attempts. Raises LogDamaged, also where the log does not say that the
    decision ended with the entry that was kept with it.
    """
    evidence = stored.evidence
    transactions, sessions = {stored.transaction}, {evidence.caller.session} - {""}
    if evidence.transaction.user == evidence.caller.user:
        sessions.add(evidence.transaction.session)
    device = unit.device(evidence.credential.device_id) if evidence.credential else None
    if device is not None:
        transactions.add(device.document["enrolmentId"])
        sessions.add(device.document["enrolmentSession"])
    extract = unit.log_extract(
        evidence.transaction.dialect, evidence.caller.user, transactions, sessions, stored.log_seq
    )
    end = decision_end(unit, extract, stored.transaction, stored.attempt)
    if end != stored.log_seq:
        said = "nowhere" if end is None else f"with entry {end}"
        raise LogDamaged(f"attempt {stored.attempt} ended {said} in the log, not with entry {stored.log_seq} as kept")
    return extract


def decision_end(unit: UnitOfWork, entries: Iterable[LogEntry], transaction: str, attempt: int) -> int | None:
    """The number of the last entry that the judgement of an attempt wrote; None where these entries do not tell of the attempt."""
    told = [
        entry.seq
        for entry in entries
        if entry.event == "sca_attempt" and entry.transaction == transaction and entry.fields.get("attempt") == attempt
    ]
    if len(told) != 1:
        return None
    end = told[0]
    for entry in unit.log_entries(after=end, most=_MOST_CONSEQUENCES):
        if entry.event not in _CONSEQUENCES or entry.transaction != transaction:
            break
        end = entry.seq
    return end


def _observed(unit: UnitOfWork, stored: StoredVerdict) -> Observations:
    evidence = stored.evidence
    fields = [entry.fields for entry in unit.failed_attempts(evidence.transaction.dialect, stored.log_seq)]
    problems = {
        f["public_problem_id"] for f in fields if f.get("outcome") == "failed" and f.get("method") != "ENROLMENT"
    }
    elsewhere: bool | None = None
    if evidence.credential is not None:
        row = unit.sql.one("users_of_key", credential=evidence.credential.credential_id)
        elsewhere = row is not None and row[0] > 1
    return Observations(
        # The nonces' table refuses a value twice, and none is ever deleted.
        nonce_repeated=False if evidence.nonce is not None else None,
        key_bound_to_another_user=elsewhere,
        device_bound_to_another_user=False if evidence.credential is not None else None,
        public_problem_ids=tuple(sorted(problems)) or None,
    )


def verdict_from(record: Record) -> Verdict:
    """The verdict over a stored attempt, by the policy, trust anchors and declarations that judged it."""
    stored, grounds = record.stored, record.grounds
    return verdict_of(
        stored.evidence,
        record.extract,
        policy=grounds.policy,
        trust=grounds.trust,
        policy_name=stored.policy,
        decided_at=stored.decided_at,
        config=grounds.config or Config(),
        observed=record.observed,
        findings=stored.findings,
    )


def differences(record: Record) -> tuple[str, ...]:
    """What this report cannot show as it was: contents that were not recorded, and another version of the rule set."""
    rule_set = record.grounds.judged_by.rule_set
    other = () if rule_set in (None, RULE_SET) else (f"ruleSet: {rule_set} when it was decided, {RULE_SET} here",)
    return record.grounds.not_recorded + other
