"""Payment runs (S1-8): created, confirmed, challenged by SMS through the sandbox's Simulator, funded and executed (weavr.md 10)."""

from __future__ import annotations

from typing import Any, Final

from device_keys.orders import major_units
from server_stub.blocking import blocked
from server_stub.dialects.weavr import otp
from server_stub.dialects.weavr.constants import NAME, OTP_CHANNELS
from server_stub.dialects.weavr.gate import Visit
from server_stub.dialects.weavr.payments import record_payment, send_payment_code
from server_stub.dialects.weavr.replies import (
    INVALID_REQUEST,
    NO_CONTENT,
    channel,
    conflict,
    invalid,
    member_object,
    optional_text,
    text,
    unknown,
    verification_code,
)
from server_stub.dialects.weavr.stepup import usable
from server_stub.http import Reply
from server_stub.records import Transaction
from server_stub.relying_party import order_fields
from server_stub.store import UnitOfWork

RUNS: Final = "weavr-run"
PURPOSE: Final = "payment-run"
PENDING_CONFIRMATION: Final = "PENDING_CONFIRMATION"
PENDING_CHALLENGE: Final = "PENDING_CHALLENGE"
SCA_FAILED: Final = "SCA_FAILED"
VERIFY_FAILED: Final = "PAYMENT_RUN_SCA_CHALLENGE_VERIFY_FAILED"
MOST_PAYMENTS: Final = 100


def create_run(visit: Visit) -> Reply:
    """`POST /v1/payment_runs`: a list of payments to suppliers, each perhaps marked trusted (S1-5)."""
    body = visit.call.json()
    listed = body.get("payments")
    if listed is None:
        raise invalid("payments", "REQUIRED")
    if not isinstance(listed, list) or not 1 <= len(listed) <= MOST_PAYMENTS:
        raise invalid("payments", "SIZE", "1", str(MOST_PAYMENTS))
    payments = [_payment(item, f"payments[{index}]") for index, item in enumerate(listed)]
    if len({payment["paymentAmount"]["currency"] for payment in payments}) != 1:
        raise invalid("payments", "EXACTLY", "one currency")
    run = {
        "id": visit.unit.entropy.bytes("weavr run", 12).hex(), "paymentRunRef": optional_text(body, "paymentRunRef", 50) or "",
        "payments": payments, "status": PENDING_CONFIRMATION, "createdBy": visit.user.id, "createdAt": visit.unit.at, "history": [],
    }  # fmt: skip
    _save(visit.unit, run, PENDING_CONFIRMATION)
    return Reply(200, run)


def _payment(item: Any, where: str) -> dict[str, Any]:
    if not isinstance(item, dict):
        raise invalid(where, "REQUIRES", "an object")
    supplier, money = member_object(item, "supplier"), member_object(item, "paymentAmount")
    account = member_object(supplier, "bankAccountDetails")
    trusted = supplier.get("trusted", False)
    if not isinstance(trusted, bool):
        raise invalid(f"{where}.supplier.trusted", "IN", "true", "false")
    value = money.get("amount")
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value < 10**15:
        raise invalid(f"{where}.paymentAmount.amount", "RANGE", "1", str(10**15 - 1))
    details = {
        key: optional_text(account, key, 34, field=f"{where}.{key}") for key in ("iban", "sortCode", "accountNumber")
    }
    return {
        "paymentRef": optional_text(item, "paymentRef", 50, field=f"{where}.paymentRef") or "",
        "paymentAmount": {"amount": value, "currency": text(money, "currency", 3, field=f"{where}.paymentAmount.currency", least=3)},
        "supplier": {
            "name": text(supplier, "name", 150, field=f"{where}.supplier.name"), "trusted": trusted,
            "bankAccountDetails": {key: value for key, value in details.items() if value},
        },
    }  # fmt: skip


def _save(unit: UnitOfWork, run: dict[str, Any], status: str) -> None:
    """Move the run on; every status it had stays in its history."""
    run["status"] = status
    run["history"].append({"status": status, "at": unit.at})
    unit.put_record(RUNS, run["id"], run["createdBy"], run)


def _run(visit: Visit, run_id: str) -> dict[str, Any]:
    run = visit.unit.record(RUNS, run_id)
    if run is None or run["createdBy"] != visit.user.id:
        raise unknown("payment run")
    return run


