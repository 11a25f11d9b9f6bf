"""Outgoing wire transfers, and the challenges that confirm them: they execute the payment and step nothing up (S1-34; weavr.md 10)."""

from __future__ import annotations

import json
from typing import Any, Final

from device_keys.messages import Kind
from device_keys.orders import major_units, read_order
from server_stub.blocking import blocked
from server_stub.dialects.weavr import otp
from server_stub.dialects.weavr.constants import NAME, OTP_CHANNELS, PUSH_CHANNELS, WEAVR
from server_stub.dialects.weavr.gate import Visit
from server_stub.dialects.weavr.people import new_number
from server_stub.dialects.weavr.push import check_push, is_open, open_push
from server_stub.dialects.weavr.replies import (
    NO_CONTENT,
    channel,
    conflict,
    invalid,
    member_object,
    one_of,
    optional_text,
    text,
    unknown,
    verification_code,
)
from server_stub.dialects.weavr.stepup import usable
from server_stub.http import Reply
from server_stub.records import Transaction, User
from server_stub.store import UnitOfWork

TRANSFERS: Final = "weavr-transfer"
PURPOSE: Final = "payment"
RESOURCE_TYPES: Final = (
    "outgoing_wire_transfers",
    "sends",
    "linked_account_declaration",
    "correspondent_bank_transfers",
)
PENDING: Final = "PENDING_CHALLENGE"


# --- transfers -------------------------------------------------------------------------------------------------------


def create_transfer(visit: Visit) -> Reply:
    """`POST /outgoing_wire_transfers`: no stepped-up token is asked for; the payment waits for its own challenge."""
    body = visit.call.json()
    source = member_object(body, "sourceInstrument")
    account_id = text(source, "id", field="sourceInstrument.id")
    account = visit.user.document["accounts"].get(account_id)
    if account is None:
        raise conflict("SOURCE_NOT_FOUND")
    transfer: dict[str, Any] = {
        "id": new_number(visit.unit.entropy, "transfer"), "type": "OUTGOING_WIRE_TRANSFER", "state": PENDING,
        "sourceInstrument": {"type": "managed_accounts", "id": account_id},
        "transferAmount": amount(body, account["currency"]), "destinationBeneficiary": _beneficiary(body),
        "description": optional_text(body, "description", 35) or "", "creationTimestamp": int(visit.unit.now.timestamp() * 1000),
    }  # fmt: skip
    if transfer["transferAmount"]["amount"] > account["balance"]:
        raise conflict("FUNDS_INSUFFICIENT")
    visit.unit.put_record(TRANSFERS, transfer["id"], visit.user.id, transfer | {"owner": visit.user.id})
    return Reply(200, transfer)


def amount(body: dict[str, Any], currency: str) -> dict[str, Any]:
    """`transferAmount`: a positive number of minor units, in the account's currency."""
    given = member_object(body, "transferAmount")
    value = given.get("amount")
    if value is None:
        raise invalid("transferAmount.amount", "REQUIRED")
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value < 10**15:
        raise invalid("transferAmount.amount", "RANGE", "1", str(10**15 - 1))
    if text(given, "currency", 3, field="transferAmount.currency") != currency:
        raise invalid("transferAmount.currency", "IN", currency)
    return {"amount": value, "currency": currency}


def _beneficiary(body: dict[str, Any]) -> dict[str, Any]:
    """`destinationBeneficiary`: a name, and an IBAN or a sort code with an account number."""
    given = member_object(body, "destinationBeneficiary")
    where = "destinationBeneficiary"
    name = text(given, "name", 150, field=f"{where}.name")
    details = member_object(given, "bankAccountDetails")
    found = {
        key: optional_text(details, key, 34, field=f"{where}.bankAccountDetails.{key}")
        for key in ("iban", "sortCode", "accountNumber")
    }
    kept = {key: value for key, value in found.items() if value}
    if not kept.get("iban") and not (kept.get("sortCode") and kept.get("accountNumber")):
        raise invalid(f"{where}.bankAccountDetails", "ALL_OR_NONE", "iban", "sortCode, accountNumber")
    return {"name": name, "bankAccountDetails": kept}


def get_transfer(visit: Visit) -> Reply:
    """`GET /outgoing_wire_transfers/{id}`: needs a stepped-up token."""
    return Reply(200, _shown(_transfer(visit, visit.call.params["id"])))


def _shown(transfer: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in transfer.items() if name != "owner"}


