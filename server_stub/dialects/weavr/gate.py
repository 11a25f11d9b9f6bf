"""What every call passes first: API key, token, rate limit, idempotency; then one unit of work for the route itself.

Every call that is not refused with 401 is activity of the user (weavr.md 12.4), so a refusal raised by a route is caught inside its unit of
work: a route raises only before it changes anything, and returns where something is to be kept.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from device_keys.clock import rfc3339
from device_keys.encoding import FormatError, b64url_encode
from server_stub.accounts import note_activity, session_of
from server_stub.blocking import blocked
from server_stub.dialects.weavr.constants import NAME, WEAVR, Surface
from server_stub.dialects.weavr.replies import UNAUTHORISED, bad_format, conflict, forbidden, invalid, storable, unknown
from server_stub.http import Call, Handler, Refusal, Reply
from server_stub.records import Session, User
from server_stub.server import Server
from server_stub.store import UnitOfWork

RUNNING: Final = "weavr-running"
RATES: Final = "weavr-rate"


@dataclass(frozen=True, slots=True)
class Visit:
    """One call of a logged-in user, inside its unit of work."""

    server: Server
    unit: UnitOfWork
    call: Call
    session: Session
    user: User
    surface: Surface

    def save_user(self) -> None:
        self.unit.put_user(self.user)

    def save_session(self) -> None:
        self.unit.put_session(self.session)


Work = Callable[[Visit], Reply]


def programme_of(call: Call, *headers: str) -> str:
    """The programme whose API key the call bears; refused with an empty 401 where it bears none."""
    for name in headers or ("api-key",):
        given = call.headers.get(name, "").encode()
        for key, programme in WEAVR.programmes.items():
            if hmac.compare_digest(given, key.encode()):
                return programme
    raise Refusal(UNAUTHORISED)


def key_accepted(call: Call) -> bool:
    """Whether the call bears a known API key."""
    try:
        programme_of(call)
    except Refusal:
        return False
    return True


def key_of(programme: str) -> str:
    """The API key with which webhooks of this programme are signed."""
    return next(key for key, name in WEAVR.programmes.items() if name == programme)


def check_call_ref(call: Call) -> None:
    """`call-ref` has at most 255 characters, in ASCII, since it is part of what webhooks sign."""
    reference = call.headers.get("call-ref", "")
    if len(reference) > WEAVR.call_ref_length:
        raise invalid("call-ref", "SIZE", "0", str(WEAVR.call_ref_length))
    if not reference.isascii() or not reference.isprintable():
        raise invalid("call-ref", "REGEX", "^[ -~]*$")


def check_path(call: Call) -> None:
    """Names in the path that no database can hold name nothing."""
    if not all(storable(value) for name, value in call.params.items() if name != "channel"):
        raise unknown("resource")


def enter(server: Server, unit: UnitOfWork, call: Call, surface: Surface, programme: str) -> Visit:
    """The caller, or an empty 401: token missing, unknown, ended, idle, or of another key's programme."""
    for kind in ("access", "auth"):
        session = session_of(unit, NAME, call.bearer, kind=kind, idle=WEAVR.idle)
        user = unit.user(NAME, session.user) if session is not None else None
        if session is not None and user is not None and session.document["programme"] == programme:
            note_activity(unit, session)
            return Visit(server, unit, call, session, user, surface)
    raise Refusal(UNAUTHORISED)


def _may(visit: Visit, *, auth_token: bool, elevated: bool, full_enum: bool, knows_block: bool) -> None:
    """AUTH tokens are good for two calls only; some calls need a stepped-up token, which none is in a block (weavr.md 4, 9)."""
    if not auth_token and visit.unit.token(visit.call.bearer or "", "access") is None:
        raise forbidden("ACCESS_TOKEN_REQUIRED" if full_enum else "INSUFFICIENT_PERMISSIONS")
    void = not knows_block and blocked(visit.user, visit.unit.now)
    if elevated and (void or not visit.session.document.get("steppedUp")):
        raise forbidden("STEP_UP_REQUIRED")


