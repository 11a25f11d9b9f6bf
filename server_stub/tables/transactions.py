"""Challenges to step up: transactions, their nonces, and the verdicts on attempts at them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final, Literal

import msgspec
from msgspec.structs import replace

from device_keys.clock import rfc3339, stored_instant
from device_keys.encoding import b64url_encode
from server_stub.database.protocol import Row
from server_stub.evidence import CredentialFacts, Evidence, NonceFacts, decode_evidence, encode, refused_at_door
from server_stub.records import StoredVerdict, Transaction
from server_stub.tables.columns import json_text, maybe_instant
from server_stub.tables.unit import Unit
from server_stub.verdict import Finding, Outcome

LAST: Final = "last"
_WHOLE_FINDINGS: Final = msgspec.json.Decoder(tuple[Finding, ...])
_CREDENTIAL: Final = msgspec.json.Decoder(CredentialFacts)


class Transactions(Unit):
    """Transactions, nonces and verdicts."""

    def transaction(self, transaction_id: str) -> Transaction | None:
        row = self.sql.one("get_transaction", id=transaction_id)
        return _transaction(row) if row else None

    def transactions(self, dialect: str = "", user: str = "", most: int = 1000) -> list[Transaction]:
        """Newest first."""
        rows = self.sql.all("list_transactions", dialect=dialect, user=user, most=most)
        return [_transaction(row) for row in rows]

    def open_transactions(self, dialect: str, user: str) -> list[Transaction]:
        """Those that still wait for a step-up, oldest first."""
        rows = self.sql.all("open_transactions", dialect=dialect, user=user)
        return [transaction for transaction in map(_transaction, rows) if self.now < transaction.expires_at]

    def add_transaction(self, transaction: Transaction) -> None:
        transaction.seq = self.next_seq()
        self.sql.run(
            "insert_transaction", id=transaction.id, seq=transaction.seq, dialect=transaction.dialect, kind=transaction.kind,
            user=transaction.user, session=transaction.session, payload=json_text(transaction.payload), digest=transaction.digest,
            methods=json_text(transaction.methods), created_at=rfc3339(transaction.created_at), **_transaction_values(transaction),
        )  # fmt: skip

    def put_transaction(self, transaction: Transaction) -> None:
        self.sql.run("update_transaction", id=transaction.id, **_transaction_values(transaction))

    def void_open_transactions(self, dialect: str, user: str) -> None:
        self.sql.run("void_open_transactions", dialect=dialect, user=user)

    def nonce(self, value: str) -> NonceFacts | None:
        row = self.sql.one("get_nonce", value=value)
        if row is None:
            return None
        return NonceFacts(
            value=row[0], transaction_id=row[1], issued_at=stored_instant(row[2]), expires_at=stored_instant(row[3]),
            consumed_at=maybe_instant(row[4]),
        )  # fmt: skip

    def add_nonce(self, transaction: str, life: timedelta) -> NonceFacts:
        value = b64url_encode(self.entropy.bytes("nonce", 32))
        expires = self.now + life
        self.sql.run(
            "insert_nonce", value=value, transaction=transaction, issued_at=self.at, expires_at=rfc3339(expires)
        )
        return NonceFacts(value=value, transaction_id=transaction, issued_at=self.now, expires_at=expires)

    def consume_nonce(self, value: str) -> bool:
        """Whether this call was the one that consumed it."""
        return self.sql.run("consume_nonce", value=value, at=self.at) == 1

    def add_verdict(self, verdict: StoredVerdict) -> None:
        """Keep a judgement. The registration of its key is kept once, with the key; citations are those of the checks."""
        self.sql.run(
            "insert_verdict", transaction=verdict.transaction, attempt=verdict.attempt, accepted=int(verdict.accepted),
            decided_at=verdict.decided_at, log_seq=verdict.log_seq, policy=verdict.policy, grounds=verdict.grounds,
            evidence=encode(_without_registration(verdict.evidence)).decode(), findings=json_text([_kept(f) for f in verdict.findings]),
            at_door=int(refused_at_door(verdict.evidence)),
        )  # fmt: skip

    def shown_attempt(self, transaction: str) -> tuple[int, bool] | None:
        """What a transaction is shown by: number and outcome of the latest attempt that was not refused at its door."""
        row = self.sql.one("shown_attempt", transaction=transaction)
        return None if row is None else (row[0], bool(row[1]))

    def verdict(self, transaction: str, attempt: int | Literal["last"] | None = None) -> StoredVerdict | None:
        """The judgement of one attempt: by default the one that the transaction is shown by; `last`: the newest of any kind."""
        if attempt is None:
            shown = self.shown_attempt(transaction)
            attempt = None if shown is None else shown[0]
        elif attempt == LAST:
            row = self.sql.one("last_attempt", transaction=transaction)
            attempt = row[0] if row else None
        row = None if attempt is None else self.sql.one("get_verdict", transaction=transaction, attempt=attempt)
        if row is None:
            return None
        evidence, findings = self._with_registration(decode_evidence(row[7].encode())), _findings(row[8])
        return StoredVerdict(row[0], row[1], bool(row[2]), row[3], row[4], row[5], row[6], evidence, findings)

    def _with_registration(self, evidence: Evidence) -> Evidence:
        key = evidence.credential
        if key is None or key.registration:
            return evidence
        row = self.sql.one("registration_facts", id=key.credential_id, device=key.device_id)
        assert row is not None, "keys are never deleted by themselves"
        registration = _CREDENTIAL.decode(row[0]).registration
        shared = key.shared_key or bool(row[1])
        return replace(evidence, credential=replace(key, registration=registration, shared_key=shared))


def _without_registration(evidence: Evidence) -> Evidence:
    key = evidence.credential
    return evidence if key is None else replace(evidence, credential=replace(key, registration={}))


def _kept(finding: Finding) -> tuple[str | None, ...]:
    if finding.expected is None and finding.actual is None:
        return finding.check, finding.outcome, finding.reason
    return finding.check, finding.outcome, finding.reason, finding.expected, finding.actual


def _findings(text: str) -> tuple[Finding, ...]:
    """What `_kept` wrote, with the citations of the checks; or findings written whole, as an earlier version did."""
    if not text.startswith("[["):
        return _WHOLE_FINDINGS.decode(text)
    from server_stub.checks.table import CITATIONS

    return tuple(
        Finding(check, Outcome(outcome), reason, CITATIONS.get(check, ""), *words)
        for check, outcome, reason, *words in msgspec.json.decode(text)
    )


def _transaction(row: Row) -> Transaction:
    return Transaction(
        id=row[0], seq=row[1], dialect=row[2], kind=row[3], user=row[4], session=row[5], state=row[6], payload=msgspec.json.decode(row[7]),
        digest=row[8], methods=msgspec.json.decode(row[9]), created_at=stored_instant(row[10]), expires_at=stored_instant(row[11]),
        attempts=row[12], outcome=row[13], assertion=row[14], document=msgspec.json.decode(row[15]),
    )  # fmt: skip


def _transaction_values(transaction: Transaction) -> dict[str, Any]:
    return {
        "state": transaction.state,
        "expires_at": rfc3339(transaction.expires_at),
        "attempts": transaction.attempts,
        "outcome": transaction.outcome,
        "assertion": transaction.assertion,
        "document": json_text(transaction.document),
    }
