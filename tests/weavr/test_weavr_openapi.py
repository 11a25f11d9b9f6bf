"""Every Weavr route against the server's own OpenAPI document: no 5xx, no undocumented status, no schema or header violation."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from jsonschema_rs import ValidationError
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from server_stub.accounts import open_session
from server_stub.app import create_app
from server_stub.dialects.weavr.dialect import DIALECT
from server_stub.http import Endpoint
from server_stub.server import Server
from tests.support.server import servers

ALICE = "110000000000000001"
CHECKS = (
    not_a_server_error, status_code_conformance, content_type_conformance, response_headers_conformance, response_schema_conformance,
)  # fmt: skip


@pytest.fixture(scope="module")
def weavr_server() -> Iterator[Server]:
    """A seeded server, so that the run repeats."""
    with servers() as new:
        yield new(dialects=("weavr",), seed="schemathesis", webhook="http://embedder.test")


@pytest.fixture(scope="module")
def weavr_schema(weavr_server: Server) -> Any:
    return schemathesis.openapi.from_asgi("/openapi.json", create_app(weavr_server))


@pytest.fixture(scope="module")
def logins(weavr_server: Server) -> Iterator[dict[str, str]]:
    """Headers of a fresh login for each call, every other one stepped up, without the cost of a password; every fifth call bears none."""

    def login(number: int) -> dict[str, str]:
        with weavr_server.store.begin() as unit:
            user = unit.user("weavr", ALICE)
            assert user is not None
            stepped_up = {"steppedUp": unit.at} if number % 2 else {}
            session = open_session(
                unit,
                user,
                channel="test",
                tls=None,
                transport="http-loopback",
                programme="demo",
                login={"method": "password", "at": unit.at},
                **stepped_up,
            )
            token = unit.new_token("access" if number % 7 else "auth", session.id)
        return {"api-key": "demo-api-key", "programme-key": "demo-api-key"} | (
            {"Authorization": f"Bearer {token}"} if number % 5 else {}
        )

    return map(login, itertools.count())


@pytest.mark.parametrize("endpoint", DIALECT.endpoints, ids=lambda endpoint: f"{endpoint.method} {endpoint.path}")
def test_weavr_routes_answer_as_documented(
    endpoint: Endpoint, weavr_schema: Any, logins: Iterator[dict[str, str]]
) -> None:
    """Issue 5, done when 3: a bounded number of generated calls, valid and not, the same on every run."""
    operation = weavr_schema[f"/weavr{endpoint.path}"][endpoint.method]
    answers: list[int] = []
    for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
        if mode is GenerationMode.POSITIVE or _can_be_wrong(endpoint):

            @given(case=operation.as_strategy(generation_mode=mode))
            @settings(
                max_examples=6,
                phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
            )
            def call(case: Any) -> None:
                answers.append(case.call_and_validate(headers=next(logins), checks=CHECKS).status_code)

            call()
    assert len(answers) >= 2


def _can_be_wrong(endpoint: Endpoint) -> bool:
    """Whether there is anything to get wrong: a body, or a channel."""
    return "requestBody" in endpoint.operation or "{channel}" in endpoint.path


def test_the_document_that_all_weavr_tests_are_held_against_does_refuse(world: Any) -> None:
    """The judge itself: an undocumented status, a body where none belongs, a missing header, a body of another shape."""
    path, headers = "/weavr/multi/login_with_password", {"request-ref": "1"}
    good = {
        "token": "t",
        "tokenType": "ACCESS",
        "identity": {"type": "CORPORATE", "id": "1"},
        "credentials": {"type": "ROOT", "id": "1"},
    }
    world.document.check("POST", path, httpx2.Response(200, json=good, headers=headers))
    for answer in (
        httpx2.Response(418, headers=headers), httpx2.Response(403, json={}, headers=headers), httpx2.Response(200, json=good),
        httpx2.Response(200, json={**good, "tokenType": "OTHER"}, headers=headers), httpx2.Response(404, headers=headers),
    ):  # fmt: skip
        with pytest.raises((AssertionError, ValidationError)):
            world.document.check("POST", path, answer)
