"""LoginRadius (requirements S2-*): login, step-up by every published method, the validators, and the factors behind them.

The result of a step-up is a side token that the customer's back end validates once; the session goes on unchanged.
"""

from __future__ import annotations

from typing import Final

from device_keys.encoding import FormatError
from server_stub.dialects.loginradius.constants import LOGINRADIUS, NAME
from server_stub.dialects.loginradius.documented import SCHEMAS
from server_stub.dialects.loginradius.errors import error, http_error
from server_stub.dialects.loginradius.profile import demo_users, describe_user, user_from_json
from server_stub.dialects.loginradius.routes import ENDPOINTS
from server_stub.http import Call, Dialect, Reply

__all__ = ["DIALECT", "LOGINRADIUS", "demo_users", "describe_user", "user_from_json"]


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
