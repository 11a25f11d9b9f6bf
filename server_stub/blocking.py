"""Blocking after consecutive failures: RTS Art. 4(3)(b) and 4(4), bank.md 11.3.

The server's count, per user, over all identifiers and methods; a phone's own lockouts are something else. Only an accepted step-up resets
it. The third block with no accepted step-up between is permanent; the payer is warned at the second.
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


def blocked(user: User, now: datetime) -> Blocked:
    """Whether this user is blocked at `now`."""
    if user.blocked_permanently:
        return "permanently"
    return "temporarily" if user.blocked_until is not None and now < user.blocked_until else ""


def count_failure(unit: UnitOfWork, user: User, *, session: str, transaction: str, rule: BlockingRule = RULE) -> bool:
    """Count one failed attempt; True if it brought a block. The caller saves nothing else of `user` afterwards."""
    if user.blocked_until is not None and unit.now >= user.blocked_until:
        user.blocked_until, user.failures = None, 0
    user.failures += 1
    hit = user.failures >= rule.failures
    if hit:
        _block(unit, user, session, transaction, rule)
    unit.put_user(user)
    return hit


def _block(unit: UnitOfWork, user: User, session: str, transaction: str, rule: BlockingRule) -> None:
    user.failures = 0
    user.blocks += 1
    where = {"dialect": user.dialect, "user": user.id, "session": session, "transaction": transaction}
    if 0 < rule.permanent_after <= user.blocks:
        user.blocked_permanently = True
        unit.log("block_permanent", **where)
    else:
        user.blocked_until = unit.now + rule.duration
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
    """An accepted step-up: the counts of failures and blocks start anew."""
    if user.failures or user.blocks or user.blocked_until is not None:
        user.failures, user.blocks, user.blocked_until = 0, 0, None
        unit.put_user(user)


def unblock(unit: UnitOfWork, user: User, proof: str) -> None:
    """An operator lifts the block after the user proved who they are; `proof` refers to that proof (Art. 4(4))."""
    user.failures, user.blocks, user.blocked_until, user.blocked_permanently = 0, 0, None, False
    unit.put_user(user)
    unit.log("unblock", dialect=user.dialect, user=user.id, proof_ref=proof)
