"""The dialect as one value: its routes, its error shapes, and what the rest of the server asks of it."""

from __future__ import annotations

from typing import Final

from device_keys.encoding import FormatError
from server_stub.dialects.loginradius.constants import NAME
from server_stub.dialects.loginradius.documented import SCHEMAS
from server_stub.dialects.loginradius.errors import error, http_error
from server_stub.dialects.loginradius.routes import ENDPOINTS
from server_stub.http import Call, Dialect, Reply


def _bad_format(_: Call, problem: FormatError) -> Reply:
    return error(965 if problem.field == "body" else 908, f"{problem}.")


DIALECT: Final = Dialect(
    name=NAME,
    prefix="/loginradius",
    endpoints=ENDPOINTS,
    not_found=lambda _: http_error(404, "There is no such route."),
    method_not_allowed=lambda _: http_error(405, "This route is called with another method."),
    too_large=lambda _: http_error(413, "Expected a body of at most 64 KiB."),
    unavailable=lambda _: http_error(503, "Busy; please try again later.", **{"Retry-After": "1"}),
    broken=lambda _: http_error(500, "Something went wrong here."),
    bad_format=_bad_format,
    ignore_case=True,
    schemas=SCHEMAS,
)
