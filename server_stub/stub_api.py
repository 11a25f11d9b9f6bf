"""`/_stub`: for tests and reviewers, never part of a dialect. It shows what vendors' routes must not."""

from __future__ import annotations

import json
import math
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, Final

import msgspec

from device_keys import __version__
from device_keys.clock import check_calendar, parse_clock, rfc3339
from device_keys.encoding import FormatError, member
from server_stub.blocking import blocked, unblock
from server_stub.delivery import inbox
from server_stub.demo_users import users_of
from server_stub.devices import retire
from server_stub.evidence_key import evidence_key_of
from server_stub.guard import check_operator
from server_stub.http import Call, Endpoint, Handler, Refusal, Reply
from server_stub.log_chain import LogDamaged
from server_stub.openapi import STRING, obj, query, response
from server_stub.own_routes import ERROR, error, own_family
from server_stub.recorder import recorded
from server_stub.records import ServerClock, StoredVerdict, Transaction, User
from server_stub.server import Server
from server_stub.store import UnitOfWork
from server_stub.tables.transactions import LAST

PEM: Final = "application/x-pem-file"


def not_found(what: str) -> Refusal:
    return Refusal(error(404, "unknown", f"no such {what}"))


# --- clock -----------------------------------------------------------------------------------------------------------


def _clock_reply(unit: UnitOfWork) -> Reply:
    return Reply(200, {"now": unit.at, "frozen": unit.clock.frozen_at is not None})


async def get_clock(server: Server, _: Call) -> Reply:
    with server.store.reading() as unit:
        return _clock_reply(unit)


