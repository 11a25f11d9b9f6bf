"""Every bank, device and operator route against the server's own OpenAPI document: nothing that a client sends is a 5xx or undocumented."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from server_stub.app import create_app
from server_stub.device.routes import DIALECT as DEVICE
from server_stub.dialects.bank.dialect import DIALECT as BANK
from server_stub.http import Dialect, Endpoint
from server_stub.server import Server
from server_stub.stub_api import DIALECT as STUB
from tests.support.server import servers

from ..server.conftest import PASSCODE, USER

CHECKS = (not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance)
EXAMPLES = 5
STREAMS = {"/v1/events"}
ROUTES = [
    (dialect, endpoint)
    for dialect in (BANK, DEVICE, STUB)
    for endpoint in dialect.endpoints
    if endpoint.path not in STREAMS
]


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with servers() as new:
        yield new(dialects=("bank",), seed="fuzz")


@pytest.fixture(scope="module")
def document(server: Server) -> Any:
    return schemathesis.openapi.from_asgi("/openapi.json", create_app(server))


def bearer(server: Server) -> str:
    """A session's token, without the cost of a login."""
    from server_stub.accounts import open_session

    with server.store.begin() as unit:
        user = unit.user("bank", USER)
        assert user is not None
        session = open_session(
            unit, user, channel="api", tls=None, transport="http-loopback", login={"method": "passcode", "at": unit.at}
        )
        return unit.new_token("access", session.id)


@pytest.mark.parametrize(("dialect", "endpoint"), ROUTES, ids=[f"{d.name} {e.method} {e.path}" for d, e in ROUTES])
def test_a_route_answers_whatever_is_sent_as_its_document_says(
    dialect: Dialect, endpoint: Endpoint, document: Any, server: Server
) -> None:
    """A bounded number of generated calls, valid and not, the same on every run; two of three come with a session, an API key, real ids."""
    server.reset()
    operation = document[f"{dialect.prefix}{endpoint.path}"][endpoint.method]
    numbers = itertools.count()
    answers: list[int] = []

    def run(mode: GenerationMode) -> None:
        @given(case=operation.as_strategy(generation_mode=mode))
        @settings(
            max_examples=EXAMPLES, phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )  # fmt: skip
        def call(case: Any) -> None:
            if next(numbers) % 3:
                case.headers.update({"Authorization": f"Bearer {bearer(server)}", "X-APIKEY": "demo-api-key"})
                if "id" in case.path_parameters:
                    case.path_parameters["id"] = USER
            if isinstance(case.body, dict) and "passcode" in case.body and next(numbers) % 2:
                case.body |= {"username": USER, "passcode": PASSCODE}
            case.headers["Host"] = "localhost"
            answers.append(case.call_and_validate(checks=CHECKS).status_code)

        call()

    run(GenerationMode.POSITIVE)
    if endpoint.operation.get("parameters") or endpoint.operation.get("requestBody"):
        with suppress(Unsatisfiable):  # what takes any value has no wrong one
            run(GenerationMode.NEGATIVE)
    assert answers
