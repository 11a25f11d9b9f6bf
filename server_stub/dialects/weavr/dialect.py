"""The dialect as one value: its routes, its error shapes, and what the rest of the server asks of it."""

from __future__ import annotations

from typing import Final

from server_stub.dialects.weavr.constants import LOCK_RULE, NAME, WEAVR
from server_stub.dialects.weavr.enrolment import phone_enrolled
from server_stub.dialects.weavr.gate import decorate, key_accepted
from server_stub.dialects.weavr.people import number_of
from server_stub.dialects.weavr.push import chore, on_delivered
from server_stub.dialects.weavr.replies import bad_format, not_found
from server_stub.dialects.weavr.routes import ENDPOINTS
from server_stub.dialects.weavr.schemas import SCHEMAS
from server_stub.http import Dialect, EnrolmentRules, Reply

DIALECT: Final = Dialect(
    name=NAME,
    prefix="/weavr",
    endpoints=ENDPOINTS,
    not_found=lambda _: not_found(),
    method_not_allowed=lambda _: Reply(405, {"code": "METHOD_NOT_ALLOWED", "message": "this path has other methods"}),
    too_large=lambda _: Reply(413),
    unavailable=lambda _: Reply(503, None, {"Retry-After": "1"}),
    broken=lambda _: Reply(500),
    bad_format=bad_format,
    decorate=decorate,
    schemas=SCHEMAS,
    enrolment=EnrolmentRules(key_accepted, WEAVR.idle, number_of, phone_enrolled, LOCK_RULE),
    on_delivered=on_delivered,
    chore=chore,
)
