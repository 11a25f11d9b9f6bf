"""The Cryptomathic-enabled bank (requirements S0-*): login, domestic payment, step-up, refresh.

A payment without a valid transaction identifier is refused with 403 and a new identifier; the step-up with passcode or biometric *and* the
device's signature makes the identifier valid for one replay of the same body. Every wrong element gets one refusal, equal to the byte.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, Literal

from device_keys.clock import stored_instant
from device_keys.encoding import FormatError, b64url_encode, member
from device_keys.messages import Kind, payload_digest
from device_keys.orders import Order, read_order
from server_stub.accounts import IDLE, end_session, note_activity, open_session, session_of
from server_stub.blocking import blocked, count_failure
from server_stub.dialects import bank_openapi as docs
from server_stub.evidence import SecretFacts
from server_stub.http import Call, Dialect, Endpoint, EnrolmentRules, Refusal, Reply
from server_stub.passwords import secret_matches_off_loop
from server_stub.records import Session, Transaction, User
from server_stub.relying_party import Try, attempt, open_step_up
from server_stub.server import Server
from server_stub.store import UnitOfWork

NAME: Final = "bank"
NOT_ALLOWED: Final = "Not Allowed to execute this request"


@dataclass(frozen=True, slots=True)
class BankConstants:
    """What is not published, and chosen here (bank.md section 11)."""

    api_keys: tuple[str, ...] = ("demo-api-key",)
    issued_life: timedelta = timedelta(seconds=240)
    verified_life: timedelta = timedelta(seconds=300)
    access_idle: timedelta = IDLE
    refresh_life: timedelta = timedelta(minutes=30)
    idempotency_life: timedelta = timedelta(hours=24)


BANK: Final = BankConstants()

# code → (status, message): seed S0-7, the published gateway table, and our own choices (bank.md 9 and 11.1).
ERRORS: Final[dict[str, tuple[int, str]]] = {
    "400.000.51": (400, "Request not valid"),
    "400.000.52": (400, "Authentication method not available"),
    "400.000.53": (400, "Insufficient funds"),
    "401.000.11": (401, "Invalid api key supplied"),
    "401.000.22": (401, "Verify access token again"),
    "403.000.51": (403, "Step-up required"),
    "403.000.52": (403, "Authentication failed"),
    "403.000.53": (403, "Transaction identifier not valid"),
    "403.000.54": (403, "User temporarily blocked"),
    "404.001.001": (404, "The requested resource URL is not an API endpoint"),
    "413.000.51": (413, "Request too large"),
    "500.001.001": (500, "Something went wrong while processing your request. Please try again later"),
    "503.001.001": (503, "Service temporarily unavailable"),
}
STEP_UP_PATH: Final = "/v1/oauth2/stepup"
METHODS: Final = ("PASSCODE", "BIOMETRIC")


def error(code: str, info: str = NOT_ALLOWED, **headers: str) -> Reply:
    """A refusal in the bank's shape; never with a `transactionId`."""
    status, message = ERRORS[code]
    return Reply(status, {"code": code, "message": message, "info": info}, headers)


def refuse(code: str, info: str = NOT_ALLOWED) -> Refusal:
    return Refusal(error(code, info))


# --- what every call checks first ------------------------------------------------------------------------------------


def key_accepted(call: Call) -> bool:
    """Whether the call bears a known API key."""
    key = call.headers.get("x-apikey", "").encode()
    return any(hmac.compare_digest(key, known.encode()) for known in BANK.api_keys)


def check_api_key(call: Call) -> None:
    if not key_accepted(call):
        raise refuse("401.000.11")


def caller(unit: UnitOfWork, call: Call) -> Session:
    """The session behind the bearer; its being used is activity of the payer."""
    session = session_of(unit, NAME, call.bearer, idle=BANK.access_idle)
    if session is None:
        raise refuse("401.000.22")
    note_activity(unit, session)
    return session


def tokens(unit: UnitOfWork, session: Session) -> dict[str, Any]:
    """A new pair for this session; any earlier one ends at once (S0-12)."""
    unit.end_tokens(session.id)
    return {
        "accessToken": unit.new_token("access", session.id),
        "refreshToken": unit.new_token("refresh", session.id, BANK.refresh_life),
        "tokenType": "Bearer",
        "expiresIn": int(BANK.access_idle.total_seconds()),
    }


