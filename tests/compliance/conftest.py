"""Step-ups as a running server recorded them (`histories.py`), to be bent by each test in one place."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
import pytest

from device_keys.clock import rfc3339
from device_keys.encoding import b64url_decode, parse_json_object
from device_keys.messages import (
    Assertion,
    Flags,
    Kind,
    build_authenticator_data,
    build_client_data,
    payload_digest,
    step_up_challenge,
)
from device_keys.orders import read_order
from server_stub.compliance import Config, Observations, judge_compliance
from server_stub.evidence import Evidence
from server_stub.log_chain import GENESIS, LogEntry, append_entry
from server_stub.rules.probes import Rejudge
from server_stub.verdict import Compliance, Finding, Outcome, Rule

from .histories import KINDS, recorded

PHONES = {"android": "Android", "iphone": "iPhone"}
METHODS = {"PASSCODE": "passcode", "BIOMETRIC": "biometric"}


@dataclass
class Stage:
    """One recorded step-up; `bend` and the like change it, `report` judges it."""

    evidence: Evidence
    findings: tuple[Finding, ...]
    log: list[LogEntry]
    config: Config
    observed: Observations
    accepted: bool
    rejudge: Rejudge | None = None

    @property
    def now(self) -> datetime:
        """The instant of the decision."""
        return self.evidence.now

    def bend(self, **facts: Any) -> Stage:
        """Change members of the evidence."""
        self.evidence = msgspec.structs.replace(self.evidence, **facts)
        return self

    def transaction(self, **facts: Any) -> Stage:
        """Change members of the transaction."""
        return self.bend(transaction=msgspec.structs.replace(self.evidence.transaction, **facts))

    def credential(self, **facts: Any) -> Stage:
        """Change members of the enrolled key's facts."""
        assert self.evidence.credential is not None
        return self.bend(credential=msgspec.structs.replace(self.evidence.credential, **facts))

    def set(self, outcome: Outcome, *checks: str) -> Stage:
        """State the outcome of these checks, the step-up's acceptance left as it is."""
        assert set(checks) <= {finding.check for finding in self.findings}, checks
        self.findings = tuple(
            msgspec.structs.replace(f, outcome=outcome, reason="stated") if f.check in checks else f
            for f in self.findings
        )
        return self

    def fail(self, check: str, *not_run: str) -> Stage:
        """Let one check fail, these become not_run, and the step-up be refused."""
        return self.set(Outcome.FAIL, check).set(Outcome.NOT_RUN, *not_run).refuse(check)

    def refuse(self, *reasons: str, problem: str = "403.000.52") -> Stage:
        """Refuse the step-up, in the log too."""
        self.accepted = False
        mine = self.evidence.transaction.id
        entries, self.log = self.log, []
        for entry in entries:
            fields = entry.fields
            if entry.event == "code_accepted" and entry.transaction == mine:
                continue
            if entry.event == "sca_attempt" and entry.transaction == mine:
                fields = {**fields, "outcome": "failed", "internal_reason": list(reasons), "public_problem_id": problem}
            self._again(entry, **fields)
        return self

    def write(self, event: str, **fields: Any) -> Stage:
        """Append an event of this user, session and transaction, now; `at`, `session`, `transaction` and `user` say otherwise."""
        transaction = self.evidence.transaction
        at = fields.pop("at", self.now)
        where = {"session": transaction.session, "transaction": transaction.id, "user": transaction.user}
        where |= {name: fields.pop(name) for name in where if name in fields}
        self.log.append(
            append_entry(
                self.log[-1].hash if self.log else GENESIS, seq=(self.log[-1].seq if self.log else 0) + 1,
                at=at if isinstance(at, str) else rfc3339(at), clock_id="server", event=event, dialect=transaction.dialect,
                fields=fields, **where,
            )
        )  # fmt: skip
        return self

    def _again(self, entry: LogEntry, **fields: Any) -> None:
        where = {"session": entry.session, "transaction": entry.transaction, "user": entry.user}
        self.write(entry.event, at=entry.at, **where, **fields)

    def rewrite(self, event: str, **fields: Any) -> Stage:
        """Change fields of every entry of an event, and chain the log anew; a field that is None goes."""
        entries, self.log = self.log, []
        for entry in entries:
            changed = {**entry.fields, **fields} if entry.event == event else entry.fields
            gone = {name for name, value in fields.items() if value is None} if entry.event == event else set()
            self._again(entry, **{name: value for name, value in changed.items() if name not in gone})
        return self

    def drop(self, *events: str) -> Stage:
        """Leave events out of the log."""
        entries, self.log = self.log, []
        for entry in entries:
            if entry.event not in events:
                self._again(entry, **entry.fields)
        return self

    def insert(self, before: str, event: str, **fields: Any) -> Stage:
        """Put an event before the first one of a name, at that one's instant, and chain the log anew."""
        entries, self.log = self.log, []
        for entry in entries:
            if entry.event == before and event:
                self.write(event, at=entry.at, **fields)
                event = ""
            self._again(entry, **entry.fields)
        return self

    def duplicate(self, event: str) -> Stage:
        """The last entry of an event of this transaction, once more."""
        mine = [e for e in self.log if e.event == event and e.transaction == self.evidence.transaction.id]
        self._again(mine[-1], **mine[-1].fields)
        return self

    def sign(self, *, flags: Flags | None = None, extensions: dict[str, Any] | None = None, **members: Any) -> Stage:
        """Another response in the place of the recorded one; its signature is not looked at, the findings are stated."""
        evidence = self.evidence
        transaction, nonce = evidence.transaction, evidence.nonce
        assert evidence.assertion is not None
        assert nonce is not None
        old = Assertion.from_json(parse_json_object(evidence.assertion))
        kind, order = Kind(transaction.kind), read_order(transaction.payload)
        raw = b64url_decode(nonce.value)
        device = {"nonce": nonce.value, "signedAt": rfc3339(self.now), "lockout": {"screenFailures": 0}}
        extra: dict[str, Any] = {"device": device}
        if order is not None:
            total = {"currency": order.currency, "value": order.amount}
            extra["payment"] = {"payeeName": order.payee_name, "total": total}
        challenge = step_up_challenge(kind, raw, transaction.id, payload_digest(transaction.payload))
        what = "payment.get" if kind is Kind.PAYMENT else "webauthn.get"
        data = build_client_data(what, challenge, "https://stepup-simulator.test", **{**extra, **members})
        given = flags if flags is not None else Flags.UP | (Flags.UV if evidence.method == "BIOMETRIC" else Flags(0))
        rp = hashlib.sha256(b"stepup-simulator.test").digest()
        authenticator = build_authenticator_data(rp, given, 2, extensions=extensions)
        made = Assertion(old.credential_id, data, authenticator, b"signature")
        return self.bend(assertion=json.dumps({**made.to_json(), "clientExtensionResults": {}}))

    def report(self) -> Compliance:
        return judge_compliance(
            self.evidence, self.findings, tuple(self.log), self.config, accepted=self.accepted, observed=self.observed,
            rejudge=self.rejudge,
        )  # fmt: skip

    def rule(self, rule_id: str) -> Rule:
        return next(rule for rule in self.report().rules if rule.id == rule_id)

    def verdicts(self) -> dict[str, str]:
        return {rule.id: rule.verdict for rule in self.report().rules}


def stage(name: str) -> Stage:
    """A recorded kind of step-up, by its name in `histories.KINDS`."""
    made = recorded(name)
    bundle = made.bundle
    return Stage(
        bundle.evidence, made.verdict.findings, list(bundle.log), bundle.config, bundle.observed, made.verdict.accepted
    )  # fmt: skip


@pytest.fixture(scope="session")
def step_up() -> Callable[..., Stage]:
    """Makes a step-up of a kind: `step_up("Weavr, fixed code")`, or at the bank `step_up("iphone", "BIOMETRIC")`."""

    def make(kind: str = "android", method: str = "PASSCODE", payload: Any = None) -> Stage:
        made = stage(kind if kind in KINDS else f"{PHONES[kind]}, {METHODS[method]}")
        return made if payload is None else made.transaction(payload=payload)

    return make
