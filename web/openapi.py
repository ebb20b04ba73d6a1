"""The OpenAPI 3.1 document, made from the routes of an application and the shapes they use."""

from __future__ import annotations

import re
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version

import msgspec
from flask import Flask
from werkzeug.routing import Rule

from services.schedule.names import TRIGGER_ID
from services.spool.refused import REFUSED_ID
from web.operations import Operation, operation_of
from web.problems import KINDS, TYPE_PREFIX, Problem

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
OPEN_PATHS = frozenset({"/healthz", "/readyz", "/readyz/webhooks"})

_PARAMETER = re.compile(r"<(\w+):(\w+)>")
_PATTERNS = {
    "session": {"type": "string", "pattern": "^[A-Za-z0-9._:-]{1,200}$"},
    "offset": {"type": "integer", "minimum": 1},
    "processor": {"type": "string"},
    "entry": {"type": "string", "pattern": "^[A-Za-z0-9._:-]{1,200}@r[1-9][0-9]{0,14}$"},
    "delivery": {"type": "string", "pattern": "^inbound:[A-Za-z0-9._:-]{1,192}@[1-9][0-9]{0,14}$"},
    "source": {"type": "string", "pattern": "^[a-z][a-z0-9-]{0,31}$"},
    "trigger": {"type": "string", "pattern": f"^{TRIGGER_ID}$"},
    "slack": {"type": "string", "enum": ["events", "interactions", "commands"]},
    "refused": {"type": "string", "pattern": f"^(all|{REFUSED_ID})$"},
    "run": {"type": "string", "pattern": "^[A-Za-z0-9._:-]{1,200}@[1-9][0-9]{0,8}$"},
}
_REF = "#/components/schemas/{name}"

Json = dict[str, object]


def openapi_document(app: Flask) -> bytes:
    """The document as JSON. Every route is in it; one nobody described is a mistake. Raises: KeyError."""
    routes = [(rule, method) for rule in app.url_map.iter_rules() for method in _methods(rule)]
    operations = {(rule.rule, method): _operation(app, rule) for rule, method in routes}
    schemas, components = _schemas(operations.values())
    paths: dict[str, Json] = {}
    for rule, method in routes:
        described = _describe(rule, operations[rule.rule, method], schemas)
        paths.setdefault(_PARAMETER.sub(r"{\2}", rule.rule), {})[method.lower()] = described
    return msgspec.json.encode(
        {
            "openapi": "3.1.0",
            "info": {"title": "Turnwright", "version": _version()},
            "paths": dict(sorted(paths.items())),
            "components": {
                "schemas": components,
                "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
                "responses": {"problem": _problem()},
            },
            "security": [{"token": []}],
        }
    )


def _version() -> str:
    try:
        return version("turnwright")
    except PackageNotFoundError:
        return "0"


def _methods(rule: Rule) -> list[str]:
    return [method for method in METHODS if method in (rule.methods or ())]


def _operation(app: Flask, rule: Rule) -> Operation:
    found = operation_of(app.view_functions[rule.endpoint])
    if found is None:
        raise KeyError(rule.endpoint)
    return found


def _schemas(operations: Iterable[Operation]) -> tuple[dict[type, Json], Json]:
    shapes: dict[type[msgspec.Struct], None] = {Problem: None}
    for each in operations:
        used = (each.body, each.query, *each.answers.values())
        shapes |= {shape: None for shape in used if isinstance(shape, type)}
    given, components = msgspec.json.schema_components(shapes, ref_template=_REF)
    return dict(zip(shapes, given, strict=True)), components


def _describe(rule: Rule, operation: Operation, schemas: dict[type, Json]) -> Json:
    described: Json = {
        "operationId": rule.endpoint,
        "summary": operation.summary,
        "parameters": [*_path(rule), *_query(operation), *_headers(operation)],
        "responses": {
            **{
                str(status): _answer(shape, operation, schemas) for status, shape in operation.answers.items()
            },
            "default": {"$ref": "#/components/responses/problem"},
        },
    }
    if operation.body is not None:
        described["requestBody"] = {
            "required": not operation.is_body_optional,
            "content": {"application/json": {"schema": schemas[operation.body]}},
        }
    if rule.rule in OPEN_PATHS or operation.is_signed:
        described["security"] = []
    return described


def _path(rule: Rule) -> list[Json]:
    return [
        {"name": name, "in": "path", "required": True, "schema": _PATTERNS[kind]}
        for kind, name in _PARAMETER.findall(rule.rule)
    ]


def _query(operation: Operation) -> list[Json]:
    if operation.query is None:
        return []
    schema = msgspec.json.schema(operation.query)
    properties = schema["$defs"][operation.query.__name__]["properties"]
    return [{"name": name, "in": "query", "schema": each} for name, each in properties.items()]


def _headers(operation: Operation) -> list[Json]:
    return [
        {"name": name, "in": "header", "description": text, "schema": {"type": "string"}}
        for name, text in operation.headers.items()
    ]


def _answer(shape: type[msgspec.Struct] | str, operation: Operation, schemas: dict[type, Json]) -> Json:
    if isinstance(shape, str):
        return {"description": operation.summary, "content": {shape: {}}}
    content: Json = {"application/json": {"schema": schemas[shape]}}
    if operation.streams:
        content["text/event-stream"] = {"schema": {"type": "string"}}
    return {"description": (shape.__doc__ or "").strip().splitlines()[0], "content": content}


def _problem() -> Json:
    types = [TYPE_PREFIX + kind for kind in KINDS]
    return {
        "description": "What went wrong (RFC 9457); `type` is one of: " + ", ".join(types),
        "content": {"application/problem+json": {"schema": {"$ref": _REF.format(name="Problem")}}},
    }