# --- login and refresh -----------------------------------------------------------------------------------------------


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
            unit.log(
                "sca_attempt",
                dialect=NAME,
                outcome="failed",
                method="LOGIN",
                internal_reason=["user.known"],
                public_problem_id="403.000.52",
            )
            return error("403.000.52")
        if blocked(user, unit.now):
            return error("403.000.54")
        if not right:
            unit.log(
                "sca_attempt", dialect=NAME, user=user.id, outcome="failed", method="LOGIN", internal_reason=["secret.correct"],
                public_problem_id="403.000.52", masked_input=None,
            )  # fmt: skip
            count_failure(unit, user, session="", transaction="")
            return error("403.000.52")
        session = open_session(
            unit, user, channel="api", transport=call.transport, login={"method": "passcode", "at": unit.at}
        )
        return Reply(200, tokens(unit, session))


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
    return open_session(unit, user, channel="refresh", transport=call.transport, **session.document)


# --- the protected call ----------------------------------------------------------------------------------------------


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
    order = read_order(body)
    if order is None:
        return None
    try:
        minor = order.minor_units
    except ValueError as problem:
        raise FormatError("amount", str(problem).removeprefix("amount: ")) from problem
    if minor <= 0:
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
    import json

    return json.dumps(value, separators=(",", ":"))


def _idempotency_key(call: Call, user: str, transaction_id: str, digest: str) -> str | None:
    """Only a success is ever stored, under key, identifier, body and user together (bank.md 11.5)."""
    key = call.headers.get("idempotency-key")
    return hashlib.sha256("\0".join((NAME, user, key, transaction_id, digest)).encode()).hexdigest() if key else None


def _stored_answer(unit: UnitOfWork, key: str | None) -> Reply | None:
    row = unit.sql.one("get_idempotent", key=key) if key else None
    if row is None:
        return None
    from json import loads

    if unit.now - stored_instant(row[0]) > BANK.idempotency_life:
        return None
    return Reply(row[1], loads(row[2]))


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


# --- step-up ---------------------------------------------------------------------------------------------------------


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
    user = unit.user(NAME, session.user)
    this = Try(
        method=presented.method, problem="403.000.52", secret=_observed(unit, session, user, presented, right),
        header=call.headers.get("x-device-assertion"), transport=call.transport,  # type: ignore[arg-type]
    )  # fmt: skip
    decision = attempt(unit, transaction, session, this, policy=server.policy, trust=server.trust)
    if not decision.accepted:
        return error({"blocked": "403.000.54", "transaction": "403.000.53"}.get(decision.stage, "403.000.52"))
    transaction.expires_at = unit.now + BANK.verified_life
    unit.put_transaction(transaction)
    return Reply(200, tokens(unit, session))


def _observed(unit: UnitOfWork, session: Session, user: User | None, presented: _Presented, right: bool) -> SecretFacts:
    """What the server itself saw of the secret; the value is not kept."""
    if presented.method == "BIOMETRIC":
        token = unit.token(presented.refresh_token, "refresh")
        return SecretFacts(kind="session", refresh_token_matches=token is not None and token.session_id == session.id)
    matches = user is not None and presented.username.lower() == user.login
    return SecretFacts(kind="passcode", result="right" if right else "wrong", username_matches=matches)


def _bad_format(_: Call, problem: FormatError) -> Reply:
    return error("400.000.51", str(problem))


DIALECT: Final = Dialect(
    name=NAME,
    prefix="/bank",
    endpoints=(
        Endpoint("POST", "/v1/oauth2/login", login, docs.LOGIN),
        Endpoint("POST", "/v1/payments/domestic", pay, docs.PAY),
        Endpoint("POST", "/v1/oauth2/stepup", step_up, docs.STEP_UP),
        Endpoint("POST", "/v1/oauth2/refresh", refresh, docs.REFRESH),
    ),
    not_found=lambda _: error("404.001.001"),
    method_not_allowed=lambda _: error("404.001.001"),
    too_large=lambda _: error("413.000.51", "expected a body of at most 64 KiB"),
    unavailable=lambda _: error("503.001.001", "Please try again later", **{"Retry-After": "1"}),
    broken=lambda _: error("500.001.001"),
    bad_format=_bad_format,
    schemas=docs.SCHEMAS,
    # The seed's prose writes the paths without /v1 (S0-8, S0-13).
    aliases={"/oauth2/": "/v1/oauth2/", "/payments/": "/v1/payments/"},
    enrolment=EnrolmentRules(key_accepted, BANK.access_idle, lambda user: user.document.get("mobile")),
)