def _transfer(visit: Visit, transfer_id: str) -> dict[str, Any]:
    transfer = visit.unit.record(TRANSFERS, transfer_id)
    if transfer is None or transfer["owner"] != visit.user.id:
        raise unknown("outgoing wire transfer")
    return transfer


# --- challenges ------------------------------------------------------------------------------------------------------


def _resources(body: dict[str, Any]) -> tuple[str, list[str]]:
    kind = one_of(body, "resourceType", RESOURCE_TYPES)
    ids = body.get("resourceIds")
    if ids is None:
        raise invalid("resourceIds", "REQUIRED")
    if (
        not isinstance(ids, list)
        or not ids
        or not all(isinstance(item, str) and item.isascii() and item.isdigit() for item in ids)
    ):
        raise invalid("resourceIds", "AT_LEAST", "1")
    if len(ids) > 100 or len(set(ids)) != len(ids):
        raise invalid("resourceIds", "SIZE", "1", "100")
    return kind, ids


def _payload(visit: Visit, kind: str, ids: list[str]) -> dict[str, Any]:
    """The order that is confirmed: one transfer as it is, several as a batch. Only what waits for its challenge has one."""
    found = [visit.unit.record(TRANSFERS, item) for item in ids] if kind == "outgoing_wire_transfers" else [None]
    mine = [item for item in found if item is not None and item["owner"] == visit.user.id and item["state"] == PENDING]
    if len(mine) != len(found) or len({item["transferAmount"]["currency"] for item in mine}) != 1:
        raise conflict(otp.STATE)
    if len(mine) == 1:
        return _order(mine[0])
    return {"payments": [_single(item) for item in mine]}


def _order(transfer: dict[str, Any]) -> dict[str, Any]:
    """What the payer confirms of a transfer: everything that it orders, nothing that is bookkeeping."""
    names = ("id", "sourceInstrument", "transferAmount", "destinationBeneficiary", "description")
    return {name: transfer[name] for name in names if transfer[name]}


def _single(transfer: dict[str, Any]) -> dict[str, Any]:
    """A transfer as an item of a batch."""
    money, beneficiary = transfer["transferAmount"], transfer["destinationBeneficiary"]
    payee = {"name": beneficiary["name"], **beneficiary["bankAccountDetails"]}
    return {
        "id": transfer["id"],
        "amount": major_units(money["amount"], money["currency"]),
        "currency": money["currency"],
        "payee": payee,
    }


def challenge_by_sms(visit: Visit) -> Reply:
    """`POST /challenges/otp/{channel}` (Multi): the SMS names amount and payee (RTS Art. 5(1)(a))."""
    channel(visit.call, OTP_CHANNELS)
    kind, ids = _resources(visit.call.json())
    usable(visit)
    payload = _payload(visit, kind, ids)
    earlier = _earlier(visit, ids)
    transaction = send_payment_code(visit, payload, earlier, PURPOSE, resources=ids, resourceType=kind)
    return Reply(200, {"scaChallengeId": transaction.id})


def _earlier(visit: Visit, ids: list[str]) -> list[Transaction]:
    """This user's challenges for the same resources, oldest first, since the newest login."""
    return [
        transaction
        for transaction in reversed(visit.unit.transactions(NAME, visit.user.id))
        if transaction.document.get("resources") == ids and transaction.session == visit.session.id
    ]


def send_payment_code(
    visit: Visit, payload: dict[str, Any], earlier: list[Transaction], purpose: str, **document: Any
) -> Transaction:
    """A code for this payment; again not before 15 s, and at most five times in one login session; none in a block."""
    if blocked(visit.user, visit.unit.now):
        raise conflict(otp.LIMIT)
    sent = [transaction for transaction in earlier if "code" in transaction.document]
    if len(sent) >= WEAVR.payment_challenges:
        raise conflict(otp.LIMIT)
    if sent and visit.unit.now - sent[-1].created_at < WEAVR.retry_wait:
        raise conflict("RETRY_IN_15SEC")
    about = describe(payload)
    return otp.send_code(
        visit, purpose=purpose, payload=payload, kind=Kind.PAYMENT, trigger="b", replaces=sent[-1] if sent else None,
        text=lambda code: f"{code} is your code to pay {about}. Not your payment? Do not use it.", **document,
    )  # fmt: skip


