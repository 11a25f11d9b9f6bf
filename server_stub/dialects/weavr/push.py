"""Push and biometric challenges (weavr.md sections 7 and 12.5): no verify call; the phone answers, the embedder hears by webhook.

A push is a transaction like any other: the phone fetches its nonce, shows it, and signs with the possession key (a plain push, or the
passcode that stands in for a biometric) or the biometric key. What it delivers is judged at once, and told as VERIFIED or DECLINED only.
"""

from __future__ import annotations

from typing import Any, Final

from device_keys.encoding import FormatError, b64url_encode, parse_json_object
from device_keys.messages import Assertion, Kind
from server_stub.accounts import end_session, note_activity, open_session
from server_stub.blocking import blocked
from server_stub.dialects.weavr import otp
from server_stub.dialects.weavr.constants import (
    AUTHY,
    BIOMETRIC,
    LOCK_RULE,
    MULTI,
    NAME,
    PUSH_CHANNELS,
    WEAVR,
)
from server_stub.dialects.weavr.gate import Visit, check_call_ref, programme_of
from server_stub.dialects.weavr.login import AUTH, REFUSED
from server_stub.dialects.weavr.people import identity_of, new_number, registered, switched_on
from server_stub.dialects.weavr.replies import LOCKED, channel, conflict, member_object, text
from server_stub.dialects.weavr.stepup import PURPOSE, access_payload, mark_stepped_up
from server_stub.dialects.weavr.watch import Status, factor_changed, login_decided, step_up_decided
from server_stub.http import Call, Reply
from server_stub.records import Session, Transaction, User
from server_stub.relying_party import Try, attempt, open_step_up
from server_stub.server import Server
from server_stub.store import UnitOfWork

ENROLMENT: Final = "enrol-push"
LOGIN: Final = "login"
WAITING: Final = "weavr-push"
OWNER: Final = "waiting"
# How the phone may answer each channel: PASSCODE picks the possession key, BIOMETRIC the biometric one.
METHODS: Final = {AUTHY: ["PASSCODE"], BIOMETRIC: ["BIOMETRIC", "PASSCODE"]}


def open_push(
    visit: Visit,
    by: str,
    purpose: str,
    payload: Any,
    *,
    kind: Kind = Kind.ACCOUNT_ACCESS,
    trigger: str = "a",
    **document: Any,
) -> Transaction:
    """A challenge to the user's phone, over this channel."""
    call_ref = visit.call.headers.get("call-ref", "")
    return send_push(
        visit.unit, visit.session, by, purpose, payload, kind=kind, trigger=trigger, methods=METHODS[by], callRef=call_ref,
        token=visit.call.bearer, surface=visit.surface.name, transport=visit.call.transport, **document,
    )  # fmt: skip


def send_push(
    unit: UnitOfWork,
    session: Session,
    by: str,
    purpose: str,
    payload: Any,
    *,
    kind: Kind,
    trigger: str,
    methods: list[str],
    token: str | None = None,
    **document: Any,
) -> Transaction:
    """The transaction, and a record that it waits; the caller's token lies in that record until the decision, for `authToken`."""
    transaction = open_step_up(
        unit, session, kind=kind, payload=payload, methods=list(methods), life=WEAVR.challenge_life, trigger=trigger,
        transaction_id=new_number(unit.entropy, "challenge"), purpose=purpose, channel=by, push=True, **document,
    )  # fmt: skip
    unit.put_record(WAITING, transaction.id, OWNER, {"id": transaction.id, "token": token})
    return transaction


def check_push(visit: Visit, by: str) -> None:
    """Refuse where no push can go out: channel off, not registered, too many failures."""
    switched_on(visit.user, by)
    if not registered(visit.unit, visit.user, by):
        raise conflict("CHANNEL_NOT_REGISTERED")
    if blocked(visit.user, visit.unit.now):
        raise conflict(otp.LIMIT)


def issue(visit: Visit) -> Reply:
    """`POST /stepup/challenges/push/{channel}` (Multi)."""
    by = channel(visit.call, PUSH_CHANNELS)
    check_push(visit, by)
    earlier = _push_of(visit)
    if earlier is not None and (earlier.state == "VERIFIED" or is_open(visit.unit, earlier)):
        raise conflict(otp.STATE)
    transaction = open_push(visit, by, PURPOSE, access_payload(PURPOSE, visit.user.id))
    visit.session.document["push"] = transaction.id
    visit.save_session()
    return Reply(200, {"id": transaction.id})


def _push_of(visit: Visit) -> Transaction | None:
    transaction_id = visit.session.document.get("push")
    return visit.unit.transaction(transaction_id) if transaction_id else None


def is_open(unit: UnitOfWork, transaction: Transaction) -> bool:
    """Whether it still waits for an answer."""
    return transaction.state == "ISSUED" and unit.now < transaction.expires_at


def pending_push(visit: Visit, purpose: str = ENROLMENT) -> Transaction | None:
    """A push of this user for this purpose that still waits."""
    waiting = visit.unit.open_transactions(NAME, visit.user.id)
    return next((t for t in waiting if t.document.get("push") and t.document["purpose"] == purpose), None)


async def login_via_biometrics(server: Server, call: Call) -> Reply:
    """`POST /login_via_biometrics` (Multi): no password; the AUTH token comes by webhook once the phone has approved."""
    programme = programme_of(call)
    check_call_ref(call)
    body = call.json()
    email = text(body, "email")
    wanted = member_object(body, "identity") if body.get("identity") is not None else None
    with server.store.begin() as unit:
        user = unit.user_by_login(NAME, email)
        if user is None or user.document["programmeName"] != programme or not user.document["active"]:
            return REFUSED
        if wanted is not None and wanted != identity_of(user, MULTI):
            return REFUSED
        if blocked(user, unit.now):
            return LOCKED
        switched_on(user, BIOMETRIC)
        if not registered(unit, user, BIOMETRIC):
            raise conflict("CHANNEL_NOT_REGISTERED")
        return Reply(200, {"challengeId": _begin_login(unit, call, user)})


