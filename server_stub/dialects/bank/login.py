"""Login with one element, and new tokens for a refresh token. Neither gives a right to pay."""

from __future__ import annotations

from device_keys.encoding import member
from server_stub.accounts import end_session, note_activity, open_session
from server_stub.blocking import blocked, count_failure, note_refused
from server_stub.dialects.bank.constants import BANK, NAME
from server_stub.dialects.bank.errors import error, refuse
from server_stub.dialects.bank.gate import check_api_key, tokens
from server_stub.http import Call, Reply
from server_stub.passwords import secret_matches_off_loop
from server_stub.records import Session
from server_stub.server import Server
from server_stub.store import UnitOfWork
from server_stub.unknown_names import blocked_name, count_wrong_login


async def login(server: Server, call: Call) -> Reply:
    """`POST /v1/oauth2/login` (bank.md 11.4): one element only; gives no right to pay."""
    check_api_key(call)
    body = call.json()
    username, passcode = member(body, "username", str), member(body, "passcode", str)
    with server.store.reading() as unit:
        known = unit.user_by_login(NAME, username)
    right = await secret_matches_off_loop(known.document["passcode"] if known else None, passcode)
    with server.store.begin() as unit:
        user = unit.user_by_login(NAME, username)
        if user is None:
            return _nobody(unit, username)
        if blocked(user, unit.now):
            note_refused(unit, user, "login")
            return error("403.000.54")
        if not right:
            unit.log(
                "sca_attempt", dialect=NAME, user=user.id, outcome="failed", method="LOGIN", internal_reason=["secret.correct"],
                public_problem_id="403.000.52", masked_input=None,
            )  # fmt: skip
            count_failure(unit, user, of="passcode", session="", transaction="")
            return error("403.000.52")
        session = open_session(unit, user, channel="api", tls=call.tls, login={"method": "passcode", "at": unit.at})
        return Reply(200, tokens(unit, session))


def _nobody(unit: UnitOfWork, username: str) -> Reply:
    """A name that nobody has is counted and blocked like a customer's: the answers tell nobody who is one."""
    if blocked_name(unit, NAME, username):
        return error("403.000.54")
    unit.log(
        "sca_attempt", dialect=NAME, outcome="failed", method="LOGIN", internal_reason=["user.known"], public_problem_id="403.000.52"
    )  # fmt: skip
    count_wrong_login(unit, NAME, username, of="passcode")
    return error("403.000.52")


async def refresh(server: Server, call: Call) -> Reply:
    """`POST /v1/oauth2/refresh`: a new pair for a refresh token, once; after five idle minutes it is a new session."""
    check_api_key(call)
    token = member(call.json(), "refreshToken", str)
    with server.store.begin() as unit:
        found = unit.token(token, "refresh")
        session = unit.session(found.session_id) if found else None
        if session is None or session.dialect != NAME or session.ended_at is not None:
            raise refuse("401.000.22")
        if unit.now - session.last_active_at > BANK.access_idle:
            session = _renewed(unit, session, call)
        note_activity(unit, session)
        return Reply(200, tokens(unit, session))


def _renewed(unit: UnitOfWork, session: Session, call: Call) -> Session:
    user = unit.user(NAME, session.user)
    if user is None:
        raise refuse("401.000.22")
    end_session(unit, session, "idle")
    return open_session(unit, user, channel="refresh", tls=call.tls, **session.document)
