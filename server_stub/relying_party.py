"""The relying party's core: step-ups opened, evidence delivered, attempts judged; each inside one unit of work.

An attempt reads its facts, judges all of them, then changes the state once: it consumes the nonce, counts a failure or a success, moves
the transaction on, and keeps the verdict. The order of checks is bank.md 11.2, steps 5 to 7.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final, Literal

import msgspec

from device_keys.clock import rfc3339
from device_keys.encoding import FormatError, b64url_decode, b64url_encode, canonical_json
from device_keys.messages import Kind, payload_digest, step_up_challenge
from device_keys.orders import read_order
from server_stub.blocking import (
    RULE,
    BlockingRule,
    blocked,
    count_failure,
    count_single_success,
    count_success,
)
from server_stub.checks.case import Case, received_counters
from server_stub.checks.reading import look_up
from server_stub.checks.table import accepted as all_accepted
from server_stub.checks.table import judge_case
from server_stub.delivery import send
from server_stub.disclosure import found_in
from server_stub.evidence import (
    CallerFacts,
    CredentialFacts,
    Evidence,
    NonceFacts,
    PriorElement,
    SecretFacts,
    TransactionFacts,
)
from server_stub.grounds import grounds_of, keep_grounds
from server_stub.policy import Policy
from server_stub.records import Session, StoredVerdict, Transaction, User
from server_stub.rules.inputs import SERVER_CONFIG, Config
from server_stub.store import UnitOfWork
from server_stub.trust import Trust
from server_stub.verdict import Finding, Outcome

NONCE_LIFE = timedelta(seconds=120)
# The declined attempt that ends its identifier: a client that is told no asks no more than so often.
MOST_DECLINED: Final = 5
ALTERATION: Final = ("attestation.verified_boot", "attestation.device_locked", "attestation.application")
Stage = Literal["accepted", "blocked", "transaction", "declined", "elements"]


@dataclass(frozen=True, slots=True)
class Try:
    """What one step-up call brought. `problem` is the public id that every failed attempt of the dialect shares (Art. 4(3)(a)).

    `rule` says what failures in a row bring; a block of no length ends the challenge only. `verified_life`: how long the transaction may be
    used once it is verified (None: what is left of its life). `given`: the secrets that came with the call, which are looked for in its
    records and not kept. `tls`: how the call came (`Call.tls`).
    """

    method: str
    problem: str
    secret: SecretFacts | None = None
    header: str | None = None
    device_required: bool = True
    transport: Literal["tls", "http-loopback", "http"] = "http-loopback"
    prior: tuple[PriorElement, ...] = ()
    rule: BlockingRule = RULE
    verified_life: timedelta | None = None
    given: tuple[str, ...] = field(default=(), repr=False)
    tls: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """How an attempt ended. `stage` names what refused it: a block, the transaction's state, its user's no, or the elements together."""

    accepted: bool
    stage: Stage
    attempt: int
    findings: tuple[Finding, ...]
    case: Case = field(repr=False)

    @property
    def evidence(self) -> Evidence:
        """What was judged."""
        return self.case.evidence

    @property
    def failed(self) -> tuple[str, ...]:
        """Ids of the checks that failed: for the log and the verdict, never for a vendor's route."""
        return tuple(finding.check for finding in self.findings if finding.outcome is Outcome.FAIL)


def open_step_up(
    unit: UnitOfWork,
    session: Session,
    *,
    kind: Kind,
    payload: Any,
    methods: list[str],
    life: timedelta,
    trigger: str,
    transaction_id: str | None = None,
    notify: bool = True,
    **document: Any,
) -> Transaction:
    """A new challenge for this session, ISSUED; phones of the user hear of it by push."""
    transaction = Transaction(
        id=transaction_id or unit.new_id("transaction"), dialect=session.dialect, kind=kind, user=session.user, session=session.id,
        payload=payload, digest=b64url_encode(payload_digest(payload)), methods=methods, created_at=unit.now,
        expires_at=unit.now + life, document={"trigger": trigger, **document},
    )  # fmt: skip
    unit.add_transaction(transaction)
    where = {"dialect": session.dialect, "user": session.user, "session": session.id, "transaction": transaction.id}
    if kind is Kind.PAYMENT:
        unit.log("order_created", **where, order_id=transaction.id, **order_fields(payload))
    if notify:
        for device in unit.devices(session.dialect, session.user):
            if device.state == "active":
                to = device.document.get("pushToken") or device.id
                send(
                    unit,
                    "push",
                    to,
                    "Confirm a payment" if kind is Kind.PAYMENT else "Confirm it is you",
                    transactionId=transaction.id,
                )
    return transaction


