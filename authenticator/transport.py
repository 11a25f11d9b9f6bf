"""Device evidence added to an unchanged client's calls, as the bank's SDK does beneath the app (bank section 8).

`Adapter` is the shared logic: it recognises the step-up call, has the phone approve it, and gives back the call with the evidence in its
header. `StepUpTransport` and `AsyncStepUpTransport` put it into an httpx client; `proxy.py` into a proxy for clients in any language.
Whatever goes wrong on the phone, the client's call still goes out, without evidence: the server refuses it as it refuses any wrong element.
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakValueDictionary

import httpx2

from authenticator.approving import decline, fetch, pending, sign
from authenticator.ceremonies import HONEST, Edits, Scene
from authenticator.client import Call
from authenticator.errors import PhoneError
from authenticator.rules import ALWAYS, Decision, Rule
from authenticator.state import BIOMETRIC, POSSESSION
from device_keys.encoding import FormatError, parse_json_object

if TYPE_CHECKING:
    from authenticator.phone import Phone

STEP_UP_ENDINGS: Final = ("/oauth2/stepup",)
TRANSACTION_HEADER: Final = "X-TransactionId"
EVIDENCE_HEADER: Final = "X-Device-Assertion"
POLL_SECONDS: Final = 0.2
# The server reads no more; what is longer is forwarded untouched and refused there.
MAX_BODY: Final = 64 * 1024


def step_up_of(method: str, path: str, headers: Mapping[str, str]) -> str | None:
    """The transaction id if this is a client's step-up call that bears no evidence yet. `headers` must ignore letter case."""
    if method != "POST" or not path.endswith(STEP_UP_ENDINGS) or EVIDENCE_HEADER in headers:
        return None
    return headers.get(TRANSACTION_HEADER) or None


@dataclass(frozen=True, slots=True)
class Amended:
    """How the client's call goes on: headers to set (None: to remove) and, if a fault changed it, another body."""

    headers: Mapping[str, str | None] = field(default_factory=dict)
    body: bytes | None = None


UNCHANGED: Final = Amended()


class Adapter:
    """Joins one phone to the step-up calls of clients. `say` is told what happens.

    `outcome` is what its biometric sensor meets, `edits` what an active fault changes: values, or functions asked at each approval.
    """

    def __init__(
        self,
        phone: Phone,
        server: str,
        *,
        rule: Rule = ALWAYS,
        outcome: str | Callable[[], str] = "match",
        edits: Edits | Callable[[], Edits] = HONEST,
        say: Callable[[str], None] = lambda text: None,
        before_use: Callable[[], None] = lambda: None,
    ) -> None:
        self.phone = phone
        self.server = server
        self.rule = rule
        self._outcome = outcome
        self._edits = edits
        self.say = say
        self._before_use = before_use

    def amend(self, call: Call, transaction_id: str, body: bytes) -> Amended | None:
        """The call as it goes on, or None while the phone has not answered: ask again after `POLL_SECONDS`."""
        try:
            self._before_use()
            return self._amend(call, transaction_id, body)
        except PhoneError as error:
            self.say(f"{transaction_id}: {error.message} The call goes on without evidence.")
            return UNCHANGED

    def _amend(self, call: Call, transaction_id: str, body: bytes) -> Amended | None:
        row = self._waiting(transaction_id)
        if row is None or row.get("outcome") is not None:
            return UNCHANGED  # not this phone's, over, or answered by whoever holds the phone
        decision = self.rule.decide(row.get("payload"))
        if decision is Decision.ASK:
            return None
        if decision is Decision.DECLINE:
            decline(self.phone, self.server, transaction_id)
            self.say(f"{transaction_id}: declined by the rule {self.rule}.")
            return UNCHANGED
        return self._approve(call, transaction_id, body)

    def _waiting(self, transaction_id: str) -> dict[str, Any] | None:
        rows = pending(self.phone, self.server)
        return next((row for row in rows if row.get("transactionId") == transaction_id), None)

    def _approve(self, call: Call, transaction_id: str, body: bytes) -> Amended:
        enrolment, step_up = fetch(self.phone, self.server, transaction_id)
        given = _json_object(body)
        factor = BIOMETRIC if given.get("authenticationMethod") == "BIOMETRIC" else POSSESSION
        outcome = self._outcome() if callable(self._outcome) else self._outcome
        edits = self._edits() if callable(self._edits) else self._edits
        approval = sign(self.phone, enrolment, step_up, factor, outcome=outcome, edits=edits)
        self.say(f"{transaction_id}: approved on the phone, {approval.method}.")
        sent = {TRANSACTION_HEADER: transaction_id, EVIDENCE_HEADER: approval.assertion.to_header()}
        scene = Scene(self.phone, self.phone.server(enrolment.server), enrolment, self.phone.now(), step_up)
        edited = edits.after(edits.request(replace(call, headers=sent, body=given), scene), scene)
        headers = {name: edited.headers.get(name) for name in {**sent, **edited.headers}}
        return Amended(headers, json.dumps(edited.body).encode() if edited.body != given else None)


