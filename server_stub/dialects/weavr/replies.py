"""Answers in Weavr's shapes (weavr.md section 3): refusals are code or nothing; only a syntax error names a field."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final

from device_keys.encoding import FormatError
from server_stub.dialects.weavr.constants import Surface
from server_stub.http import Call, Refusal, Reply

NOT_VALID: Final = "Request not valid"
NO_CONTENT: Final = Reply(204)
UNAUTHORISED: Final = Reply(401)
LOCKED: Final = Reply(423)
INVALID_REQUEST: Final = Reply(400, {"message": "INVALID_REQUEST", "errorCode": "INVALID_REQUEST"})


def conflict(code: str) -> Refusal:
    """409 with its code."""
    return Refusal(Reply(409, {"errorCode": code}))


def forbidden(code: str) -> Refusal:
    """403 with its code."""
    return Refusal(Reply(403, {"errorCode": code}))


def unknown(what: str) -> Refusal:
    """404 for a resource that this user does not have."""
    return Refusal(not_found(what))


def not_found(what: str = "resource") -> Reply:
    return Reply(404, {"code": "NOT_FOUND", "message": f"no such {what}"})


def invalid(field: str, error: str, *params: str) -> Refusal:
    """400: one field is not as its schema says. `error` is one of the published words."""
    return Refusal(syntax_error(field, error, params))


def syntax_error(field: str, error: str, params: Iterable[str] = ()) -> Reply:
    entry = {"params": list(params), "fieldName": field, "error": error}
    return Reply(400, {"message": NOT_VALID, "syntaxErrors": {"invalidFields": [entry]}})


def bad_format(call: Call, problem: FormatError) -> Reply:
    """400 for a body that cannot be read at all; the Simulator has a shape of its own."""
    if call.path.startswith("/simulate/api/"):
        return simulator_error(problem.field, "INVALID")
    return syntax_error(problem.field, "REQUIRES", (problem.expected,))


def simulator_error(name: str, kind: str) -> Reply:
    """400 of the Simulator."""
    return Reply(
        400,
        {"message": NOT_VALID, "validation": {"invalid": True, "fields": [{"name": name, "errors": [{"type": kind}]}]}},
    )


def text(body: dict[str, Any], name: str, most: int = 255, *, field: str = "", least: int = 1) -> str:
    """A text member of this length; REQUIRED, HAS_TEXT or SIZE where it is not."""
    found = optional_text(body, name, most, field=field, least=least)
    if found is None:
        raise invalid(field or name, "REQUIRED")
    return found


def optional_text(body: dict[str, Any], name: str, most: int = 255, *, field: str = "", least: int = 0) -> str | None:
    """As `text`, None where the member is absent or null."""
    value = body.get(name)
    where = field or name
    if value is None:
        return None
    if not isinstance(value, str):
        raise invalid(where, "HAS_TEXT")
    if not least <= len(value) <= most:
        raise invalid(where, "SIZE", str(least), str(most))
    if not storable(value):
        raise invalid(where, "REGEX", "Unicode text without U+0000")
    return value


def storable(value: str) -> bool:
    """Whether both databases can hold it: neither half a surrogate pair nor U+0000."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in value


def member_object(body: dict[str, Any], name: str) -> dict[str, Any]:
    """An object member; REQUIRED where it is absent, REQUIRES where it is something else."""
    value = body.get(name)
    if value is None:
        raise invalid(name, "REQUIRED")
    if not isinstance(value, dict):
        raise invalid(name, "REQUIRES", "an object")
    return value


def one_of(body: dict[str, Any], name: str, allowed: tuple[str, ...]) -> str:
    """A member that is one of an enumeration; IN where it is not."""
    value = text(body, name)
    if value not in allowed:
        raise invalid(name, "IN", *allowed)
    return value


def channel(call: Call, allowed: tuple[str, ...]) -> str:
    """The path's channel, which must be in its enumeration (weavr.md 12.2)."""
    found = call.params["channel"]
    if found not in allowed:
        raise invalid("channel", "NOT_IN", *allowed)
    return found


def verification_code(body: dict[str, Any], surface: Surface) -> str:
    """Six digits. Payment Run tells wrong characters from wrong length; Multi has one pattern for both (weavr.md 6.2)."""
    value = body.get("verificationCode")
    if value is None:
        raise invalid("verificationCode", "REQUIRED")
    pattern = "^[0-9]{6}$" if surface.multi else "^[0-9]*$"
    if not isinstance(value, str) or re.fullmatch(r"[0-9]{6}" if surface.multi else r"[0-9]*", value) is None:
        raise invalid("verificationCode", "REGEX", pattern)
    if len(value) != 6:
        raise invalid("verificationCode", "SIZE", "6", "6")
    return value