def order_fields(payload: Any) -> dict[str, Any]:
    """What the log keeps of an order (sca-rules: `order_created`)."""
    order = read_order(payload)
    if order is None:
        return {"kind": "unknown-shape", "order_hash": hashlib.sha256(canonical_json(payload)).hexdigest()}
    batch = (
        [{"payee_name": p.name, "payee_id": p.account, "amount": p.amount} for p in order.payees]
        if len(order.payees) > 1
        else []
    )
    first = order.payees[0]
    return {
        "kind": "batch" if batch else "single",
        "amount_minor": _loggable(order.minor_units),
        "currency": order.currency,
        "payee_id": first.account,
        "payee_name": order.payee_name,
        "batch": batch,
    }


def _loggable(number: int) -> int | str:
    """An integer that RFC 8785 carries (so that a bundle can hold the entry), else its digits."""
    return number if number < 2**53 else str(number)


def challenge_id(nonce: str) -> str:
    """How the log names a challenge: SHA-256 of its nonce."""
    return hashlib.sha256(nonce.encode()).hexdigest()


def issue_nonce(unit: UnitOfWork, transaction: Transaction, life: timedelta = NONCE_LIFE) -> tuple[NonceFacts, bytes]:
    """A further nonce for this transaction, and the challenge that an honest phone signs with it."""
    nonce = unit.add_nonce(transaction.id, life)
    challenge = step_up_challenge(
        Kind(transaction.kind), b64url_decode(nonce.value), transaction.id, b64url_decode(transaction.digest)
    )
    unit.log(
        "challenge_issued", dialect=transaction.dialect, user=transaction.user, session=transaction.session, transaction=transaction.id,
        challenge_id=challenge_id(nonce.value), order_hash=transaction.digest, trigger=transaction.document.get("trigger", "b"),
        exp=rfc3339(nonce.expires_at),
    )  # fmt: skip
    return nonce, challenge


def announce_code(unit: UnitOfWork, transaction: Transaction) -> None:
    """Log that a one-time code was sent for this transaction; its challenge is known as SHA-256 of the transaction's id."""
    unit.log(
        "challenge_issued", dialect=transaction.dialect, user=transaction.user, session=transaction.session, transaction=transaction.id,
        challenge_id=challenge_id(transaction.id), order_hash=transaction.digest, trigger=transaction.document.get("trigger", "b"),
        exp=rfc3339(transaction.expires_at),
    )  # fmt: skip


def deliver(unit: UnitOfWork, transaction: Transaction, outcome: str, assertion: Mapping[str, Any] | None) -> None:
    """Keep what the phone sent; it serves one evaluated attempt. A later delivery replaces an earlier one."""
    transaction.outcome = outcome
    transaction.assertion = None if assertion is None else json.dumps(assertion, separators=(",", ":"))
    unit.put_transaction(transaction)


def attempt(
    unit: UnitOfWork,
    transaction: Transaction,
    session: Session,
    this: Try,
    *,
    policy: Policy,
    trust: Trust,
    config: Config | None = None,
) -> Decision:
    """Judge one step-up call and change the state accordingly.

    `config`: what the operator declared (None: nothing); it is kept with the verdict.
    """
    user = unit.user(session.dialect, session.user)
    if user is None:
        raise LookupError("a session's user exists")
    transaction.attempts += 1
    case = Case(gather(unit, transaction, session, user, this), policy, trust)
    findings = judge_case(case)
    good = all_accepted(findings)
    decision = Decision(good, _stage(findings, good), transaction.attempts, findings, case)
    if decision.stage in ("accepted", "elements"):
        _evaluated(unit, transaction, session, user, this, decision)
    elif decision.stage == "declined":
        _declined(unit, transaction, session, this, decision)
    else:
        _log_attempt(unit, transaction, session, this, decision, outcome="not_evaluated")
    unit.put_transaction(transaction)
    grounds = grounds_of(policy, trust, config or SERVER_CONFIG)
    keep_grounds(unit, grounds)
    unit.add_verdict(
        StoredVerdict(
            transaction.id,
            transaction.attempts,
            good,
            unit.at,
            unit.log_seq,
            policy.name,
            grounds.digest,
            case.evidence,
            findings,
        )
    )
    return decision


