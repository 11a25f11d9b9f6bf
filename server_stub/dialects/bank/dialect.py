"""The dialect as one value: its routes, its error shapes, and what the rest of the server asks of it."""

from __future__ import annotations

from typing import Final

from device_keys.encoding import FormatError
from server_stub.dialects.bank.constants import BANK, NAME
from server_stub.dialects.bank.documented import SCHEMAS
from server_stub.dialects.bank.errors import error
from server_stub.dialects.bank.gate import key_accepted
from server_stub.dialects.bank.routes import ENDPOINTS
from server_stub.http import Call, Dialect, EnrolmentRules, Reply


def _bad_format(_: Call, problem: FormatError) -> Reply:
    return error("400.000.51", str(problem))


DIALECT: Final = Dialect(
    name=NAME,
    prefix="/bank",
    endpoints=ENDPOINTS,
    not_found=lambda _: error("404.001.001"),
    method_not_allowed=lambda _: error("404.001.001"),
    too_large=lambda _: error("413.000.51", "expected a body of at most 64 KiB"),
    unavailable=lambda _: error("503.001.001", "Please try again later", **{"Retry-After": "1"}),
    broken=lambda _: error("500.001.001"),
    bad_format=_bad_format,
    schemas=SCHEMAS,
    # The seed's prose writes the paths without /v1 (S0-8, S0-13).
    aliases={"/oauth2/": "/v1/oauth2/", "/payments/": "/v1/payments/"},
    enrolment=EnrolmentRules(key_accepted, BANK.access_idle, lambda user: user.document.get("mobile")),
)
