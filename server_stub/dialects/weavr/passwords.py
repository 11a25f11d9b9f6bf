"""Passwords of invited and expired users (weavr.md section 4): set once by the invited, updated with the token of a refused login."""

from __future__ import annotations

import re
from typing import Any, Final

from server_stub.accounts import end_session, open_session, session_of
from server_stub.blocking import blocked
from server_stub.dialects.weavr.constants import MULTI, NAME, WEAVR, Surface
from server_stub.dialects.weavr.gate import check_call_ref, check_path, programme_of
from server_stub.dialects.weavr.login import ACCESS, PASSWORD_UPDATE, count_failed_login
from server_stub.dialects.weavr.people import identity_of
from server_stub.dialects.weavr.replies import UNAUTHORISED, conflict, invalid, member_object, not_found, text
from server_stub.http import Call, Handler, Refusal, Reply
from server_stub.knowledge import note_secret
from server_stub.passwords import hash_secret, secret_matches, secret_matches_off_loop
from server_stub.records import User
from server_stub.server import Server

CLASSES: Final = (r"[a-z]", r"[A-Z]", r"[0-9]", r"[^A-Za-z0-9]")


def check_strength(password: str, field: str) -> None:
    """8 to 30 characters with lower and upper case, digit and special character."""
    if not 8 <= len(password) <= 30:
        raise invalid(field, "SIZE", "8", "30")
    for pattern in CLASSES:
        if re.search(pattern, password) is None:
            raise invalid(field, "REGEX", pattern)


def create_route(surface: Surface) -> Handler:
    """Set the first password of an invited user; the answer's token is a login."""

    async def create(server: Server, call: Call) -> Reply:
        programme = programme_of(call)
        check_call_ref(call)
        check_path(call)
        password = text(member_object(call.json(), "password"), "value", 100, field="password.value")
        check_strength(password, "password.value")
        user = _invited(server, call.params["user_id"], programme)
        hashed = await _hash(server, password)
        with server.store.begin() as unit:
            user = unit.user(NAME, user.id) or user
            if user.document["password"] is not None:
                raise conflict("PASSWORD_ALREADY_CREATED")
            _set(user, password, hashed)
            note_secret(unit, user, "password", password, by="user")
            unit.put_user(user)
            session = open_session(
                unit, user, channel=surface.name, tls=call.tls, programme=programme,
                login={"method": "password", "at": unit.at},
            )  # fmt: skip
            return Reply(200, {"passwordInfo": _info(user), "token": unit.new_token(ACCESS, session.id)})

    return create


def _invited(server: Server, user_id: str, programme: str) -> User:
    with server.store.reading() as unit:
        user = unit.user(NAME, user_id)
    if user is None or user.document["programmeName"] != programme or not user.document.get("invited"):
        raise Refusal(not_found("user"))
    return user


async def _hash(server: Server, password: str) -> str:
    import anyio.to_thread

    return await anyio.to_thread.run_sync(hash_secret, password, server.store.entropy)


def _set(user: User, password: str, hashed: str) -> None:
    document = user.document
    earlier = [document["password"]] if document["password"] else []
    document["passwordHistory"] = [*document.get("passwordHistory", []), *earlier][-WEAVR.passwords_remembered :]
    document |= {"password": hashed, "plain": {}, "passwordExpired": False}


def _info(user: User) -> dict[str, Any]:
    return {"identityId": identity_of(user, MULTI), "expiryDate": 0}


def update_route(surface: Surface) -> Handler:
    """`POST passwords/update`: with the token of a login refused with 409, or any other; not one of the last five."""

    async def update(server: Server, call: Call) -> Reply:
        programme = programme_of(call)
        check_call_ref(call)
        with server.store.reading() as unit:
            user = _caller(unit, call, programme)
        body = call.json()
        old = text(member_object(body, "oldPassword"), "value", 100, field="oldPassword.value")
        new = text(member_object(body, "newPassword"), "value", 100, field="newPassword.value")
        check_strength(new, "newPassword.value")
        if not await secret_matches_off_loop(user.document["password"], old):
            return _wrong(server, call, programme)
        await _check_history(user, new)
        hashed = await _hash(server, new)
        with server.store.begin() as unit:
            current = _caller(unit, call, programme)
            if blocked(current, unit.now):
                raise conflict("PASSWORD_INCORRECT")
            if current.document["password"] != user.document["password"]:
                raise conflict("PASSWORD_KNOWN")
            _set(current, new, hashed)
            note_secret(unit, current, "password", new, by="user")
            unit.put_user(current)
            for session in unit.sessions(NAME, current.id):
                if session.ended_at is None:
                    end_session(unit, session, "password changed")
            session = open_session(
                unit, current, channel=surface.name, tls=call.tls, programme=programme,
                login={"method": "password", "at": unit.at},
            )  # fmt: skip
            return Reply(200, {"passwordInfo": _info(current), "token": unit.new_token(ACCESS, session.id)})

    return update


def _caller(unit: Any, call: Call, programme: str) -> User:
    for kind in (PASSWORD_UPDATE, ACCESS):
        session = session_of(unit, NAME, call.bearer, kind=kind, idle=WEAVR.idle)
        user: User | None = unit.user(NAME, session.user) if session is not None else None
        if session is not None and user is not None and session.document["programme"] == programme:
            return user
    raise Refusal(UNAUTHORISED)


def _wrong(server: Server, call: Call, programme: str) -> Reply:
    """A wrong old password is a guess like one at a login: it counts, and in a block it is not looked at."""
    with server.store.begin() as unit:
        user = _caller(unit, call, programme)
        if not blocked(user, unit.now):
            count_failed_login(unit, user)
        return conflict("PASSWORD_INCORRECT").reply


async def _check_history(user: User, new: str) -> None:
    import anyio.to_thread

    for earlier in [*user.document.get("passwordHistory", []), user.document["password"]][
        -WEAVR.passwords_remembered :
    ]:
        if await anyio.to_thread.run_sync(secret_matches, earlier, new):
            raise conflict("PASSWORD_PREVIOUSLY_USED")
