"""Errors as the phone's user is told them: what happened, and what to do. Short, second person, no command lines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from authenticator.errors import PhoneError
    from authenticator.tui.handset import Handset

_BY_CODE: Final = {
    "no_match": "No match. Nothing was signed.",
    "cancel": "Cancelled. Nothing was signed.",
    "timeout": "Nobody touched the sensor in time.",
    "lockout_permanent": "The sensor is off after too many tries. U gives the phone's PIN and frees it.",
    "credential_required": "The phone wants its PIN before the sensor. U gives it.",
    "not_enrolled": "This phone is not enrolled here.",
    "not_enrolled_any_more": "The server does not know this phone any more. Enrol it again.",
    "key_invalidated": "This key died when the fingers changed. Enrol again (Security, E).",
    "unknown_step_up": "It does not wait for you any more.",
}
_BANK_REFUSED: Final = "The bank refused this step-up. It does not say which element failed; the pane (F2) does."


def in_words(error: PhoneError, handset: Handset) -> str:
    """The sentence for `error`; the error's own where there is no better one."""
    if error.code == "unreachable":
        if handset.airplane.on:
            return "Airplane mode is on: nothing was sent."
        return f"No server answers at {handset.url}. Ctrl+R looks again."
    if error.code == "lockout":
        return error.message.split(" Nothing was signed")[0]
    if error.code.startswith("403."):
        return _BANK_REFUSED
    return _BY_CODE.get(error.code, error.message)
