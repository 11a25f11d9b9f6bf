"""Login by password, logout, and Multi's exchange of AUTH tokens (weavr.md section 4)."""

from __future__ import annotations

from typing import Any, Final

from server_stub.accounts import end_session, open_session
from server_stub.blocking import blocked, count_failure, count_single_success, note_refused
from server_stub.dialects.weavr.constants import LOCK_RULE, MULTI, NAME, Surface
from server_stub.dialects.weavr.gate import Visit, check_call_ref, programme_of
from server_stub.dialects.weavr.people import credentials_of, identity_of
from server_stub.dialects.weavr.replies import LOCKED, NO_CONTENT, forbidden, invalid, member_object, text
from server_stub.dialects.weavr.watch import login_decided
from server_stub.http import Call, Handler, Reply
from server_stub.passwords import secret_matches_off_loop
from server_stub.records import Session, User
from server_stub.server import Server
from server_stub.store import UnitOfWork

REFUSED: Final = Reply(403)
AUTH: Final = "auth"
ACCESS: Final = "access"
PASSWORD_UPDATE: Final = "password-update"  # noqa: S105


def login_route(surface: Surface) -> Handler:
    """`POST login_with_password`: one element; wrong and unknown credentials get one answer, after the same work."""

    async def login(server: Server, call: Call) -> Reply:
        programme = programme_of(call)
        check_call_ref(call)
        body = call.json()
        email = text(body, "email")
        password = text(member_object(body, "password"), "value", 100, field="password.value")
        with server.store.reading() as unit:
            known = unit.user_by_login(NAME, email)
        right = await secret_matches_off_loop(known.document["password"] if known else None, password)
        with server.store.begin() as unit:
            user = unit.user_by_login(NAME, email)
            if user is None or user.document["programmeName"] != programme:
                unit.log("login_failed", dialect=NAME)
                return REFUSED
            return _decide(server, unit, call, surface, user, right=right)

    return login


def _decide(server: Server, unit: UnitOfWork, call: Call, surface: Surface, user: User, *, right: bool) -> Reply:
    """Locked: 423, at Payment Run 403, right password or not. Five failures in a row lock for 30 minutes (weavr.md 12.3, 12.4)."""
    call_ref = call.headers.get("call-ref", "")
    if blocked(user, unit.now):
        note_refused(unit, user, "login")
        return LOCKED if surface.multi else REFUSED  # Payment Run declares no 423
    if not right or not user.document["active"]:
        count_failed_login(unit, user)
        login_decided(server, unit, user, "DECLINED", "PASSWORD", call_ref)
        return REFUSED
    count_single_success(unit, user, "password")
    session = open_session(
        unit, user, channel=surface.name, tls=call.tls, login={"method": "password", "at": unit.at},
        programme=user.document["programmeName"],
    )  # fmt: skip
    if user.document.get("passwordExpired"):
        return Reply(409, {"token": unit.new_token(PASSWORD_UPDATE, session.id)})
    login_decided(server, unit, user, "VERIFIED", "PASSWORD", call_ref)
    kind = AUTH if surface.multi and user.document["programme"]["accessTokens"] else ACCESS
    return Reply(200, {"token": unit.new_token(kind, session.id), "tokenType": kind.upper(), **_who(user, surface)})


def count_failed_login(unit: UnitOfWork, user: User) -> None:
    """One more wrong password, counted with wrong codes and pushes; the fifth failure in a row locks."""
    unit.log("login_failed", dialect=NAME, user=user.id)
    count_failure(unit, user, of="password", session="", transaction="", rule=LOCK_RULE)


def _who(user: User, surface: Surface) -> dict[str, Any]:
    return {"identity": identity_of(user, surface), "credentials": credentials_of(user, surface)}


def logout(visit: Visit) -> Reply:
    """`POST logout`: the session of the token is over, and what waited for it."""
    _void(visit.unit, visit.session)
    end_session(visit.unit, visit.session, "logout")
    return NO_CONTENT


def _void(unit: UnitOfWork, session: Session) -> None:
    for transaction in unit.open_transactions(NAME, session.user):
        if transaction.session == session.id:
            transaction.state = "VOID"
            unit.put_transaction(transaction)


def identities(visit: Visit) -> Reply:
    """`GET /identities` (Multi): what an AUTH token is for."""
    return Reply(200, {"identities": [identity_of(visit.user, MULTI)]})


def access_token(visit: Visit) -> Reply:
    """`POST /access_token` (Multi): an ACCESS token of the same session; `identity` may be left out, since each user has one."""
    body = visit.call.json()
    if body.get("identity") is not None:
        identity = member_object(body, "identity")
        for name in ("type", "id"):
            text(identity, name, field=f"identity.{name}")
        if {"type": identity["type"], "id": identity["id"]} != identity_of(visit.user, MULTI):
            raise forbidden("INSUFFICIENT_PERMISSIONS")
    if body.get("token") is not None and body["token"] != visit.call.bearer:
        raise invalid("token", "EXACTLY", "the token of the Authorization header")
    if blocked(visit.user, visit.unit.now):
        return LOCKED
    status = "STEPPED_UP" if visit.session.document.get("steppedUp") else "STANDARD"
    token = visit.unit.new_token(ACCESS, visit.session.id)
    return Reply(200, {"token": token, **_who(visit.user, MULTI), "status": status})
