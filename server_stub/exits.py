"""How a command of `stepup-server` ends: exit codes, and errors of one clear sentence."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """Exit codes of both commands."""

    DONE = 0
    REFUSED = 1
    USAGE = 2
    UNREADABLE = 3


class CommandError(Exception):
    """Ends a command with a code and one clear sentence."""

    def __init__(self, exit_code: Exit, code: str, message: str) -> None:
        super().__init__(message)
        self.exit_code = exit_code
        self.code = code
