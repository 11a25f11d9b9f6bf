"""A code by SMS, as enrolment, step-up and payments use it: sent for a transaction, judged as an attempt, told in Weavr's words.

The count of wrong codes belongs to the credential: it runs on over a retry and a new login, and starts anew after a right code, or when the
block that the fifth in a row brings is over (weavr.md 12.3).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

from device_keys.messages import Kind
from device_keys.orders import read_order
from server_stub.codes import CodeResult, issue_code, judge_code, read_code
from server_stub.delivery import send
from server_stub.dialects.weavr.constants import LOCK_RULE, SMS, WEAVR
from server_stub.dialects.weavr.gate import Visit
from server_stub.dialects.weavr.people import new_number, number_of
from server_stub.evidence import PriorElement, SecretFacts
from server_stub.records import Session, Transaction
from server_stub.relying_party import Decision, Try, announce_code, attempt, open_step_up, order_fields
from server_stub.store import UnitOfWork

INVALID: Final = "VERIFICATION_CODE_INVALID"
EXPIRED: Final = "VERIFICATION_CODE_EXPIRED"
ONE_LEFT: Final = "ONE_CHALLENGE_LIMIT_REMAINING"
LIMIT: Final = "CHALLENGE_LIMIT_EXCEEDED"
STATE: Final = "STATE_INVALID"
VERIFIED: Final = "ALREADY_VERIFIED"


def send_code(
    visit: Visit,
    *,
    purpose: str,
    payload: Any,
    text: Callable[[str], str],
    kind: Kind = Kind.ACCOUNT_ACCESS,
    trigger: str = "a",
    replaces: Transaction | None = None,
    **document: Any,
) -> Transaction:
    """A new transaction and the SMS with its code; the one that it replaces is dead. `text` makes its text."""
    unit, dead = visit.unit, _retire(visit.unit, replaces)
    transaction = open_step_up(
        unit, visit.session, kind=kind, payload=payload, methods=[SMS], life=WEAVR.challenge_life, trigger=trigger,
        transaction_id=new_number(unit.entropy, "challenge"), notify=False, device=False, purpose=purpose, channel=SMS,
        surface=visit.surface.name, callRef=visit.call.headers.get("call-ref", ""), **document,
    )  # fmt: skip
    code, kept = issue_code(
        unit, "weavr code", WEAVR.challenge_life, fixed=visit.server.settings.fixed_otp, unlike=map(read_code, dead)
    )
    transaction.document |= {"code": kept.to_json(), "dead": dead}
    unit.put_transaction(transaction)
    announce_code(unit, transaction)
    send(unit, "sms", number_of(visit.user) or "", text(code), code=code)
    _note_what_it_said(visit, transaction, text(code))
    return transaction


def _note_what_it_said(visit: Visit, transaction: Transaction, message: str) -> None:
    """Log amount and payee of the order where the message names both (RTS Art. 5(1)(a)); the message itself is not kept in the log."""
    order = read_order(transaction.payload) if transaction.kind is Kind.PAYMENT else None
    if order is not None and f"{order.currency} {order.amount} to {order.payee_name}" in message:
        visit.unit.log(
            "message_sent", dialect=transaction.dialect, user=transaction.user, session=transaction.session, transaction=transaction.id,
            channel="sms", **{name: order_fields(transaction.payload)[name] for name in ("amount_minor", "currency", "payee_name")},
        )  # fmt: skip


def _retire(unit: UnitOfWork, replaced: Transaction | None) -> list[dict[str, Any]]:
    """End the earlier challenge; its codes are remembered, so that the verdict can tell a superseded code from a wrong one."""
    if replaced is None:
        return []
    if replaced.state == "ISSUED":
        replaced.state = "VOID"
        unit.put_transaction(replaced)
    return [*replaced.document.get("dead", []), replaced.document["code"]]


def judge(visit: Visit, transaction: Transaction, code: str) -> str | None:
    """Judge one code: None if it was right, else the published code of the refusal."""
    document = transaction.document
    result = judge_code(code, read_code(document["code"]), visit.unit.now, map(read_code, document["dead"]))
    before = transaction.state
    this = Try(
        method="OTP_SMS", problem=_ladder(visit.user.failures + 1), device_required=False, prior=prior_elements(visit.session),
        secret=_observed(visit, result), given=(code,), tls=visit.call.tls, transport=visit.call.transport, rule=LOCK_RULE,  # type: ignore[arg-type]
    )  # fmt: skip
    decision = attempt(
        visit.unit,
        transaction,
        visit.session,
        this,
        policy=visit.server.policy,
        trust=visit.server.trust,
        config=visit.server.config,
    )
    return _told(visit, transaction, decision, before)


def _observed(visit: Visit, result: CodeResult) -> SecretFacts:
    """What the server saw of the code, and how it made it."""
    settings = visit.server.settings
    return SecretFacts(
        kind="otp-sms",
        result=result,
        channel="sms",
        fixed_code=settings.fixed_otp is not None,
        seeded=settings.seed is not None,
    )


def _told(visit: Visit, transaction: Transaction, decision: Decision, before: str) -> str | None:
    if decision.accepted:
        document = transaction.document
        document["code"] = read_code(document["code"]).spent().to_json()
        visit.unit.put_transaction(transaction)
        return None
    if decision.stage == "blocked":
        return STATE if transaction.document.get("usedUp") else LIMIT
    if decision.stage == "elements":
        told = _ladder(visit.user.failures + 1)
        if told == LIMIT:
            transaction.document["usedUp"] = True
            visit.unit.put_transaction(transaction)
        return told
    if before == "VERIFIED":
        return VERIFIED
    return EXPIRED if before == "ISSUED" and visit.unit.now >= transaction.expires_at else STATE


def _ladder(failures: int) -> str:
    """What the n-th wrong code in a row is answered with."""
    if failures >= WEAVR.wrong_codes:
        return LIMIT
    return ONE_LEFT if failures == WEAVR.wrong_codes - 1 else INVALID


def prior_elements(session: Session) -> tuple[PriorElement, ...]:
    """The password of this session's login, which may be reused with a second element (EBA Q&A 2018_4141)."""
    login = session.document.get("login") or {}
    if login.get("method") != "password":
        return ()
    return (PriorElement(category="knowledge", method="password", at=datetime.fromisoformat(login["at"])),)


def newest(visit: Visit) -> Transaction | None:
    """This session's newest SMS step-up."""
    transaction_id = visit.session.document.get("otp")
    return visit.unit.transaction(transaction_id) if transaction_id else None
