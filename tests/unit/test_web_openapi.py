"""The OpenAPI document says exactly what there is."""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec
import pytest
from jsonschema import Draft202012Validator

from services.streams.event_types import SHAPES
from tests.unit.web_bare import authorized, bare_app
from web.openapi import METHODS, openapi_document

Json = dict[str, object]


@pytest.fixture(scope="module")
def document() -> Json:
    answer = authorized(bare_app()).get("/openapi.json")
    assert answer.status_code == 200
    found: Json = answer.json or {}
    return found


def _references(node: object) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for each in node.values():
            yield from _references(each)
    elif isinstance(node, list):
        for each in node:
            yield from _references(each)


def test_every_route_is_in_the_document_and_nothing_else(document: Json) -> None:
    paths = document["paths"]
    assert isinstance(paths, dict)
    described = {(path, method.upper()) for path, methods in paths.items() for method in methods}

    routes = {
        (re.sub(r"<\w+:(\w+)>", r"{\1}", rule.rule), method)
        for rule in bare_app().url_map.iter_rules()
        for method in (rule.methods or set()) & set(METHODS)
    }

    assert described == routes


def test_a_route_nobody_described_is_found() -> None:
    app = bare_app()
    app.add_url_rule("/new", "new", lambda: "")

    with pytest.raises(KeyError, match="new"):
        openapi_document(app)


def test_every_reference_leads_somewhere_and_every_schema_is_one(document: Json) -> None:
    components = document["components"]
    assert isinstance(components, dict)
    known = {f"#/components/{kind}/{name}" for kind, each in components.items() for name in each}

    assert set(_references(document)) <= known
    for schema in components["schemas"].values():
        Draft202012Validator.check_schema(schema)


def test_every_path_parameter_is_described(document: Json) -> None:
    paths = document["paths"]
    assert isinstance(paths, dict)

    for path, methods in paths.items():
        for described in methods.values():
            named = {each["name"] for each in described["parameters"] if each["in"] == "path"}
            assert named == set(re.findall(r"{(\w+)}", path))


def test_only_health_needs_no_token(document: Json) -> None:
    paths = document["paths"]
    assert isinstance(paths, dict)
    is_open = {
        path for path, methods in paths.items() for each in methods.values() if each.get("security") == []
    }

    assert is_open == {"/healthz", "/readyz", "/readyz/webhooks"}
    assert document["security"] == [{"token": []}]


def test_every_event_type_is_published_with_a_valid_schema() -> None:
    types = msgspec.json.decode(authorized(bare_app()).get("/api/event-types").data)["types"]

    assert set(types) == set(SHAPES)
    for each in types.values():
        Draft202012Validator.check_schema(each["schema"])
