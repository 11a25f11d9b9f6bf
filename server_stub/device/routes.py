"""The routes of `/device/v1`."""

from __future__ import annotations

from typing import Any, Final

from server_stub.device.enrolment import begin_enrolment, finish_enrolment
from server_stub.device.inbox import get_events, get_inbox
from server_stub.device.step_ups import answer_step_up, get_step_up, list_step_ups
from server_stub.http import Endpoint
from server_stub.openapi import STRING, json_body, obj, query, response
from server_stub.own_routes import ERROR, own_family

_COMMON: Final[dict[str, Any]] = {
    str(status): response(text, ERROR)
    for status, text in {
        400: "Not valid", 401: "Not logged in, or not enrolled", 403: "Refused", 404: "Unknown", 405: "Method not allowed",
        409: "Conflict", 413: "Over 64 KiB", 503: "Busy",
    }.items()
}  # fmt: skip


def _operation(
    summary: str,
    answer: dict[str, Any] | None = None,
    body: dict[str, Any] | None = None,
    status: str = "200",
    **more: Any,
) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "summary": summary,
        "responses": {status: response("OK", answer or {}), **_COMMON},
        **more,
    }
    if body is not None:
        operation["requestBody"] = json_body(body)
    return operation


_FINISH: Final = obj(
    ("activationCode", "credentials"),
    activationCode=STRING,
    credentials={"type": "array", "items": {"type": "object"}},
    appAttest={"type": "object"},
)
_ANSWER: Final = obj(("outcome",), outcome={"enum": ["approved", "declined"]}, assertion={"type": "object"})

DIALECT: Final = own_family(
    "device",
    "/device/v1",
    (
        Endpoint(
            "POST", "/enrolments", begin_enrolment, _operation("Begin to enrol a phone", security=[{"bearer": []}])
        ),
        Endpoint(
            "POST",
            "/enrolments/{id}",
            finish_enrolment,
            _operation("Finish it", body=_FINISH, security=[{"bearer": []}, {}]),
        ),
        Endpoint("GET", "/step-ups", list_step_ups, _operation("Step-ups that wait for this phone")),
        Endpoint("GET", "/step-ups/{id}", get_step_up, _operation("One of them, with a further nonce")),
        Endpoint("POST", "/step-ups/{id}", answer_step_up, _operation("What the user decided", body=_ANSWER)),
        Endpoint("GET", "/inbox", get_inbox, _operation("Messages", parameters=[query("to", required=True)])),
        Endpoint(
            "GET",
            "/events",
            get_events,
            {
                **_operation("Messages as server-sent events", parameters=[query("to", required=True)]),
                "responses": {
                    "200": {"description": "A stream", "content": {"text/event-stream": {"schema": STRING}}},
                    **_COMMON,
                },
            },
        ),
    ),
)