def describe(payload: dict[str, Any]) -> str:
    """Amount and payee in words; a payment run with its id."""
    order = read_order(payload)
    run = f" (payment run {payload['paymentRunId']})" if "paymentRunId" in payload else ""
    return f"{order.currency} {order.amount} to {order.payee_name}{run}" if order is not None else f"your order{run}"


def challenge_by_push(visit: Visit) -> Reply:
    """`POST /challenges/push/{channel}` (Multi): shown and signed on the phone."""
    by = channel(visit.call, PUSH_CHANNELS)
    kind, ids = _resources(visit.call.json())
    check_push(visit, by)
    payload = _payload(visit, kind, ids)
    earlier = _earlier(visit, ids)
    if any(transaction.document.get("push") and is_open(visit.unit, transaction) for transaction in earlier):
        raise conflict(otp.STATE)
    if sum(1 for transaction in earlier if transaction.document.get("push")) >= WEAVR.payment_challenges:
        raise conflict(otp.LIMIT)
    transaction = open_push(
        visit, by, PURPOSE, payload, kind=Kind.PAYMENT, trigger="b", resources=ids, resourceType=kind
    )
    return Reply(200, {"scaChallengeId": transaction.id})


def verify_challenge(visit: Visit) -> Reply:
    """`POST /challenges/{scaChallengeId}/otp/{channel}/verify` (Multi): the payment is executed; the token is not stepped up."""
    channel(visit.call, OTP_CHANNELS)
    body = visit.call.json()
    kind = one_of(body, "resourceType", RESOURCE_TYPES)
    code = verification_code(body, visit.surface)
    usable(visit)
    transaction = visit.unit.transaction(visit.call.params["scaChallengeId"])
    mine = transaction is not None and (transaction.dialect, transaction.user) == (NAME, visit.user.id)
    if (
        transaction is None
        or not mine
        or transaction.document.get("resourceType") != kind
        or "code" not in transaction.document
    ):
        raise conflict(otp.STATE)
    refusal = otp.judge(visit, transaction, code)
    if refusal is not None:
        return conflict(otp.STATE if refusal == otp.VERIFIED else refusal).reply
    execute(visit.unit, transaction, visit.unit.user(NAME, visit.user.id) or visit.user)
    return NO_CONTENT


def execute(unit: UnitOfWork, transaction: Transaction, user: User) -> None:
    """Carry out what the challenge confirmed, once; a transfer that its account no longer covers fails by itself."""
    transaction.state = "CONSUMED"
    unit.put_transaction(transaction)
    done = [_execute_one(unit, transfer_id, user) for transfer_id in transaction.document["resources"]]
    unit.put_user(user)
    if any(done):
        record_payment(unit, transaction)


def _execute_one(unit: UnitOfWork, transfer_id: str, user: User) -> bool:
    transfer = unit.record(TRANSFERS, transfer_id)
    if transfer is None or transfer["state"] != PENDING:
        return False
    money, account = transfer["transferAmount"], user.document["accounts"].get(transfer["sourceInstrument"]["id"])
    covered = account is not None and account["balance"] >= money["amount"]
    transfer["state"] = "COMPLETED" if covered else "FAILED"
    unit.put_record(TRANSFERS, transfer_id, user.id, transfer)
    if account is not None and covered:
        account["balance"] -= money["amount"]
        account.setdefault("entries", []).append(_entry(unit, transfer, account))
    return covered


def _entry(unit: UnitOfWork, transfer: dict[str, Any], account: dict[str, Any]) -> dict[str, Any]:
    """A line of the account's statement."""
    money = transfer["transferAmount"]
    return {
        "transactionId": {"type": "OUTGOING_WIRE_TRANSFER", "id": transfer["id"]},
        "transactionAmount": {"currency": money["currency"], "amount": -money["amount"]},
        "balanceAfter": {"currency": account["currency"], "amount": account["balance"]},
        "processedTimestamp": int(unit.now.timestamp() * 1000),
    }


def record_payment(unit: UnitOfWork, transaction: Transaction) -> None:
    """Note that the order of this challenge was executed, in the log and in the list of payments."""
    payment = unit.new_id("payment")
    unit.sql.run(
        "insert_payment", id=payment, dialect=NAME, user=transaction.user, transaction=transaction.id, created_at=unit.at,
        document=json.dumps(transaction.payload, separators=(",", ":")),
    )  # fmt: skip
    unit.log(
        "order_executed", dialect=NAME, user=transaction.user, session=transaction.session, transaction=transaction.id,
        order_id=transaction.id, payment_id=payment,
    )  # fmt: skip
