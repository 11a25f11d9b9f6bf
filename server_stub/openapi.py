"""OpenAPI 3.1 of all mounted routes, and small helpers to write operations."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from server_stub.http import Dialect


def ref(name: str) -> dict[str, str]:
    """A reference to a named schema."""
    return {"$ref": f"#/components/schemas/{name}"}


def json_body(schema: Mapping[str, Any], *, required: bool = True) -> dict[str, Any]:
    """A JSON request body."""
    return {"required": required, "content": {"application/json": {"schema": schema}}}


def response(
    description: str,
    schema: Mapping[str, Any] | None = None,
    headers: Mapping[str, Any] | None = None,
    media: str = "application/json",
) -> dict[str, Any]:
    """A response, with a body where a schema is given: JSON, unless `media` says otherwise."""
    answer: dict[str, Any] = {"description": description}
    if schema is not None:
        answer["content"] = {media: {"schema": schema}}
    if headers:
        answer["headers"] = headers
    return answer


def obj(required: Iterable[str] = (), **properties: Mapping[str, Any]) -> dict[str, Any]:
    """An object schema; further members are allowed."""
    schema: dict[str, Any] = {"type": "object", "properties": properties}
    if names := list(required):
        schema["required"] = names
    return schema


def header(name: str, *, required: bool = False, description: str = "") -> dict[str, Any]:
    """A header parameter of type string."""
    return {
        "name": name,
        "in": "header",
        "required": required,
        "description": description,
        "schema": {"type": "string"},
    }


def query(name: str, *, required: bool = False, description: str = "") -> dict[str, Any]:
    """A query parameter of type string."""
    return {"name": name, "in": "query", "required": required, "description": description, "schema": {"type": "string"}}


STRING = {"type": "string"}
INTEGER = {"type": "integer"}
BOOLEAN = {"type": "boolean"}


def build_openapi(dialects: Iterable[Dialect], *, at_root: bool, version: str) -> bytes:
    """The document for these families of routes; with `at_root` a vendor's routes stand without their first segment."""
    paths: dict[str, dict[str, Any]] = {}
    schemas: dict[str, Any] = {}
    for dialect in dialects:
        vendor = dialect.name in ("bank", "weavr", "loginradius")
        prefix = "" if at_root and vendor else dialect.prefix
        schemas |= dialect.schemas
        for endpoint in dialect.endpoints:
            operation = {"tags": [dialect.name], "responses": {"200": {"description": "OK"}}, **endpoint.operation}
            parameters = [
                *operation.get("parameters", ()),
                *_path_parameters(endpoint.path, operation.get("parameters", ())),
            ]
            if parameters:
                operation["parameters"] = parameters
            operation.setdefault("operationId", _operation_id(dialect.name, endpoint.method, endpoint.path))
            paths.setdefault(prefix + endpoint.path, {})[endpoint.method.lower()] = operation
    document = {
        "openapi": "3.1.0",
        "info": {"title": "stepup-simulator", "version": version, "license": {"name": "MIT", "identifier": "MIT"}},
        "paths": paths,
        "components": {"schemas": schemas, "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}}},
    }
    return msgspec.json.encode(document)


def _path_parameters(path: str, given: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    named = {parameter["name"] for parameter in given if parameter.get("in") == "path"}
    return [
        {"name": name, "in": "path", "required": True, "schema": STRING}
        for name in re.findall(r"{(\w+)}", path)
        if name not in named
    ]


def _operation_id(name: str, method: str, path: str) -> str:
    return f"{name}_{method.lower()}_" + re.sub(r"\W+", "_", path).strip("_")
