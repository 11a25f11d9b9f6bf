"""The step-ups that wait for a phone: listed, shown with a fresh nonce, and answered."""

from __future__ import annotations

from typing import Any

from device_keys.clock import rfc3339
from device_keys.encoding import FormatError, b64url_encode, member
from server_stub.device.enrolment import TIMEOUT_MS
from server_stub.http import Call, Reply
from server_stub.own_routes import refuse
from server_stub.records import Device, Transaction
from server_stub.relying_party import deliver, issue_nonce
from server_stub.server import Server
from server_stub.store import UnitOfWork


def _device(unit: UnitOfWork, call: Call) -> Device:
    device = unit.device_by_token(call.bearer) if call.bearer else None
    if device is None or device.state != "active":
        raise refuse(401, "not_enrolled", "this phone is not enrolled at this server: enrol it (again)")
    return device


def _described(server: Server, transaction: Transaction) -> dict[str, Any]:
    request = dict(transaction.document.get("request") or {})
    if request:
        request["path"] = server.mount_of(transaction.dialect) + request["path"]
    return {
        "transactionId": transaction.id,
        "dialect": transaction.dialect,
        "kind": transaction.kind,
        "payload": transaction.payload,
        "expiresAt": rfc3339(transaction.expires_at),
        "methods": transaction.methods,
        "request": request or None,
        "outcome": transaction.outcome,
    }


async def list_step_ups(server: Server, call: Call) -> Reply:
    """`GET step-ups`: those that wait for this phone, oldest first, without nonces."""
    with server.store.reading() as unit:
        device = _device(unit, call)
        waiting = unit.open_transactions(device.dialect, device.user)
        return Reply(200, [_described(server, t) for t in waiting if t.document.get("device", True)])


def _step_up(unit: UnitOfWork, device: Device, transaction_id: str) -> Transaction:
    transaction = unit.transaction(transaction_id)
    mine = transaction is not None and (transaction.dialect, transaction.user) == (device.dialect, device.user)
    if transaction is None or not mine or transaction.state != "ISSUED" or unit.now >= transaction.expires_at:
        raise refuse(404, "unknown_step_up", "step-up: expected the id of one that waits for this phone")
    return transaction


async def get_step_up(server: Server, call: Call) -> Reply:
    """`GET step-ups/{id}`: what is to be confirmed, with a further nonce; earlier unused ones stay valid for their life."""
    with server.store.begin() as unit:
        device = _device(unit, call)
        transaction = _step_up(unit, device, call.params["id"])
        nonce, challenge = issue_nonce(unit, transaction)
        options = {
            "challenge": b64url_encode(challenge),
            "rpId": server.policy.rp_id,
            "timeout": TIMEOUT_MS,
            "userVerification": "preferred",
            "allowCredentials": [
                {"type": "public-key", "id": c.credential_id} for c in unit.credentials_of_device(device.id)
            ],
        }
        return Reply(200, _described(server, transaction) | {"nonce": nonce.value, "publicKey": options})


async def answer_step_up(server: Server, call: Call) -> Reply:
    """`POST step-ups/{id}`: what the phone's user decided; the evidence is kept for one evaluated attempt."""
    body = call.json()
    outcome = member(body, "outcome", str)
    if outcome not in ("approved", "declined"):
        raise FormatError("outcome", "approved or declined")
    assertion = member(body, "assertion", dict, required=outcome == "approved")
    with server.store.begin() as unit:
        device = _device(unit, call)
        transaction = _step_up(unit, device, call.params["id"])
        deliver(unit, transaction, outcome, assertion)
        dialect = server.dialect(transaction.dialect)
        if dialect is not None and dialect.on_delivered is not None:
            dialect.on_delivered(server, unit, transaction)
        return Reply(200, {"transactionId": transaction.id, "outcome": outcome})