def gather(unit: UnitOfWork, transaction: Transaction, session: Session, user: User, this: Try) -> Evidence:
    """The facts of this attempt; a header wins over what the phone delivered. What it delivered answers its own user only."""
    own = transaction.user == session.user
    source: Literal["header", "delivered", ""] = ""
    text: str | None = None
    unreadable: str | None = None
    if this.device_required and this.header is not None:
        source = "header"
        try:
            text = b64url_decode(this.header, "X-Device-Assertion").decode()
        except (FormatError, UnicodeDecodeError):
            unreadable = this.header[:256]
    elif this.device_required and transaction.assertion is not None and own:
        source, text = "delivered", transaction.assertion
    credential, nonce = _look_up(unit, text)
    declined = transaction.outcome == "declined" and own
    return Evidence(
        now=unit.now,
        attempt=transaction.attempts,
        method=this.method,
        transaction=transaction_facts(transaction),
        caller=CallerFacts(
            user=session.user, session=session.id, failures=user.failures, blocked=blocked(user, unit.now)
        ),
        secret=_not_compared(this.secret) if declined else this.secret,
        prior=this.prior,
        declined=declined,
        evidence_source=source,
        assertion=text,
        assertion_unreadable=unreadable,
        credential=credential,
        nonce=nonce,
        device_required=this.device_required,
        transport=this.transport,
    )


def _not_compared(secret: SecretFacts | None) -> SecretFacts | None:
    """A secret that came beside the user's no: whether it was right is not looked at, and not kept."""
    return None if secret is None else SecretFacts(kind=secret.kind, channel=secret.channel)


def transaction_facts(transaction: Transaction) -> TransactionFacts:
    return TransactionFacts(
        id=transaction.id, dialect=transaction.dialect, kind=transaction.kind, user=transaction.user, session=transaction.session,  # type: ignore[arg-type]
        state=transaction.state, payload=transaction.payload, created_at=transaction.created_at, expires_at=transaction.expires_at,
        trigger=transaction.document.get("trigger", "b"), methods=tuple(transaction.methods),
    )  # fmt: skip


def _look_up(unit: UnitOfWork, text: str | None) -> tuple[CredentialFacts | None, NonceFacts | None]:
    """The stored key and nonce that an assertion names; nothing where it cannot be read (its check says so)."""
    credential, nonce = look_up(text) if text is not None else (None, None)
    return unit.credential(credential) if credential else None, unit.nonce(nonce) if nonce else None


def _stage(findings: tuple[Finding, ...], good: bool) -> Stage:
    if good:
        return "accepted"
    for finding in findings:
        if finding.outcome is Outcome.FAIL:
            if finding.check.startswith("user."):
                return "blocked"
            if finding.check.startswith("transaction."):
                return "transaction"
            if finding.check == "evidence.approved":
                return "declined"
    return "elements"


def _evaluated(
    unit: UnitOfWork, transaction: Transaction, session: Session, user: User, this: Try, decision: Decision
) -> None:
    nonce = decision.evidence.nonce
    if nonce is not None and nonce.transaction_id == transaction.id:
        unit.consume_nonce(nonce.value)
    transaction.assertion = None
    if transaction.outcome != "declined":  # a no stays a no, until the phone says otherwise
        transaction.outcome = None
    _log_alteration(unit, transaction, session, decision)
    _log_attempt(unit, transaction, session, this, decision, outcome="accepted" if decision.accepted else "failed")
    if not decision.accepted:
        if nonce is not None and nonce.consumed_at is not None:
            unit.log(
                "code_replayed",
                **_where(transaction, session),
                code_id=challenge_id(nonce.value),
                order_id=transaction.id,
            )
        guessed = _guessed(decision.evidence)
        if count_failure(unit, user, of=guessed, session=session.id, transaction=transaction.id, rule=this.rule):
            transaction.state = "VOID"
        return
    if _shows_two(decision.evidence):
        count_success(unit, user)
    else:
        count_single_success(unit, user, _guessed(decision.evidence))
    transaction.state = "VERIFIED"
    if this.verified_life is not None:
        transaction.expires_at = unit.now + this.verified_life
    code = challenge_id(nonce.value) if nonce is not None else hashlib.sha256(transaction.id.encode()).hexdigest()
    unit.log(
        "code_accepted",
        **_where(transaction, session),
        code_id=code,
        order_id=transaction.id,
        trigger=decision.evidence.transaction.trigger,
    )
    _count_uses(unit, decision.case)