async def put_clock(server: Server, call: Call) -> Reply:
    """`{"now", "frozen"}`: set, freeze or release. `frozen` alone freezes at the present instant, or lets the system's time run again."""
    body = call.json()
    text = member(body, "now", str, required=False)
    frozen = member(body, "frozen", bool, required=False)
    with server.store.begin() as unit:
        source = server.store.source_clock
        instant = parse_clock(text, "now") if text is not None else unit.now
        if frozen is None:
            frozen = unit.clock.frozen_at is not None if text is not None else True
        if frozen:
            clock = ServerClock(frozen_at=rfc3339(instant))
        elif text is None:
            clock = ServerClock()
        else:
            clock = ServerClock(offset=(instant - source()) // timedelta(microseconds=1))
        check_calendar(clock.now(source), "now")
        unit.set_clock(clock, source)
        return _clock_reply(unit)


async def advance_clock(server: Server, call: Call) -> Reply:
    """`{"seconds"}`: forward, frozen or running as before."""
    seconds = member(call.json(), "seconds", (int, float))
    if not math.isfinite(seconds) or not 0 <= seconds <= 10**10:
        raise FormatError("seconds", "a number of seconds that is not negative")
    with server.store.begin() as unit:
        source = server.store.source_clock
        later = unit.now + timedelta(seconds=seconds)  # exists: before the year 9000, and 10**10 s are 317 years
        check_calendar(later, "seconds")
        if unit.clock.frozen_at is not None:
            clock = ServerClock(frozen_at=rfc3339(later))
        else:
            clock = ServerClock(offset=unit.clock.offset + round(seconds * 1_000_000))
        unit.set_clock(clock, source)
        return _clock_reply(unit)


# --- state -----------------------------------------------------------------------------------------------------------


async def reset(server: Server, _: Call) -> Reply:
    """Everything but the clock and the settings of `serve` as on a fresh server."""
    server.reset()
    return Reply(200, {"reset": True})


async def health(server: Server, _: Call) -> Reply:
    with server.store.reading() as unit:
        known = {"status": "ok", "now": unit.at, "version": __version__, "policy": server.policy.name}
    return Reply(200, known | {"load": server.load.to_json()})


def _user_json(unit: UnitOfWork, user: User) -> dict[str, Any]:
    state: dict[str, Any] = {
        "failures": user.failures,
        "blocks": user.blocks,
        "blocked": blocked(user, unit.now) or None,
    }
    if user.blocked_until is not None:
        state["blockedUntil"] = rfc3339(user.blocked_until)
    return {"dialect": user.dialect, "id": user.id, **users_of(user.dialect).describe_user(user), **state}


async def get_users(server: Server, _: Call) -> Reply:
    with server.store.reading() as unit:
        return Reply(200, [_user_json(unit, user) for user in unit.users()])


async def put_users(server: Server, call: Call) -> Reply:
    """One user, a list of users, or `{"users": […]}`: each is added or changed; `dialect` (default bank) and `id` name it."""
    from device_keys.encoding import parse_json

    body = parse_json(call.body)
    listed = body.get("users", [body]) if isinstance(body, dict) else body
    if not isinstance(listed, list) or not all(isinstance(item, dict) for item in listed):
        raise FormatError("body", "a user, or a list of users")
    with server.store.begin() as unit:
        changed = [_put_user(server, unit, item) for item in listed]
        return Reply(200, [_user_json(unit, user) for user in changed])


def _put_user(server: Server, unit: UnitOfWork, item: dict[str, Any]) -> User:
    dialect = member(item, "dialect", str, required=False) or "bank"
    if dialect not in server.settings.dialects:
        raise FormatError("dialect", " or ".join(server.settings.dialects))
    user = users_of(dialect).user_from_json(item, unit.user(dialect, str(item.get("id", ""))), unit)
    clash = unit.user_by_login(dialect, user.login)
    if clash is not None and clash.id != user.id:
        raise FormatError("username", "a login that no other user has")
    unit.put_user(user)
    return user


def _find_user(unit: UnitOfWork, call: Call) -> User:
    """By id; `?dialect=` decides where two dialects have the same id."""
    wanted = call.query.get("dialect")
    for user in unit.users():
        if call.params["id"] in (user.id, user.login) and wanted in (None, user.dialect):
            return user
    raise not_found("user")


async def unblock_user(server: Server, call: Call) -> Reply:
    """`{"proofRef"}`: an operator's unblocking, with a reference to the proof of identity (Art. 4(4))."""
    proof = member(call.json(), "proofRef", str)
    if not proof.strip():
        raise FormatError("proofRef", "a reference to a proof of identity")
    with server.store.begin() as unit:
        user = _find_user(unit, call)
        unblock(unit, user, proof)
        return Reply(200, _user_json(unit, user))


async def get_devices(server: Server, call: Call) -> Reply:
    with server.store.reading() as unit:
        user = _find_user(unit, call)
        return Reply(200, [_device_json(unit, device) for device in unit.devices(user.dialect, user.id)])


def _device_json(unit: UnitOfWork, device: Any) -> dict[str, Any]:
    credentials = [
        {"credentialId": c.credential_id, "factor": c.factor, "state": c.state, "signCount": c.sign_count}
        for c in unit.credentials_of_device(device.id)
    ]
    return {
        "deviceId": device.id, "state": device.state, "enrolledAt": rfc3339(device.enrolled_at), "stateSince": rfc3339(device.state_since),
        "credentials": credentials,
    }  # fmt: skip


async def revoke_devices(server: Server, call: Call) -> Reply:
    """Revoke one device of a user, or all of them (RTS Art. 27(a)); they stay listed."""
    with server.store.begin() as unit:
        user = _find_user(unit, call)
        device_id = call.params.get("deviceId")
        devices = [d for d in unit.devices(user.dialect, user.id) if device_id in (None, d.id)]
        if device_id is not None and not devices:
            raise not_found("device")
        for device in devices:
            if device.state != "revoked":
                retire(unit, device, "revoked")
        return Reply(200, [_device_json(unit, device) for device in devices])


# --- what happened ---------------------------------------------------------------------------------------------------


def _transaction_json(unit: UnitOfWork, transaction: Transaction) -> dict[str, Any]:
    state = transaction.state
    if state in ("ISSUED", "VERIFIED") and unit.now >= transaction.expires_at:
        state = "EXPIRED"
    shown = unit.shown_attempt(transaction.id)
    return {
        "transactionId": transaction.id, "dialect": transaction.dialect, "kind": transaction.kind, "user": transaction.user,
        "session": transaction.session, "state": state, "payload": transaction.payload, "methods": transaction.methods,
        "createdAt": rfc3339(transaction.created_at), "expiresAt": rfc3339(transaction.expires_at), "attempts": transaction.attempts,
        "accepted": None if shown is None else shown[1],
    }  # fmt: skip


async def get_transactions(server: Server, call: Call) -> Reply:
    """Newest first; `accepted`: of the latest attempt that was not refused at the door, null where there is none."""
    with server.store.reading() as unit:
        found = unit.transactions(call.query.get("dialect", ""), call.query.get("user", ""))
        return Reply(200, [_transaction_json(unit, transaction) for transaction in found])


def _stored(unit: UnitOfWork, call: Call) -> StoredVerdict:
    """The attempt that `?attempt=` names: a number, or `last` for the newest of any kind; else the one that the transaction is shown by."""
    text = call.query.get("attempt")
    number = text is not None and text.isascii() and text.isdigit() and len(text) < 10
    if text is not None and text != LAST and not number:
        raise FormatError("attempt", "the number of an attempt, or last")
    transaction = call.params["id"]
    stored = unit.verdict(transaction, None if text is None else LAST if text == LAST else int(text))
    if stored is not None:
        return stored
    if text is None and unit.verdict(transaction, LAST) is not None:
        raise not_found(
            "verdict: every call with this transaction was refused at its door; attempt=last shows the newest"
        )
    raise not_found("verdict: no step-up call with this transaction was judged yet")


async def get_verdict(server: Server, call: Call) -> Reply:
    """The verdict, and `differences` where something was not recorded or another rule set reports it."""
    from server_stub.verdicts import differences, record_of, verdict_from

    with server.store.reading() as unit, _whole_log():
        record = record_of(unit, _stored(unit, call))
        other = differences(record)
        return Reply(200, verdict_from(record).to_json() | ({"differences": other} if other else {}))


async def get_evidence(server: Server, call: Call) -> Reply:
    """The evidence bundle, as bytes, signed now."""
    from server_stub.verdicts import bundle_of

    key = evidence_key_of(server)
    with server.store.reading() as unit, _whole_log():
        return Reply(200, bundle_of(unit, _stored(unit, call), key), {"Content-Type": "application/json"})


@contextmanager
def _whole_log() -> Iterator[None]:
    """What was altered in the log is no evidence: 409 says which entry."""
    try:
        yield
    except LogDamaged as problem:
        raise Refusal(error(409, "log_damaged", f"{problem}; stepup-server log verify says more")) from problem


async def get_evidence_key(server: Server, _: Call) -> Reply:
    """The public key that signs this server's bundles, as PEM."""
    return Reply(200, evidence_key_of(server).pem(), {"Content-Type": PEM})


async def get_messages(server: Server, call: Call) -> Reply:
    """Oldest first."""
    to = call.query.get("to", "")
    to = f"+{to[1:]}" if to.startswith(" ") else to
    with server.store.reading() as unit:
        return Reply(200, inbox(unit, channel=call.query.get("channel", ""), to=to))


async def get_checks(_: Server, __: Call) -> Reply:
    from server_stub.checks.table import CHECKS

    return Reply(200, [{"id": c.id, "citation": c.citation, "needs": sorted(c.needs)} for c in CHECKS])


async def get_requests(server: Server, call: Call) -> Reply:
    """Oldest first; `?most=`: the newest so many."""
    most = _number(call, "most", 1000)
    entries = list(server.requests)
    return Reply(200, [recorded(entry) for entry in entries[max(0, len(entries) - most) :]])


async def get_log(server: Server, call: Call) -> Reply:
    """The hash-chained log, oldest first, each entry as it stands in the database; `?after=` a sequence number, `?most=`."""
    most = _number(call, "most", 10_000)
    with server.store.reading() as unit:
        texts = unit.log_texts(_after(call), most)
    body = "[" + ",".join(text if _is_json(text) else json.dumps(text) for text in texts) + "]"
    return Reply(200, body, {"Content-Type": "application/json"})


def _is_json(text: str) -> bool:
    try:
        msgspec.json.decode(text)
    except msgspec.DecodeError:
        return False
    return True


async def get_log_head(server: Server, _: Call) -> Reply:
    """The hash of the newest entry, and its number: to be kept elsewhere, for `log verify --head --count`."""
    with server.store.reading() as unit:
        count, head = unit.log_head()
    return Reply(200, {"head": head, "count": count})


async def check_log(server: Server, call: Call) -> Reply:
    """What this server finds of its own log table: one page; `last` is null at the end. `?after=`, `?most=` as for the log."""
    from server_stub.log_check import check_page

    most = _number(call, "most", 5_000)
    with server.store.reading() as unit:
        return Reply(200, msgspec.to_builtins(check_page(unit, _after(call), most)))


def _after(call: Call) -> int | None:
    return _number(call, "after", 0) if "after" in call.query else None


def _number(call: Call, name: str, default: int) -> int:
    text = call.query.get(name, str(default))
    if not (text.isascii() and text.isdigit() and len(text) < 16):
        raise FormatError(name, "a whole number")
    return int(text)


async def get_webhooks(server: Server, _: Call) -> Reply:
    """The delivery log of webhooks, newest first."""
    with server.store.reading() as unit:
        rows = unit.sql.all("list_webhooks", most=1000)
    names = ("id", "url", "path", "headers", "body", "state", "attempts", "nextAt", "history")
    return Reply(
        200,
        [dict(zip(names, (*row[:3], json.loads(row[3]), *row[4:8], json.loads(row[8])), strict=True)) for row in rows],
    )


async def get_payments(server: Server, call: Call) -> Reply:
    """Executed payments of a user: `?user=`, `?dialect=` (default bank)."""
    with server.store.reading() as unit:
        rows = unit.sql.all(
            "payments_of_user", dialect=call.query.get("dialect", "bank"), user=call.query.get("user", "")
        )
    return Reply(
        200, [{"paymentId": r[0], "transactionId": r[1], "createdAt": r[2], "payload": json.loads(r[3])} for r in rows]
    )


# --- routes ----------------------------------------------------------------------------------------------------------


def _guarded(handler: Callable[[Server, Call], Awaitable[Reply]]) -> Handler:
    async def guarded(server: Server, call: Call) -> Reply:
        check_operator(server, call)
        return await handler(server, call)

    return guarded


_ANY: Final[dict[str, Any]] = {}
_TEXT: Final = {"type": "string"}


def _route(
    method: str,
    path: str,
    handler: Callable[[Server, Call], Awaitable[Reply]],
    summary: str,
    *names: str,
    body: Any = None,
    media: str = "application/json",
) -> Endpoint:
    refusals = {
        400: "Not valid",
        401: "Token",
        403: "Not from here",
        404: "Unknown",
        409: "The log was altered",
        413: "Too large",
        503: "Busy",
    }
    operation: dict[str, Any] = {
        "summary": summary,
        "parameters": [query(name) for name in names],
        "responses": {"200": response("OK", _TEXT if media == PEM else _ANY, media=media)}
        | {str(status): response(text, ERROR) for status, text in refusals.items()},
    }
    if body is not None:
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": body}}}
    return Endpoint(method, path, _guarded(handler), operation)


_NUMBER: Final = {"type": "number", "minimum": 0}
DIALECT: Final = own_family(
    "stub",
    "/_stub",
    (
        _route("POST", "/reset", reset, "Everything as on a fresh server, save the clock"),
        _route("GET", "/clock", get_clock, "The server's clock"),
        _route(
            "PUT", "/clock", put_clock, "Set, freeze or release it", body=obj(now=STRING, frozen={"type": "boolean"})
        ),
        _route("POST", "/clock/advance", advance_clock, "Move it forward", body=obj(("seconds",), seconds=_NUMBER)),
        _route("GET", "/users", get_users, "Users with their secrets and balances"),
        _route("PUT", "/users", put_users, "Add or change users", body=_ANY),
        _route(
            "POST",
            "/users/{id}/unblock",
            unblock_user,
            "Lift a block",
            "dialect",
            body=obj(("proofRef",), proofRef=STRING),
        ),
        _route("GET", "/users/{id}/devices", get_devices, "A user's devices", "dialect"),
        _route("DELETE", "/users/{id}/devices", revoke_devices, "Revoke all of them", "dialect"),
        _route("DELETE", "/users/{id}/devices/{deviceId}", revoke_devices, "Revoke one", "dialect"),
        _route(
            "GET", "/transactions", get_transactions, "Challenges of every dialect, newest first", "dialect", "user"
        ),
        _route("GET", "/transactions/{id}/verdict", get_verdict, "The verdict of an attempt", "attempt"),
        _route("GET", "/transactions/{id}/evidence", get_evidence, "The evidence bundle of an attempt", "attempt"),
        _route("GET", "/messages", get_messages, "SMS, mail and push, oldest first", "channel", "to"),
        _route("GET", "/checks", get_checks, "Every check: id, citation, needs"),
        _route("GET", "/requests", get_requests, "What was asked and answered, secrets left out", "most"),
        _route("GET", "/log", get_log, "The hash-chained event log", "after", "most"),
        _route("GET", "/log/head", get_log_head, "Hash and number of its newest entry"),
        _route("GET", "/log/check", check_log, "What the server finds of its own log table", "after", "most"),
        _route("GET", "/evidence-key", get_evidence_key, "The public key that signs evidence bundles (PEM)", media=PEM),
        _route("GET", "/webhooks", get_webhooks, "Webhook deliveries"),
        _route("GET", "/payments", get_payments, "Executed payments", "dialect", "user"),
        _route("GET", "/health", health, "Whether the server and its database are well"),
    ),
)