def user_route(
    surface: Surface,
    work: Work,
    *,
    elevated: bool = False,
    auth_token: bool = False,
    knows_block: bool = False,
    keys: tuple[str, ...] = ("api-key",),
) -> Handler:
    """The handler of a call that needs a token. `elevated`: a stepped-up one; `auth_token`: an AUTH token will do.

    `knows_block`: the route has a published answer of its own for a blocked user.
    """

    def perform(server: Server, call: Call, programme: str, key: str | None) -> Reply:
        with server.store.begin() as unit:
            visit = enter(server, unit, call, surface, programme)
            reply = _limited(visit) or _answer(visit)
            if key is not None:
                _keep(unit, key, reply)
            return reply

    def _answer(visit: Visit) -> Reply:
        try:
            check_call_ref(visit.call)
            check_path(visit.call)
            full_enum = elevated and surface.multi
            _may(visit, auth_token=auth_token, elevated=elevated, full_enum=full_enum, knows_block=knows_block)
            return work(visit)
        except Refusal as refusal:
            return refusal.reply
        except FormatError as problem:
            return bad_format(visit.call, problem)

    async def handler(server: Server, call: Call) -> Reply:
        programme = programme_of(call, *keys)
        if not call.headers.get("idempotency-ref") or call.method == "GET":
            return perform(server, call, programme, None)
        return await _once(server, call, surface, programme, perform)

    return handler


# --- idempotency-ref --------------------------------------------------------------------------------------------------


async def _once(
    server: Server,
    call: Call,
    surface: Surface,
    programme: str,
    perform: Callable[[Server, Call, str, str | None], Reply],
) -> Reply:
    """The first answer again for 24 hours; while the first call still runs, 409 IDEMPOTENT_REQUEST_IN_PROGRESS."""
    with server.store.begin() as unit:
        visit = enter(server, unit, call, surface, programme)
        key = _key(call, visit.user)
        repeated = _kept(unit, key)
        if repeated is not None:
            return repeated
        if _running(unit, key):
            return conflict("IDEMPOTENT_REQUEST_IN_PROGRESS").reply
        unit.put_record(RUNNING, key, visit.user.id, {"since": unit.at})
    await asyncio.sleep(0)
    try:
        return perform(server, call, programme, key)
    except BaseException:
        with server.store.begin() as unit:
            unit.delete_record(RUNNING, key)
        raise


def _key(call: Call, user: User) -> str:
    """The reference together with who calls what with which payload."""
    parts = (
        NAME,
        user.id,
        call.method,
        call.path,
        call.headers["idempotency-ref"],
        hashlib.sha256(call.body).hexdigest(),
    )
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()


def _kept(unit: UnitOfWork, key: str) -> Reply | None:
    row = unit.sql.one("get_idempotent", key=key)
    if row is None or unit.now - datetime.fromisoformat(row[0]) >= WEAVR.idempotency_life:
        return None
    return Reply(row[1], json.loads(row[2]))


def _running(unit: UnitOfWork, key: str) -> bool:
    """Whether the first call runs; one whose process died is forgotten after a minute."""
    found = unit.record(RUNNING, key)
    return found is not None and unit.now - datetime.fromisoformat(found["since"]) < WEAVR.idempotency_lease


def _keep(unit: UnitOfWork, key: str, reply: Reply) -> None:
    unit.delete_record(RUNNING, key)
    if reply.status != 429:
        unit.sql.run(
            "put_idempotent", key=key, created_at=unit.at, status=reply.status, document=json.dumps(reply.body)
        )


# --- rate limit --------------------------------------------------------------------------------------------------------


def _limited(visit: Visit) -> Reply | None:
    """429 where the programme has limits (none by default) and this user used one up; windows are fixed, by the server's clock."""
    limits = visit.user.document["programme"]["rateLimits"]
    if not limits:
        return None
    counts: dict[str, Any] = visit.unit.record(RATES, visit.user.id) or {}
    waits = [_count(counts, calls, seconds, visit.unit.now) for calls, seconds in limits]
    visit.unit.put_record(RATES, visit.user.id, visit.user.id, counts)
    if max(waits) <= 0:
        return None
    worst = limits[waits.index(max(waits))]
    policy = ", ".join(f"{calls};w={seconds}" for calls, seconds in limits)
    return Reply(429, None, {"x-ratelimit-limit": f"{worst[0]}, {policy}", "x-ratelimit-reset": str(max(waits))})


def _count(counts: dict[str, Any], calls: int, seconds: int, now: datetime) -> int:
    """Count one call in this window; the seconds to wait, 0 where it is within the limit."""
    name = f"{calls};w={seconds}"
    start, used = counts.get(name, (rfc3339(now), 0))
    end = datetime.fromisoformat(start) + timedelta(seconds=seconds)
    if now >= end:
        start, used, end = rfc3339(now), 0, now + timedelta(seconds=seconds)
    counts[name] = (start, used + 1)
    return max(1, -int((now - end).total_seconds() // 1)) if used >= calls else 0


# --- every answer ------------------------------------------------------------------------------------------------------


def decorate(call: Call, reply: Reply) -> Reply:
    """Every answer, whatever its status, bears a `request-ref`."""
    reference = call.request_id or b64url_encode(hashlib.sha256(call.body).digest()[:12])
    return Reply(reply.status, reply.body, {**reply.headers, "request-ref": reference})
