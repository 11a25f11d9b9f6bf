"""What every method shares: a challenge opened, an answer judged, and the public code that a refusal gets.

Every challenge is a transaction. For codes that travel (SMS, e-mail, push) it is opened when they are sent; for the others just before the
answer is judged, so that each call has a verdict. An SMS or e-mail code serves one purpose in one session, the newest only.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

from device_keys.clock import parse_instant, rfc3339
from device_keys.messages import Kind
from server_stub.blocking import BlockingRule, count_failure
from server_stub.codes import CodeResult, issue_code, judge_code, read_code
from server_stub.delivery import send
from server_stub.dialects.loginradius.constants import LOGINRADIUS, NAME
from server_stub.dialects.loginradius.errors import error, refuse
from server_stub.dialects.loginradius.profile import lock_reply, lock_rule, own_email
from server_stub.dialects.loginradius.reading import query_text
from server_stub.evidence import PriorElement, SecretFacts
from server_stub.http import Call, Reply
from server_stub.records import Session, Transaction, User
from server_stub.relying_party import Try, attempt, open_step_up
from server_stub.server import Server
from server_stub.store import UnitOfWork

# What a code is for; a code for one purpose is none for another.
Purpose = Literal["stepup", "stepup-mail", "login", "setup", "pin"]
PURPOSES: Final[dict[str, str]] = {
    "stepup": "step-up",
    "stepup-mail": "step-up without MFA",
    "login": "second step of a login",
    "setup": "confirmation of a factor",
    "pin": "reset of the PIN",
}
_OTP_RECORD: Final = "loginradius-otp"
MINUTE: Final = timedelta(minutes=1)
Settle = Callable[[UnitOfWork, User], None]


@dataclass(frozen=True, slots=True)
class Codes:
    """The published ErrorCodes of one method: wrong, expired, used, member missing, factor not on the profile."""

    wrong: int
    expired: int
    used: int
    missing: int
    absent: int

    def of(self, result: str) -> int:
        """The code for what a presented secret was. Only the newest code is known; an older one is a wrong one."""
        return {"expired": self.expired, "used": self.used}.get(result, self.wrong)


@dataclass(frozen=True, slots=True)
class Observed:
    """What the server saw of a presented secret: the result, the challenge it answers, and what a success uses up."""

    kind: str
    result: CodeResult
    channel: str | None = None
    transaction: Transaction | None = None
    settle: Settle | None = None


# --- challenges ------------------------------------------------------------------------------------------------------


def open_challenge(unit: UnitOfWork, session: Session, purpose: str, method: str, life: timedelta) -> Transaction:
    """A challenge for access to the account (PSD2 Art. 97(1)(a)), in the log by its id."""
    transaction = open_step_up(
        unit, session, kind=Kind.ACCOUNT_ACCESS, payload={"purpose": PURPOSES.get(purpose, purpose), "user": session.user},
        methods=[method], life=life, trigger="a", notify=False,
    )  # fmt: skip
    unit.log(
        "challenge_issued", dialect=NAME, user=session.user, session=session.id, transaction=transaction.id,
        challenge_id=hashlib.sha256(transaction.id.encode()).hexdigest(), order_hash=transaction.digest, trigger="a",
        exp=rfc3339(transaction.expires_at),
    )  # fmt: skip
    return transaction


def judge(
    server: Server,
    unit: UnitOfWork,
    call: Call,
    session: Session,
    method: str,
    observed: Observed,
    codes: Codes,
    purpose: str,
    given: tuple[str, ...] = (),
) -> Reply | Transaction:
    """The accepted transaction, or the refusal to answer with (which must be returned, not raised: failures are counted).

    `given`: the secrets that came with the call.
    """
    user = _user_of(unit, session)
    transaction = observed.transaction or open_challenge(unit, session, purpose, method, LOGINRADIUS.step_up_life)
    public = codes.of(observed.result)
    this = Try(
        method=method, problem=str(public), secret=_seen(server, observed), given=given, tls=call.tls,
        device_required=False, transport=call.transport, prior=prior_elements(session), rule=lock_rule(user),  # type: ignore[arg-type]
    )  # fmt: skip
    decision = attempt(unit, transaction, session, this, policy=server.policy, trust=server.trust, config=server.config)
    user = _user_of(unit, session)
    if decision.accepted:
        if observed.settle is not None:
            observed.settle(unit, user)
        unit.put_user(user)
        return transaction
    if observed.transaction is None:
        transaction.state = "VOID"
        unit.put_transaction(transaction)
    if decision.stage == "blocked":
        return lock_reply(user, unit.now) or error(public)
    return error(public)


def _seen(server: Server, observed: Observed) -> SecretFacts:
    """What the server saw of the secret; of a code that travels, how it was made too."""
    drawn = observed.kind in ("otp-sms", "otp-email")
    fixed = server.settings.fixed_otp is not None if drawn else None
    seeded = server.settings.seed is not None if drawn else None
    return SecretFacts(
        kind=observed.kind, result=observed.result, channel=observed.channel, fixed_code=fixed, seeded=seeded
    )


def _user_of(unit: UnitOfWork, session: Session) -> User:
    user = unit.user(NAME, session.user)
    if user is None:
        raise refuse(938)
    return user


def prior_elements(session: Session) -> tuple[PriorElement, ...]:
    """The elements that this session's login showed: they may be reused with another one (EBA Q&A 2018_4141)."""
    return tuple(
        PriorElement(
            category=item["category"],
            method=item["method"],
            at=parse_instant(item["at"]),
            fixed_code=item.get("fixedCode"),
        )
        for item in session.document.get("elements", ())
    )


