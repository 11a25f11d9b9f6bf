"""Blocking after consecutive failures: RTS Art. 4(3)(b) and 4(4), bank.md 11.3.

The server's count, one for each user, over logins, enrolments, challenges, identifiers and methods; a phone's own lockouts are something
else. What resets it is a success that shows two elements of different categories; a success with one secret ends a row in which nothing but
that very secret was guessed, and no other: else whoever knows one secret could guess the next without end. The third block with no accepted
step-up between is permanent; the payer is warned at the second.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from server_stub.records import User
from server_stub.store import UnitOfWork

Blocked = Literal["", "temporarily", "permanently"]


@dataclass(frozen=True, slots=True)
class BlockingRule:
    """How many failures, how long, and after how many blocks for good (0: never)."""

    failures: int = 5
    duration: timedelta = timedelta(minutes=30)
    permanent_after: int = 3
    basis: str = "fixed length, set for a test system (Art. 2(2) factors are not simulated)"


RULE = BlockingRule()
# The member of a user's document that names what was guessed in the present row of failures.
_ROW = "guessed"


def blocked(user: User, now: datetime) -> Blocked:
    """Whether this user is blocked at `now`."""
    if user.blocked_permanently:
        return "permanently"
    return "temporarily" if user.blocked_until is not None and now < user.blocked_until else ""


def note_refused(unit: UnitOfWork, user: User, action: str) -> None:
    """Log that a block refused this action (RTS Art. 4(3)(b)), whether or not its secret was right."""
    unit.log("action_refused", dialect=user.dialect, user=user.id, action=action, because="blocked")


def fail(user: User, now: datetime, *, of: str, rule: BlockingRule = RULE) -> bool:
    """Note one more failure in a row; True if it brings a block. `of`: the kind of secret that was guessed."""
    if user.blocked_until is not None and now >= user.blocked_until:
        user.blocked_until, user.failures = None, 0
    guessed = _guessed(user) if user.failures else set()
    user.failures += 1
    user.document[_ROW] = sorted({*guessed, of})
    if user.failures < rule.failures:
        return False
    user.failures = 0
    user.blocks += 1
    if 0 < rule.permanent_after <= user.blocks:
        user.blocked_permanently = True
    else:
        user.blocked_until = now + rule.duration
    return True


def _guessed(user: User) -> set[str]:
    """What was guessed in the present row; a row that an earlier version counted may be of anything."""
    kept = user.document.get(_ROW)
    return set(kept) if isinstance(kept, list) else {"anything"}


def count_failure(
    unit: UnitOfWork, user: User, *, of: str, session: str, transaction: str, rule: BlockingRule = RULE
) -> bool:
    """Count one failed attempt; True if it brought a block. The caller saves nothing else of `user` afterwards."""
    hit = fail(user, unit.now, of=of, rule=rule)
    if hit:
        _blocked_now(unit, user, session, transaction, rule)
    unit.put_user(user)
    return hit


def _blocked_now(unit: UnitOfWork, user: User, session: str, transaction: str, rule: BlockingRule) -> None:
    where = {"dialect": user.dialect, "user": user.id, "session": session, "transaction": transaction}
    if user.blocked_permanently or user.blocked_until is None:
        unit.log("block_permanent", **where)
    else:
        unit.log("block_temp", **where, until=user.blocked_until.isoformat(), basis=rule.basis)
    if user.blocks == rule.permanent_after - 1:
        unit.log("alert_before_permanent", **where)
        _warn(unit, user)
    unit.void_open_transactions(user.dialect, user.id)


def _warn(unit: UnitOfWork, user: User) -> None:
    from server_stub.delivery import send

    mobile = user.document.get("mobile")
    if mobile:
        text = (
            "Your step-up was blocked for 30 minutes. One more block, and it stays blocked until you contact your bank."
        )
        send(unit, "sms", mobile, text)


def count_success(unit: UnitOfWork, user: User) -> None:
    """Two elements of different categories were shown: the counts of failures and blocks start anew."""
    if user.failures or user.blocks or user.blocked_until is not None:
        user.failures, user.blocks, user.blocked_until = 0, 0, None
        unit.put_user(user)


def count_single_success(unit: UnitOfWork, user: User, of: str) -> None:
    """One secret was right: a row of failures ends in which nothing else was guessed."""
    if user.failures and _guessed(user) == {of}:
        user.failures = 0
        unit.put_user(user)


def unblock(unit: UnitOfWork, user: User, proof: str) -> None:
    """An operator lifts the block after the user proved who they are; `proof` refers to that proof (Art. 4(4))."""
    user.failures, user.blocks, user.blocked_until, user.blocked_permanently = 0, 0, None, False
    unit.put_user(user)
    unit.log("unblock", dialect=user.dialect, user=user.id, proof_ref=proof)
