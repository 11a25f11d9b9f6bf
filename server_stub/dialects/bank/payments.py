"""The protected call: a payment is executed with a valid transaction identifier, else refused with a new one."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from device_keys.clock import stored_instant
from device_keys.encoding import FormatError, b64url_encode
from device_keys.messages import Kind, payload_digest
from device_keys.orders import Order, parse_order, read_order
from server_stub.dialects.bank.constants import BANK, NAME, STEP_UP_PATH
from server_stub.dialects.bank.errors import ERRORS, NOT_ALLOWED, error
from server_stub.dialects.bank.gate import caller, check_api_key
from server_stub.http import Call, Reply
from server_stub.records import Session, Transaction
from server_stub.relying_party import open_step_up
from server_stub.server import Server
from server_stub.store import UnitOfWork


async def pay(server: Server, call: Call) -> Reply:
    """`POST /v1/payments/domestic` (S0-5, S0-6, S0-14, S0-15): executed with a valid identifier, else refused with a new one."""
    check_api_key(call)
    with server.store.begin() as unit:
        session = caller(unit, call)
        body = call.json()
        digest = b64url_encode(payload_digest(body))
        transaction_id = call.headers.get("x-transactionid")
        if transaction_id:
            key = _idempotency_key(call, session.user, transaction_id, digest)
            repeated = _stored_answer(unit, key)
            if repeated is not None:
                return repeated
            transaction = _valid_transaction(unit, session, transaction_id, body, digest)
            if transaction is not None:
                return _execute(unit, session, transaction, key)
        if not _means_original(body, transaction_id):
            check_order(body)
        return _ask_for_step_up(unit, server, session, body)


def check_order(body: Any) -> Order | None:
    """The order, where its shape is known: its amount must be positive and have no more decimals than its currency."""
    order = parse_order(body)
    if order is not None and order.minor_units <= 0:
        raise FormatError("amount", "a positive amount")
    return order


def _means_original(body: dict[str, Any], transaction_id: str | None) -> bool:
    """Early clients replay with `requestPayload` (which is empty) plus the identifier (bank.md 5)."""
    return transaction_id is not None and body in ({}, {"transactionId": transaction_id})


def _valid_transaction(
    unit: UnitOfWork, session: Session, transaction_id: str, body: dict[str, Any], digest: str
) -> Transaction | None:
    """The stepped-up transaction that this call may execute, or None; a changed body voids it (RTS Art. 5(1)(d))."""
    transaction = unit.transaction(transaction_id)
    if transaction is None or transaction.dialect != NAME or transaction.kind != Kind.PAYMENT:
        return None
    mine = transaction.user == session.user and transaction.session == session.id
    if not mine or transaction.state != "VERIFIED" or unit.now >= transaction.expires_at:
        return None
    if digest == transaction.digest or _means_original(body, transaction_id):
        return transaction
    transaction.state = "VOID"
    unit.put_transaction(transaction)
    unit.log(
        "order_edited",
        dialect=NAME,
        user=session.user,
        session=session.id,
        transaction=transaction.id,
        order_id=transaction.id,
    )
    return None


def _execute(unit: UnitOfWork, session: Session, transaction: Transaction, key: str | None) -> Reply:
    user = unit.user(NAME, session.user)
    order = read_order(transaction.payload)
    where = {"dialect": NAME, "user": session.user, "session": session.id, "transaction": transaction.id}
    if user is not None and order is not None:
        balances = user.document.setdefault("balances", {})
        if balances.get(order.currency, 0) < order.minor_units:
            transaction.state = "VOID"
            unit.put_transaction(transaction)
            return error("400.000.53", f"the account holds less than {order.amount} {order.currency}")
        balances[order.currency] -= order.minor_units
        unit.put_user(user)
    transaction.state = "CONSUMED"
    unit.put_transaction(transaction)
    payment = unit.new_id("payment")
    answer = {"paymentId": payment, "status": "ACCEPTED"}
    unit.sql.run(
        "insert_payment", id=payment, dialect=NAME, user=session.user, transaction=transaction.id, created_at=unit.at,
        document=_text(transaction.payload),
    )  # fmt: skip
    unit.log("order_executed", **where, order_id=transaction.id, payment_id=payment)
    if key is not None:
        unit.sql.run("put_idempotent", key=key, created_at=unit.at, status=201, document=_text(answer))
    return Reply(201, answer)


def _text(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


def _idempotency_key(call: Call, user: str, transaction_id: str, digest: str) -> str | None:
    """Only a success is ever stored, under key, identifier, body and user together (bank.md 11.5)."""
    key = call.headers.get("idempotency-key")
    return hashlib.sha256("\0".join((NAME, user, key, transaction_id, digest)).encode()).hexdigest() if key else None


def _stored_answer(unit: UnitOfWork, key: str | None) -> Reply | None:
    row = unit.sql.one("get_idempotent", key=key) if key else None
    if row is None:
        return None
    if unit.now - stored_instant(row[0]) > BANK.idempotency_life:
        return None
    return Reply(row[1], json.loads(row[2]))


def _ask_for_step_up(unit: UnitOfWork, server: Server, session: Session, body: dict[str, Any]) -> Reply:
    """The seed's 403 (S0-5, S0-7), with a new identifier bound to this body, user and session."""
    methods = offered_methods(unit, server, session.user)
    transaction = open_step_up(
        unit, session, kind=Kind.PAYMENT, payload=body, methods=methods, life=BANK.issued_life, trigger="b",
        request={"method": "POST", "path": STEP_UP_PATH},
    )  # fmt: skip
    status, message = ERRORS["403.000.51"]
    refusal = {
        "code": "403.000.51", "message": message, "info": NOT_ALLOWED, "transactionId": transaction.id, "requestPayload": {},
        "authenticationMethods": methods,
    }  # fmt: skip
    return Reply(status, refusal)


def offered_methods(unit: UnitOfWork, server: Server, user: str) -> list[str]:
    """PASSCODE (S0-8); BIOMETRIC too once a phone with a biometric key is enrolled, or as `--methods` says."""
    if server.settings.methods is not None:
        return list(server.settings.methods)
    enrolled = any(
        credential.factor == "biometric"
        for device in unit.devices(NAME, user)
        if device.state == "active"
        for credential in unit.credentials_of_device(device.id)
    )
    return ["PASSCODE", "BIOMETRIC"] if enrolled else ["PASSCODE"]
