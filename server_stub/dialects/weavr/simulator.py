"""The Simulator (weavr.md section 11): decides a challenge as if the user had answered. No element is shown, so no verdict follows."""

from __future__ import annotations

from typing import Final

from server_stub.dialects.weavr import enrolment, stepup
from server_stub.dialects.weavr.constants import NAME, SMS
from server_stub.dialects.weavr.gate import Visit, Work
from server_stub.dialects.weavr.payments import PURPOSE as PAYMENT
from server_stub.dialects.weavr.payments import execute
from server_stub.dialects.weavr.push import is_open, settle
from server_stub.dialects.weavr.replies import conflict, unknown
from server_stub.dialects.weavr.runs import execute_run
from server_stub.dialects.weavr.watch import Status, factor_changed, step_up_decided
from server_stub.http import Reply
from server_stub.records import Transaction

KEYS: Final = ("programme-key", "api-key")
OUTCOMES: Final[dict[str, Status]] = {
    "verify_success": "VERIFIED",
    "verify_invalid": "DECLINED",
    "verify_expired": "EXPIRED",
}


def decide_route(outcome: str) -> Work:
    """`POST /factors/{credentials_id}/challenges/{challenge_id}/<outcome>`: COMPLETED for a success, else DENIED."""
    status = OUTCOMES[outcome]

    def decide(visit: Visit) -> Reply:
        transaction = visit.unit.transaction(visit.call.params["challenge_id"])
        mine = transaction is not None and (transaction.dialect, transaction.user) == (NAME, visit.user.id)
        if transaction is None or not mine or visit.call.params["credentials_id"] != visit.user.id:
            raise unknown("challenge of these credentials")
        if not is_open(visit.unit, transaction):
            raise conflict("STATE_INVALID")
        transaction.state = "VERIFIED" if status == "VERIFIED" else "VOID"
        transaction.document["simulated"] = outcome
        visit.unit.put_transaction(transaction)
        visit.unit.log(
            "challenge_simulated",
            dialect=NAME,
            user=visit.user.id,
            session=transaction.session,
            transaction=transaction.id,
            outcome=outcome,
        )
        if transaction.document.get("push"):
            settle(visit.server, visit.unit, transaction, status)
        else:
            _settle_code(visit, transaction, status)
        return Reply(200, {"code": "COMPLETED" if status == "VERIFIED" else "DENIED"})

    return decide


def _settle_code(visit: Visit, transaction: Transaction, status: Status) -> None:
    """A code by SMS, decided without the code."""
    purpose, session = transaction.document["purpose"], visit.unit.session(transaction.session)
    verified = status == "VERIFIED"
    if purpose == stepup.PURPOSE:
        if verified and session is not None:
            stepup.mark_stepped_up(visit.unit, session)
        step_up_decided(visit.server, visit.unit, visit.user, transaction.id, status, SMS)
    elif purpose == enrolment.PURPOSE and verified:
        visit.user.document["factors"][SMS] = "ACTIVE"
        visit.save_user()
        factor_changed(visit.server, visit.unit, visit.user, SMS, active=True)
    elif purpose == PAYMENT and verified:
        execute(visit.unit, transaction, visit.user)
    elif verified:
        execute_run(visit.unit, transaction)
