"""The OpenAPI 3.1 document of the control API, made from the table of its commands."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from authenticator.control_commands import Command
from authenticator.control_messages import NoParameters
from device_keys import __version__

_TEMPLATE: Final = "#/components/schemas/{name}"
_ERROR: Final = {
    "type": "object",
    "required": ["value"],
    "properties": {
        "value": {
            "type": "object",
            "required": ["error", "message", "stacktrace", "data"],
            "properties": {
                "error": {"type": "string"},
                "message": {"type": "string"},
                "stacktrace": {"type": "string"},
                "data": {"type": "object"},
            },
        }
    },
}
_REFUSALS: Final = {
    "400": "A parameter is wrong or unknown",
    "401": "Token",
    "403": "Refused by server, sensor or user, or not from here",
    "404": "No such command",
    "405": "No such method here",
    "413": "Over 64 KiB",
    "502": "The server does not answer",
}


def build_openapi(commands: Sequence[Command]) -> dict[str, Any]:
    """The document."""
    bodies = [command.parameters for command in commands if command.parameters is not NoParameters]
    references, components = msgspec.json.schema_components(bodies, ref_template=_TEMPLATE)
    schemas = dict(zip(bodies, references, strict=True))
    paths: dict[str, Any] = {"/events": {"get": _events()}}
    for command in commands:
        paths.setdefault(command.path, {})[command.method.lower()] = _operation(
            command, schemas.get(command.parameters)
        )
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "stepup-phone control",
            "version": __version__,
            "summary": "Headless phones, driven by tests.",
        },
        "paths": paths,
        "components": {"schemas": {**components, "Error": _ERROR}},
    }


def _operation(command: Command, body: dict[str, Any] | None) -> dict[str, Any]:
    value = {"type": "object", "required": ["value"], "properties": {"value": {}}}
    operation: dict[str, Any] = {
        "operationId": command.run.__name__ if command.run.__name__ != "<lambda>" else _operation_id(command),
        "summary": command.summary,
        "parameters": [_parameter(name, "path") for name in re.findall(r"\{(\w+)\}", command.path)]
        + [_parameter(name, "query") for name in command.query],
        "responses": {"200": _json("Done", value)}
        | {status: _json(text, {"$ref": _TEMPLATE.format(name="Error")}) for status, text in _REFUSALS.items()},
    }
    if body is not None:
        operation["requestBody"] = {"content": {"application/json": {"schema": body}}}
    return operation


def _operation_id(command: Command) -> str:
    words = [word for word in re.split(r"[^A-Za-z]+", command.path) if word not in ("", "webauthn", "authenticatorId")]
    return command.method.lower() + "".join(word[0].upper() + word[1:] for word in words)


def _parameter(name: str, place: str) -> dict[str, Any]:
    return {"name": name, "in": place, "required": place == "path", "schema": {"type": "string"}}


def _json(description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _events() -> dict[str, Any]:
    words = "step-up, approved, declined, refused, enrolled, paid, added, removed, wiped, fault, clock, reset"
    return {
        "operationId": "events",
        "summary": f"What happens on the phones, as server-sent events: {words}",
        "responses": {
            "200": {"description": "A stream", "content": {"text/event-stream": {"schema": {"type": "string"}}}}
        },
    }
