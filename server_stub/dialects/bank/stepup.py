"""The step-up: passcode or biometric *and* the device's signature make the identifier valid."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from device_keys.encoding import FormatError, member
from server_stub.accounts import session_of
from server_stub.dialects.bank.constants import BANK, METHODS, NAME
from server_stub.dialects.bank.errors import error, refuse
from server_stub.dialects.bank.gate import caller, check_api_key, tokens
from server_stub.evidence import SecretFacts
from server_stub.http import Call, Refusal, Reply
from server_stub.passwords import secret_matches_off_loop
from server_stub.records import Session, Transaction, User
from server_stub.relying_party import Try, attempt
from server_stub.server import Server
from server_stub.store import UnitOfWork


@dataclass(frozen=True, slots=True)
class _Presented:
    """The members of a step-up body: passcode with username, or a refresh token for a biometric."""

    method: Literal["PASSCODE", "BIOMETRIC"]
    username: str = ""
    passcode: str = ""
    refresh_token: str = ""


def _read_step_up(body: dict[str, Any]) -> _Presented:
    method = member(body, "authenticationMethod", str, required=False) or "PASSCODE"
    if method == "BIOMETRIC":
        return _Presented("BIOMETRIC", refresh_token=member(body, "refreshToken", str))
    if method != "PASSCODE":
        raise refuse("400.000.52", f"authenticationMethod: expected one of {', '.join(METHODS)}")
    return _Presented("PASSCODE", member(body, "username", str), member(body, "passcode", str))


def _transaction_id(call: Call) -> str:
    value = call.headers.get("x-transactionid")
    if not value:
        raise FormatError("X-TransactionId", "the transaction identifier of the refused payment")
    return value


def _user_of(server: Server, call: Call) -> User | None:
    """The user of the caller's session, read only; refused where there is no session."""
    with server.store.reading() as unit:
        session = session_of(unit, NAME, call.bearer, idle=BANK.access_idle)
        if session is None:
            raise refuse("401.000.22")
        return unit.user(NAME, session.user)


async def step_up(server: Server, call: Call) -> Reply:
    """`POST /v1/oauth2/stepup` (S0-8, S0-11, S0-12): passcode or biometric, together with the device's signature."""
    check_api_key(call)
    try:
        presented, transaction_id = _read_step_up(call.json()), _transaction_id(call)
    except (FormatError, Refusal):
        _user_of(server, call)  # who has no session learns that first
        raise
    right = False
    if presented.method == "PASSCODE":
        user = _user_of(server, call)
        right = await secret_matches_off_loop(user.document["passcode"] if user else None, presented.passcode)
    with server.store.begin() as unit:
        session = caller(unit, call)
        transaction = unit.transaction(transaction_id)
        if transaction is None or transaction.dialect != NAME:
            return error("403.000.53")
        if presented.method not in transaction.methods:
            return error("400.000.52", f"authenticationMethod: expected one of {', '.join(transaction.methods)}")
        return _judge(unit, server, call, session, transaction, presented, right)


def _judge(
    unit: UnitOfWork,
    server: Server,
    call: Call,
    session: Session,
    transaction: Transaction,
    presented: _Presented,
    right: bool,
) -> Reply:
    this = Try(
        method=presented.method, problem="403.000.52", secret=_observed(unit, session, presented, right), verified_life=BANK.verified_life,
        header=call.headers.get("x-device-assertion"), transport=call.transport,  # type: ignore[arg-type]
        given=(presented.passcode, presented.refresh_token), tls=call.tls,
    )  # fmt: skip
    decision = attempt(unit, transaction, session, this, policy=server.policy, trust=server.trust, config=server.config)
    if not decision.accepted:
        return error({"blocked": "403.000.54", "transaction": "403.000.53"}.get(decision.stage, "403.000.52"))
    return Reply(200, tokens(unit, session))


def _observed(unit: UnitOfWork, session: Session, presented: _Presented, right: bool) -> SecretFacts:
    """What the server itself saw of the secret; the value is not kept."""
    if presented.method == "BIOMETRIC":
        token = unit.token(presented.refresh_token, "refresh")
        return SecretFacts(kind="session", refresh_token_matches=token is not None and token.session_id == session.id)
    user = unit.user(NAME, session.user)
    matches = user is not None and presented.username.lower() == user.login
    return SecretFacts(kind="passcode", result="right" if right else "wrong", username_matches=matches)