def _begin_login(unit: UnitOfWork, call: Call, user: User) -> str:
    session = open_session(
        unit, user, channel="biometric login", tls=call.tls, programme=user.document["programmeName"]
    )
    transaction = send_push(
        unit, session, BIOMETRIC, LOGIN, access_payload("login", user.id), kind=Kind.ACCOUNT_ACCESS, trigger="a",
        methods=["BIOMETRIC"], callRef=call.headers.get("call-ref", ""), transport=call.transport,
    )  # fmt: skip
    return transaction.id


# --- the phone's answer ----------------------------------------------------------------------------------------------


def on_delivered(server: Server, unit: UnitOfWork, transaction: Transaction) -> None:
    """The phone answered a push: judged here, since no verify call follows."""
    session = unit.session(transaction.session)
    if not transaction.document.get("push") or session is None:
        return
    this = Try(
        method=_method(unit, transaction), problem="DECLINED", rule=LOCK_RULE, prior=otp.prior_elements(session),
        transport=transaction.document["transport"],
    )  # fmt: skip
    decision = attempt(unit, transaction, session, this, policy=server.policy, trust=server.trust, config=server.config)
    if not decision.accepted:
        transaction.state = "VOID"
        unit.put_transaction(transaction)
    settle(server, unit, transaction, "VERIFIED" if decision.accepted else "DECLINED")


def _method(unit: UnitOfWork, transaction: Transaction) -> str:
    """A biometric where the biometric key signed or nothing else is allowed, else a push approved with the possession key."""
    name = f"PUSH_{transaction.document['channel']}"
    if "PASSCODE" not in transaction.methods:
        return name
    try:
        assertion = Assertion.from_json(parse_json_object(transaction.assertion or "{}", "assertion"))
    except FormatError:
        return name
    credential = unit.credential(b64url_encode(assertion.credential_id))
    plain = credential is not None and credential.factor == "possession"
    return "PUSH_PASSCODE" if plain else name


def settle(server: Server, unit: UnitOfWork, transaction: Transaction, status: Status) -> None:
    """What a decided push brings about: the token stepped up, a factor active, a login, a payment; and the webhook that tells."""
    waiting = unit.record(WAITING, transaction.id) or {}
    unit.delete_record(WAITING, transaction.id)
    session, user = unit.session(transaction.session), unit.user(NAME, transaction.user)
    if session is None or user is None:
        return
    purpose = transaction.document["purpose"]
    if purpose == PURPOSE:
        _settle_step_up(server, unit, transaction, session, user, status, waiting.get("token"))
    elif purpose == ENROLMENT:
        _settle_enrolment(server, unit, transaction, user, status)
    elif purpose == LOGIN:
        _settle_login(server, unit, transaction, session, user, status)
    elif status == "VERIFIED":
        from server_stub.dialects.weavr.payments import execute

        execute(unit, transaction, user)


def _settle_step_up(
    server: Server, unit: UnitOfWork, transaction: Transaction, session: Session, user: User, status: Status, token: Any
) -> None:
    by = transaction.document["channel"]
    if status == "VERIFIED":
        mark_stepped_up(unit, session)
    told = token if status == "VERIFIED" and by == BIOMETRIC else None
    step_up_decided(
        server,
        unit,
        user,
        transaction.id,
        status,
        by,
        call_ref=transaction.document.get("callRef", ""),
        auth_token=told,
    )


def _settle_enrolment(server: Server, unit: UnitOfWork, transaction: Transaction, user: User, status: Status) -> None:
    active = status == "VERIFIED"
    user.document["factors"][AUTHY] = "ACTIVE" if active else "INACTIVE"
    if active:
        user.document["pushEnrolments"] = 0
    unit.put_user(user)
    factor_changed(server, unit, user, AUTHY, active=active, call_ref=transaction.document.get("callRef", ""))


def _settle_login(
    server: Server, unit: UnitOfWork, transaction: Transaction, session: Session, user: User, status: Status
) -> None:
    """A verified biometric login shows two elements: its token is stepped up from the start."""
    token = None
    call_ref = transaction.document.get("callRef", "")
    if status == "VERIFIED":
        session.document["login"] = {"method": "biometric", "at": unit.at}
        note_activity(unit, session)
        mark_stepped_up(unit, session)
        token = unit.new_token(AUTH, session.id)
    else:
        end_session(unit, session, f"biometric login {status.lower()}")
    step_up_decided(server, unit, user, transaction.id, status, BIOMETRIC, call_ref=call_ref, auth_token=token)
    login_decided(server, unit, user, status, BIOMETRIC, call_ref)


# --- time ------------------------------------------------------------------------------------------------------------


def chore(server: Server) -> None:
    """Tell the embedder of pushes that expired or were voided unanswered; run by the webhook worker."""
    with server.store.reading() as unit:
        overdue = [record["id"] for record in unit.records(WAITING, OWNER) if _is_over(unit, record["id"])]
    for transaction_id in overdue:
        with server.store.begin() as unit:
            transaction = unit.transaction(transaction_id)
            if transaction is None or unit.record(WAITING, transaction_id) is None or is_open(unit, transaction):
                continue
            if transaction.state == "ISSUED":
                transaction.state = "VOID"
                unit.put_transaction(transaction)
            settle(server, unit, transaction, "EXPIRED")


def _is_over(unit: UnitOfWork, transaction_id: str) -> bool:
    transaction = unit.transaction(transaction_id)
    return transaction is None or not is_open(unit, transaction)