def note_element(
    unit: UnitOfWork, session: Session, category: str, method: str, fixed_code: bool | None = None
) -> None:
    """This login showed an element; `fixed_code`: of a code, whether it was the server's fixed one."""
    element = {"category": category, "method": method, "at": unit.at, "fixedCode": fixed_code}
    session.document.setdefault("elements", []).append(element)
    unit.put_session(session)


# --- codes that travel -----------------------------------------------------------------------------------------------


def send_code(
    server: Server,
    unit: UnitOfWork,
    session: Session,
    channel: Literal["sms", "email"],
    purpose: Purpose,
    to: str,
) -> Transaction:
    """A new code on its way, and its challenge; the one before is superseded. Over the limit: 1179."""
    _count_sending(unit, session, channel)
    record_id = f"{session.id} {purpose} {channel}"
    kept = unit.record(_OTP_RECORD, record_id) or {"earlier": []}
    earlier = kept["earlier"] + ([kept["code"]] if "code" in kept else [])
    _end_challenge(unit, kept.get("transaction"))
    code, newest = issue_code(
        unit, f"loginradius {channel} code", LOGINRADIUS.otp_life, digits=LOGINRADIUS.otp_digits, fixed=server.settings.fixed_otp,
        unlike=[read_code(item) for item in earlier],
    )  # fmt: skip
    method = "SMS_OTP" if channel == "sms" else "EMAIL_OTP"
    transaction = open_challenge(unit, session, purpose, method, LOGINRADIUS.step_up_life)
    document = {"code": newest.to_json(), "earlier": earlier[-10:], "transaction": transaction.id, "to": to}
    unit.put_record(_OTP_RECORD, record_id, session.id, document)
    minutes = LOGINRADIUS.otp_life // MINUTE
    text = (
        f"{code} is your code for the {PURPOSES[purpose]}. It is good for {minutes} minutes. Never tell it to anyone."
    )
    send(unit, channel, to, text, code=code)
    return transaction


def _end_challenge(unit: UnitOfWork, transaction_id: str | None) -> None:
    """The challenge of a code that is superseded can no longer be answered."""
    transaction = unit.transaction(transaction_id) if transaction_id else None
    if transaction is not None and transaction.state == "ISSUED":
        transaction.state = "VOID"
        unit.put_transaction(transaction)


def _count_sending(unit: UnitOfWork, session: Session, channel: str) -> None:
    """Five codes in ten minutes for each user and channel (own choice), the sixth is refused."""
    user = _user_of(unit, session)
    window = rfc3339(unit.now - LOGINRADIUS.send_window)
    sent = [at for at in user.document.get(f"sent-{channel}", []) if at > window]
    if len(sent) >= LOGINRADIUS.send_limit:
        raise refuse(1179, "Please wait before requesting another OTP.")
    user.document[f"sent-{channel}"] = [*sent, unit.at]
    unit.put_user(user)


def sent_to(unit: UnitOfWork, session: Session, channel: str, purpose: Purpose) -> str | None:
    """Where the newest code of this purpose went, None where none was sent."""
    kept = unit.record(_OTP_RECORD, f"{session.id} {purpose} {channel}")
    return kept["to"] if kept else None


def observe_code(
    unit: UnitOfWork,
    session: Session,
    channel: Literal["sms", "email"],
    purpose: Purpose,
    code: str,
    to: str | None = None,
) -> Observed:
    """What a presented SMS or e-mail code is. With `to`, it must have gone to that address."""
    kind = f"otp-{channel}"
    record_id = f"{session.id} {purpose} {channel}"
    kept = unit.record(_OTP_RECORD, record_id)
    if kept is None:
        return Observed(kind, "none-issued", channel)
    newest = read_code(kept["code"])
    result = judge_code(code, newest, unit.now, [read_code(item) for item in kept["earlier"]])
    if to is not None and to.lower() != kept["to"].lower():
        result = "wrong"

    def settle(unit: UnitOfWork, _: User) -> None:
        unit.put_record(_OTP_RECORD, record_id, session.id, {**kept, "code": newest.spent().to_json()})

    return Observed(kind, result, channel, unit.transaction(kept["transaction"]), settle)


def delivery_status(session: Session, sent: Transaction | None) -> dict[str, str] | None:
    """What the SMS carrier is said to have answered; made of our own ids."""
    if sent is None:
        return None
    return {"AccountSid": f"AC{session.id.replace('-', '')}", "Sid": f"SM{sent.id.replace('-', '')}"}


def chosen_email(call: Call, user: User, *, required: bool) -> str:
    """The address of query `emailid`, as the profile has it: absent 1032 where it is required, else the first; foreign 908."""
    given = query_text(call, "emailid")
    if given is None:
        if required:
            raise refuse(1032)
        return str(user.document["emails"][0])
    known = own_email(user, given)
    if known is None:
        raise refuse(908, "emailid: expected an address of this profile.")
    return known


# --- wrong passwords at login ----------------------------------------------------------------------------------------


def count_wrong_password(unit: UnitOfWork, user: User, rule: BlockingRule) -> None:
    """A failed login counts like a failed step-up: the limit holds over all methods."""
    unit.log("login_failed", dialect=NAME, user=user.id)
    count_failure(unit, user, of="password", session="", transaction="", rule=rule)


def expiry(now: datetime, life: timedelta) -> str:
    """`ExpireIn` and its like: an ISO instant."""
    return rfc3339(now + life)
