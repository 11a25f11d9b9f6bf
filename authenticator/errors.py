"""What can go wrong on the phone, each kind with the exit code of the command line.

`PhoneError` ─ `Refused` (1) · `UsageError` (2) · `Unreachable` (3) · `Unreadable` (3). No message ever holds a secret.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any, ClassVar


class ExitCode(IntEnum):
    """What a command's end means to a script."""

    OK = 0
    REFUSED = 1
    USAGE = 2
    UNREACHABLE = 3


class PhoneError(Exception):
    """Something that the user is told: a stable `code`, a `message` in words and, for bad input, the `field`."""

    exit_code: ClassVar[ExitCode] = ExitCode.REFUSED

    def __init__(self, code: str, message: str, *, field: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.field = field

    def to_json(self) -> dict[str, Any]:
        """`{"error": {"code", "message", "field"?}}`."""
        error = {"code": self.code, "message": self.message}
        return {"error": error if self.field is None else {**error, "field": self.field}}


class Refused(PhoneError):
    """The server, the secure hardware or the user said no."""


class UsageError(PhoneError):
    """The command cannot be carried out as given."""

    exit_code = ExitCode.USAGE

    def __init__(self, message: str, *, field: str | None = None, code: str = "usage") -> None:
        super().__init__(code, message, field=field)


class Unreachable(PhoneError):
    """The server does not answer."""

    exit_code = ExitCode.UNREACHABLE


class Unreadable(PhoneError):
    """An answer, a file or the key store cannot be read."""

    exit_code = ExitCode.UNREACHABLE