def _guessed(evidence: Evidence) -> str:
    """What somebody who fails here has guessed at: the secret that the server compared, else the device's signature."""
    return evidence.secret.kind if evidence.secret is not None and evidence.secret.result else "device"


def _shows_two(evidence: Evidence) -> bool:
    """Whether an accepted attempt shows two categories: every method with a device does, a secret only beside what its session showed."""
    from server_stub.rules.elements import category_of

    if evidence.device_required:
        return True
    category = None if evidence.secret is None else category_of(evidence.secret.kind)
    return len({str(prior.category) for prior in evidence.prior} | ({str(category)} if category else set())) > 1


def _declined(unit: UnitOfWork, transaction: Transaction, session: Session, this: Try, decision: Decision) -> None:
    """The phone's user said no: nothing was evaluated, so nothing counts as a failure; the fifth no ends the identifier."""
    _log_attempt(unit, transaction, session, this, decision, outcome="declined")
    declined = transaction.document.get("declined", 0) + 1
    transaction.document["declined"] = declined
    if declined >= MOST_DECLINED:
        transaction.state = "VOID"


def _count_uses(unit: UnitOfWork, case: Case) -> None:
    """Keep the counters of an accepted assertion (WebAuthn L3: only after every check passed)."""
    if (credential := case.evidence.credential) is not None:  # found by its assertion alone
        unit.put_counters(credential.credential_id, *received_counters(case))


def _where(transaction: Transaction, session: Session) -> dict[str, str]:
    return {"dialect": transaction.dialect, "user": session.user, "session": session.id, "transaction": transaction.id}


def _log_attempt(
    unit: UnitOfWork, transaction: Transaction, session: Session, this: Try, decision: Decision, *, outcome: str
) -> None:
    evidence = decision.evidence
    shown = _shown_payment(decision.case, decision.findings)
    if shown is not None:
        unit.log("display_ack", **_where(transaction, session), challenge_id=_challenge_of(evidence), text_hash=shown)
    looked: dict[str, Any] = {"secret_found_in": found_in(this.given, evidence)} if any(this.given) else {}
    if this.tls is not None:
        looked["tls"] = this.tls
    unit.log(
        "sca_attempt", **_where(transaction, session), challenge_id=_challenge_of(evidence),
        credential_id=evidence.credential.credential_id if evidence.credential else None, outcome=outcome, method=this.method,
        internal_reason=list(decision.failed), public_problem_id="" if decision.accepted else this.problem,
        trigger=evidence.transaction.trigger, attempt=decision.attempt, **looked,
    )  # fmt: skip


def _log_alteration(unit: UnitOfWork, transaction: Transaction, session: Session, decision: Decision) -> None:
    """Where the key's attestation was found to say that phone or app are not as their makers left them (RTS Art. 9(3)(b) and (c))."""
    found, credential = [check for check in decision.failed if check in ALTERATION], decision.evidence.credential
    if found and credential is not None:
        unit.log(
            "attestation_evaluated", **_where(transaction, session), credential_id=credential.credential_id, device_id=credential.device_id,
            verdict="altered", checks=found,
        )  # fmt: skip


def _challenge_of(evidence: Evidence) -> str | None:
    return challenge_id(evidence.nonce.value) if evidence.nonce is not None else None


def _passed(check: str, findings: tuple[Finding, ...]) -> bool:
    for finding in findings:
        if finding.check == check:
            return finding.outcome is Outcome.PASS
    return False


def _shown_payment(case: Case, findings: tuple[Finding, ...]) -> str | None:
    """SHA-256 (hex) of the signed `payment` member, where the signature over it verified."""
    if not _passed("assertion.signature", findings):
        return None
    payment = case.client_data.payment
    return hashlib.sha256(msgspec.json.encode(payment, order="sorted")).hexdigest() if payment is not None else None
