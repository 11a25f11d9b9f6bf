"""Names that nobody has: their wrong logins are counted and blocked like a customer's, so that a block tells nobody who is one.

A name is kept as its digest (people type a passcode into the wrong field), and only the names that were tried last are kept.
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Final

from device_keys.clock import rfc3339
from server_stub.blocking import RULE, Blocked, BlockingRule, blocked, fail
from server_stub.records import User
from server_stub.store import UnitOfWork

KIND: Final = "unknown-name"
# So many rows at most. Who wants one to be forgotten must guess at as many others first.
MOST: Final = 10_000


def blocked_name(unit: UnitOfWork, dialect: str, name: str) -> Blocked:
    """Whether logins by this name are blocked."""
    return blocked(_kept(unit, dialect, _digest(dialect, name)), unit.now)


def count_wrong_login(unit: UnitOfWork, dialect: str, name: str, *, of: str, rule: BlockingRule = RULE) -> None:
    """One more wrong login by a name that nobody has."""
    digest = _digest(dialect, name)
    nobody = _kept(unit, dialect, digest)
    fail(nobody, unit.now, of=of, rule=rule)
    until = nobody.blocked_until
    unit.delete_record(KIND, digest)  # and put back as the newest
    unit.put_record(
        KIND, digest, dialect,
        {"failures": nobody.failures, "blocks": nobody.blocks, "permanently": nobody.blocked_permanently,
         "until": rfc3339(until) if until else None},
    )  # fmt: skip
    unit.trim_records(KIND, dialect, MOST)


def _digest(dialect: str, name: str) -> str:
    return hashlib.sha256(f"{dialect}\0{name.lower()}".encode("utf-8", "surrogatepass")).hexdigest()


def _kept(unit: UnitOfWork, dialect: str, digest: str) -> User:
    """What is known of a name, in the shape in which customers are counted."""
    found = unit.record(KIND, digest)
    if found is None:
        return User(dialect, digest, "", {})
    until = datetime.fromisoformat(found["until"]) if found["until"] else None
    return User(dialect, digest, "", {}, found["failures"], found["blocks"], until, found["permanently"])
