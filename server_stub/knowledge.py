"""What is noted of a secret when it is set: who set it, and the class of its length; never its length or value.

The rules on knowledge (RTS Article 6) read it. A secret that was set before this was noted stays unknown.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Literal

from server_stub.records import User
from server_stub.store import UnitOfWork

SetBy = Literal["server", "operator", "user"]
# The longest first; a secret of no characters has a class of its own.
_CLASSES: Final = ((12, "12+"), (8, "8-11"), (6, "6-7"), (4, "4-5"), (1, "1-3"), (0, "0"))


def length_class(secret: str) -> str:
    """The class of a secret's length, counted in characters: `0`, `1-3`, `4-5`, `6-7`, `8-11` or `12+`."""
    return next(name for least, name in _CLASSES if len(secret) >= least)


def note_secret(unit: UnitOfWork, user: User, method: str, secret: str, *, by: SetBy, session: str = "") -> None:
    """Log that this secret is the user's from now on."""
    note_class(unit, user, method, length_class(secret), by=by, session=session)


def note_class(unit: UnitOfWork, user: User, method: str, kind: str, *, by: SetBy, session: str = "") -> None:
    """As `note_secret`, where only the class is still at hand."""
    unit.log(
        "secret_set", dialect=user.dialect, user=user.id, session=session, method=method, length_class=kind, set_by=by
    )


def note_built_in(unit: UnitOfWork, user: User) -> None:
    """Note the built-in secrets that this user still has, once, at the first login with them.

    Not when a fresh server puts the user in: a start writes no log, so that a seeded run repeats whenever its clock was set.
    """
    for method, secret in (user.document.get("plain") or {}).items():
        name = f"noted {user.dialect} {user.id} {method}"
        if unit.setting(name) is None:
            unit.put_setting(name, "yes")
            note_secret(unit, user, method, secret, by="server")


def shortest_class(secrets: Iterable[str]) -> str:
    """The class of the shortest of several secrets that serve together, as the answers to security questions do."""
    return length_class(min(secrets, key=len, default=""))