def get_run(visit: Visit) -> Reply:
    """`GET /v1/payment_runs/{id}`."""
    return Reply(200, _run(visit, visit.call.params["id"]))


def confirm_run(visit: Visit) -> Reply:
    """`POST /v1/payment_runs/{id}/confirm`: the run waits for its challenge; one that pays trusted suppliers only is exempt (S1-5)."""
    run = _run(visit, visit.call.params["id"])
    if run["status"] != PENDING_CONFIRMATION:
        raise conflict("PAYMENT_RUN_ALREADY_CONFIRMED")
    if not all(payment["supplier"]["trusted"] for payment in run["payments"]):
        _save(visit.unit, run, PENDING_CHALLENGE)
        return Reply(200, run)
    if blocked(visit.user, visit.unit.now):
        return INVALID_REQUEST  # what needs no challenge is a payment all the same (Art. 97(1)(b))
    where = {"dialect": NAME, "user": visit.user.id, "session": visit.session.id}
    visit.unit.log("order_created", **where, order_id=run["id"], **order_fields(payload_of(run)))
    visit.unit.log("exemption_applied", **where, article="13", counters=None, order_id=run["id"])
    _execute(visit.unit, run)
    visit.unit.log("order_executed", **where, order_id=run["id"])
    return Reply(200, run)


def payload_of(run: dict[str, Any]) -> dict[str, Any]:
    """The run as the order that is confirmed: every payment with its payee."""
    payments = [
        {
            "amount": major_units(payment["paymentAmount"]["amount"], payment["paymentAmount"]["currency"]),
            "currency": payment["paymentAmount"]["currency"],
            "payee": {"name": payment["supplier"]["name"], **payment["supplier"]["bankAccountDetails"]},
        }
        for payment in run["payments"]
    ]
    return {"paymentRunId": run["id"], "payments": payments}


def challenge_run(visit: Visit) -> Reply:
    """`POST /simulate/v1/payment_run_sca/{id}/challenges/otp/{channel}`: the SMS names the run's id."""
    channel(visit.call, OTP_CHANNELS)
    run = _run(visit, visit.call.params["id"])
    usable(visit)
    if run["status"] != PENDING_CHALLENGE:
        raise conflict(otp.STATE)
    send_payment_code(visit, payload_of(run), _challenges(visit, run), PURPOSE, runId=run["id"])
    return NO_CONTENT


def _challenges(visit: Visit, run: dict[str, Any]) -> list[Transaction]:
    """This login's challenges for the run, oldest first."""
    found = visit.unit.transactions(NAME, visit.user.id)
    return [t for t in reversed(found) if t.document.get("runId") == run["id"] and t.session == visit.session.id]


def verify_run(visit: Visit) -> Reply:
    """`…/verify`: a right code authorises, funds and executes the run; the fifth wrong one in a row leaves it SCA_FAILED."""
    channel(visit.call, OTP_CHANNELS)
    code = verification_code(visit.call.json(), visit.surface)
    run = _run(visit, visit.call.params["id"])
    usable(visit)
    challenges = _challenges(visit, run)
    if run["status"] == SCA_FAILED:
        raise conflict(VERIFY_FAILED)
    if not challenges:
        raise conflict(otp.STATE)
    refusal = otp.judge(visit, challenges[-1], code)
    if refusal is not None:
        if refusal == otp.LIMIT:
            _save(visit.unit, run, SCA_FAILED)
        return conflict(otp.STATE if refusal == otp.VERIFIED else refusal).reply
    execute_run(visit.unit, challenges[-1])
    return NO_CONTENT


def execute_run(unit: UnitOfWork, transaction: Transaction) -> None:
    """Carry out the run that this challenge confirmed."""
    run = unit.record(RUNS, transaction.document["runId"])
    transaction.state = "CONSUMED"
    unit.put_transaction(transaction)
    if run is not None and run["status"] == PENDING_CHALLENGE:
        _execute(unit, run)
        record_payment(unit, transaction)


def _execute(unit: UnitOfWork, run: dict[str, Any]) -> None:
    """Funding is simulated: the Buyer's linked account always covers the run."""
    for status in ("CONFIRMED", "PENDING_FUNDING", "EXECUTING", "COMPLETED"):
        _save(unit, run, status)
