"""The error shape of our own routes (`/device/v1`, `/_stub`): `{"error": {"code", "message", "field"?}}`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from server_stub.http import Dialect, Endpoint, Refusal, Reply
from server_stub.openapi import STRING, obj, ref

ERROR: Final = ref("OwnError")
SCHEMAS: Final[Mapping[str, Any]] = {
    "OwnError": obj(("error",), error=obj(("code", "message"), code=STRING, message=STRING, field=STRING))
}


def error(status: int, code: str, message: str, field: str | None = None, **headers: str) -> Reply:
    """A refusal in our own shape."""
    problem = {"code": code, "message": message} | ({"field": field} if field else {})
    return Reply(status, {"error": problem}, headers)


def refuse(status: int, code: str, message: str) -> Refusal:
    """The same, to be raised."""
    return Refusal(error(status, code, message))


def own_family(name: str, prefix: str, endpoints: tuple[Endpoint, ...]) -> Dialect:
    """A family of our own routes, with our own error shape everywhere."""
    return Dialect(
        name=name,
        prefix=prefix,
        endpoints=endpoints,
        not_found=lambda _: error(404, "unknown_route", "no such route; GET /openapi.json lists all"),
        method_not_allowed=lambda _: error(405, "method", "method not allowed here"),
        too_large=lambda _: error(413, "too_large", "expected a body of at most 64 KiB"),
        unavailable=lambda _: error(503, "unavailable", "busy; try again", **{"Retry-After": "1"}),
        broken=lambda _: error(500, "internal", "something went wrong here"),
        bad_format=lambda _, problem: error(400, "not_valid", str(problem), problem.field),
        schemas=SCHEMAS,
    )