def _json_object(body: bytes) -> dict[str, Any]:
    """The body as an object; an empty one where it is none: what the client sent goes on as it is, and the server says what is wrong."""
    try:
        return parse_json_object(body, "body")
    except FormatError:
        return {}


# --- httpx transports ----------------------------------------------------------------------------------------------------


class _Turns:
    """One lock for each transaction id in use: two calls with one id take turns."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._locks: WeakValueDictionary[str, _Turn] = WeakValueDictionary()

    def of(self, transaction_id: str) -> _Turn:
        with self._guard:
            turn = self._locks.get(transaction_id) or _Turn()
            self._locks[transaction_id] = turn
            return turn


class _Turn:
    """A lock that lives as long as somebody waits for it."""

    __slots__ = ("__weakref__", "_lock")

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *exception: object) -> None:
        self._lock.release()


class StepUpTransport(httpx2.BaseTransport):
    """A transport for `httpx2.Client`, or for `httpx.Client` around a transport of its own: adds the evidence, then hands on to `inner`."""

    def __init__(
        self, adapter: Adapter, inner: httpx2.BaseTransport, *, pause: Callable[[float], None] = time.sleep
    ) -> None:
        self.adapter = adapter
        self.inner = inner
        self._pause = pause
        self._turns = _Turns()

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        transaction_id = step_up_of(request.method, request.url.path, request.headers)
        if transaction_id is None:
            return self.inner.handle_request(request)
        body = request.read()
        with self._turns.of(transaction_id):
            while (amended := self.adapter.amend(_call(request), transaction_id, body)) is None:
                self._pause(POLL_SECONDS)
            return self.inner.handle_request(_amended(request, amended))

    def close(self) -> None:
        self.inner.close()


class AsyncStepUpTransport(httpx2.AsyncBaseTransport):
    """The same for `httpx2.AsyncClient`; the phone works in a thread of its own."""

    def __init__(self, adapter: Adapter, inner: httpx2.AsyncBaseTransport) -> None:
        self.adapter = adapter
        self.inner = inner

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        transaction_id = step_up_of(request.method, request.url.path, request.headers)
        if transaction_id is None:
            return await self.inner.handle_async_request(request)
        body = await request.aread()
        amended = await amend_async(self.adapter, _call(request), transaction_id, body)
        return await self.inner.handle_async_request(_amended(request, amended))

    async def aclose(self) -> None:
        await self.inner.aclose()


async def amend_async(adapter: Adapter, call: Call, transaction_id: str, body: bytes) -> Amended:
    """The call as it goes on, waited for without holding up the event loop."""
    while (amended := await asyncio.to_thread(adapter.amend, call, transaction_id, body)) is None:
        await asyncio.sleep(POLL_SECONDS)
    return amended


def _call(request: httpx2.Request) -> Call:
    return Call(request.method, request.url.path, {})


def _amended(request: httpx2.Request, amended: Amended) -> httpx2.Request:
    headers = request.headers.copy()
    for name, value in amended.headers.items():
        if value is None:
            headers.pop(name, None)
        else:
            headers[name] = value
    body = request.content if amended.body is None else amended.body
    headers.pop("Content-Length", None)
    return type(request)(request.method, request.url, headers=headers, content=body, extensions=request.extensions)
