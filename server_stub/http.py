"""What a route sees and answers: `Call`, `Reply`, `Endpoint`, `Dialect`. No web framework here; `app.py` joins them to one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from device_keys.encoding import FormatError, parse_json_object
from server_stub.blocking import RULE, BlockingRule

if TYPE_CHECKING:
    from server_stub.records import Session, Transaction, User
    from server_stub.server import Server
    from server_stub.store import UnitOfWork

MAX_BODY: Final = 64 * 1024


# Where a connection leaves its TLS version and cipher in the scope of a call.
TLS: Final = "stepup.tls"


@dataclass(frozen=True, slots=True)
class Call:
    """A request as a route sees it. Header names are lower case; `transport` is tls, http-loopback or http;
    `target` is path and query as they came; `tls`: version and cipher of the connection, None where there is none or nothing says."""

    method: str
    path: str
    params: Mapping[str, str]
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    transport: str = "http-loopback"
    request_id: str = ""
    target: str = ""
    tls: Mapping[str, str] | None = None

    def json(self) -> dict[str, Any]:
        """The body as a JSON object; `FormatError` for anything else."""
        return parse_json_object(self.body, exact=True)

    @property
    def bearer(self) -> str | None:
        """The token of `Authorization: Bearer …`."""
        scheme, _, token = self.headers.get("authorization", "").partition(" ")
        return token.strip() or None if scheme.lower() == "bearer" else None


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer: `body` is JSON (None: empty), or bytes or text with its own content type in `headers`."""

    status: int
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)


class Refusal(Exception):
    """Raised anywhere inside a route: the answer in the dialect's shape. Leaving a unit of work, it rolls back what was changed."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(f"{reply.status}")
        self.reply = reply


Handler = Callable[["Server", Call], Awaitable[Reply]]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One route. `operation` is its OpenAPI operation object (parameters, requestBody, responses …)."""

    method: str
    path: str
    handler: Handler
    operation: Mapping[str, Any] = field(default_factory=dict)


ErrorReply = Callable[[Call], Reply]


@dataclass(frozen=True, slots=True)
class EnrolmentRules:
    """What enrolling a phone needs of a dialect: its API key check, its login's idle time, and where the activation code goes.

    `enrolled` is called in the same unit of work once the phone's keys are bound. `blocking`: what wrong activation codes bring.
    """

    key_accepted: Callable[[Call], bool]
    idle: timedelta | None
    number_of: Callable[[User], str | None]
    enrolled: Callable[[Server, UnitOfWork, Session], None] | None = None
    blocking: BlockingRule = RULE


@dataclass(frozen=True, slots=True)
class Dialect:
    """A family of routes with its own error shapes. `ignore_case`: paths and query names match in any letter case.

    `on_delivered` is called in the unit of work in which a phone delivered its evidence; `chore` every now and then, for what the dialect
    does by itself as time goes by.
    """

    name: str
    prefix: str
    endpoints: tuple[Endpoint, ...]
    not_found: ErrorReply
    method_not_allowed: ErrorReply
    too_large: ErrorReply
    unavailable: ErrorReply
    broken: ErrorReply
    bad_format: Callable[[Call, FormatError], Reply]
    decorate: Callable[[Call, Reply], Reply] | None = None
    ignore_case: bool = False
    schemas: Mapping[str, Any] = field(default_factory=dict)
    aliases: Mapping[str, str] = field(default_factory=dict)
    enrolment: EnrolmentRules | None = None
    on_delivered: Callable[[Server, UnitOfWork, Transaction], None] | None = None
    chore: Callable[[Server], None] | None = None
