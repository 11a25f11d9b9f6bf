"""Webhooks to the embedder: bodies and signatures as published (weavr.md section 8); `server_stub.webhooks` delivers them."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any, Literal

from server_stub.delivery import post_later
from server_stub.dialects.weavr.constants import MULTI
from server_stub.dialects.weavr.gate import key_of
from server_stub.dialects.weavr.people import credentials_of, identity_of
from server_stub.records import User
from server_stub.server import Server
from server_stub.store import UnitOfWork

Status = Literal["VERIFIED", "DECLINED", "EXPIRED"]


def signatures(key: str, timestamp: str, payload: str, call_ref: str = "") -> dict[str, str]:
    """`signature` over the timestamp alone (deprecated), `signature-v2` over call reference, payload and timestamp."""
    return {"signature": _mac(key, timestamp), "signature-v2": _mac(key, call_ref + payload + timestamp)}


def _mac(key: str, message: str) -> str:
    return base64.b64encode(hmac.digest(key.encode(), message.encode(), hashlib.sha256)).decode()


def publish(server: Server, unit: UnitOfWork, user: User, path: str, body: dict[str, Any], call_ref: str = "") -> None:
    """Queue one webhook for the embedder, where `serve --webhook` names one."""
    if not server.settings.webhook:
        return
    timestamp = str(int(unit.now.timestamp() * 1000))
    payload = json.dumps({**body, "publishedTimestamp": int(timestamp)}, separators=(",", ":"))
    key = key_of(user.document["programmeName"])
    headers = {"published-timestamp": timestamp, **signatures(key, timestamp, payload, call_ref)}
    if call_ref:
        headers["call-ref"] = call_ref
    post_later(unit, server.settings.webhook, path, payload, headers)


def who(user: User) -> dict[str, Any]:
    """The members that name the user; both APIs' webhooks are Multi's."""
    return {"credential": credentials_of(user, MULTI), "identity": identity_of(user, MULTI)}


def step_up_decided(
    server: Server,
    unit: UnitOfWork,
    user: User,
    challenge: str,
    status: Status,
    channel: str,
    *,
    call_ref: str = "",
    auth_token: str | None = None,
) -> None:
    """`/stepup/watch`."""
    body = {"challengeId": challenge, **who(user), "status": status, "type": channel}
    if auth_token is not None:
        body["authToken"] = auth_token
    publish(server, unit, user, "/stepup/watch", body, call_ref)


def login_decided(server: Server, unit: UnitOfWork, user: User, status: Status, kind: str, call_ref: str = "") -> None:
    """`/login/watch`; `kind` is PASSWORD or BIOMETRIC."""
    publish(server, unit, user, "/login/watch", {**who(user), "status": status, "type": kind}, call_ref)


def factor_changed(
    server: Server, unit: UnitOfWork, user: User, channel: str, *, active: bool, call_ref: str = ""
) -> None:
    """`/authentication_factors/watch`."""
    body = {"credentialId": credentials_of(user, MULTI), "status": "ACTIVE" if active else "INACTIVE", "type": channel}
    publish(server, unit, user, "/authentication_factors/watch", body, call_ref)
