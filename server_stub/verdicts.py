"""From what was kept of an attempt to the verdict that an operator reads: the compliance report is computed here, when asked for."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from server_stub.compliance import Observations, verdict_of
from server_stub.log_chain import LogEntry
from server_stub.policy import Policy
from server_stub.records import StoredVerdict
from server_stub.store import UnitOfWork
from server_stub.trust import Trust
from server_stub.verdict import Verdict

_ENTRY = msgspec.json.Decoder(LogEntry)


@dataclass(frozen=True, slots=True)
class Record:
    """Everything that a verdict is computed from, besides policy and trust."""

    stored: StoredVerdict
    extract: tuple[LogEntry, ...]
    observed: Observations


def record_of(unit: UnitOfWork, stored: StoredVerdict) -> Record:
    """The stored attempt with its log extract and what the whole log and store show."""
    return Record(stored, _extract(unit, stored), _observed(unit, stored))


def _extract(unit: UnitOfWork, stored: StoredVerdict) -> tuple[LogEntry, ...]:
    """The caller's log entries up to the decision: on this transaction, their sessions, their phone's enrolment and their failures.

    What others did with the same transaction is part of their own attempts.
    """
    evidence = stored.evidence
    transactions, sessions = [stored.transaction], {evidence.caller.session}
    if evidence.transaction.user == evidence.caller.user:
        sessions.add(evidence.transaction.session)
    device = unit.device(evidence.credential.device_id) if evidence.credential else None
    if device is not None:
        transactions.append(device.document["enrolmentId"])
        sessions.add(device.document["enrolmentSession"])
    found = unit.log_extract(
        evidence.transaction.dialect, evidence.caller.user, transactions, sorted(sessions), stored.log_seq
    )
    return tuple(
        entry for entry in found if entry.transaction != stored.transaction or entry.user == evidence.caller.user
    )


def _observed(unit: UnitOfWork, stored: StoredVerdict) -> Observations:
    evidence = stored.evidence
    attempts = unit.sql.all("failed_attempts", dialect=evidence.transaction.dialect, up_to=stored.log_seq)
    fields = [_ENTRY.decode(row[0]).fields for row in attempts]
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


def verdict_from(record: Record, policy: Policy, trust: Trust) -> Verdict:
    """The verdict over a stored attempt."""
    stored = record.stored
    return verdict_of(
        stored.evidence, record.extract, policy=policy, trust=trust, decided_at=stored.decided_at, observed=record.observed,
        findings=stored.findings,
    )  # fmt: skip
