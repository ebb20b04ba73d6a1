"""GitHub's own description of its API, held against every request: what it does not have is a mistake of ours."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any
from urllib.parse import unquote

import jsonschema

from tests.fakes.github_fixtures import FOLDER

VERSIONS = ("2022-11-28",)
MEDIA = "application/vnd.github+json"
_IN_PATH = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path. `id` is GitHub's name for it."""

    id: str
    method: str
    path: str
    pattern: re.Pattern[str]
    described: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request. Names of `headers` are lower case; `query` holds every pair; `body` is its JSON, None without."""

    method: str
    path: str
    query: Sequence[tuple[str, str]]
    headers: Mapping[str, str]
    raw: bytes

    @property
    def body(self) -> Any:
        return json.loads(self.raw) if self.raw else None


@cache
def operations() -> Sequence[Operation]:
    """All that is known."""
    found = json.loads((FOLDER / "openapi.json").read_text())["operations"]
    known = []
    for name, described in found.items():
        method, path = name.split(" ")
        pattern = re.compile(_IN_PATH.sub(r"(?P<\1>[^/]+)", path))
        known.append(Operation(described["id"], method, path, pattern, described))
    return known


def match(asked: Asked) -> tuple[Operation, dict[str, str]] | None:
    """The operation that is asked for and the parameters in its path."""
    # What is written out beats a parameter: `issues/comments/1` is no issue.
    for operation in sorted(operations(), key=lambda each: each.path.count("{")):
        if operation.method == asked.method and (found := operation.pattern.fullmatch(asked.path)):
            return operation, {name: unquote(value) for name, value in found.groupdict().items()}
    return None


def problems(asked: Asked, operation: Operation, in_path: Mapping[str, str]) -> list[str]:
    """What of the request the description does not have."""
    return [
        *_header_problems(asked),
        *_parameter_problems(asked, operation, in_path),
        *_body_problems(asked, operation),
    ]


def _header_problems(asked: Asked) -> list[str]:
    found = []
    if not asked.headers.get("user-agent"):
        found.append("no user-agent: GitHub answers 403")
    if asked.headers.get("accept") != MEDIA:
        found.append(f"accept is not {MEDIA}")
    if asked.headers.get("x-github-api-version") not in VERSIONS:
        found.append("no known x-github-api-version")
    return found


def _parameter_problems(asked: Asked, operation: Operation, in_path: Mapping[str, str]) -> list[str]:
    found = []
    described = {(each["in"], each["name"]): each for each in operation.described["parameters"]}
    given = {("path", name): value for name, value in in_path.items()}
    for name, value in asked.query:
        if ("query", name) in given:
            found.append(f"query {name} is given twice")
        given["query", name] = value
    for key in given.keys() - described.keys():
        found.append(f"unknown parameter {key}")
    for key, each in described.items():
        if each["required"] and key not in given:
            found.append(f"parameter {key} is missing")
        if key in given:
            found += _value_problems(key, given[key], each["schema"])
    return found


def _value_problems(key: tuple[str, str], value: str, schema: Mapping[str, Any]) -> list[str]:
    typed: Any = value
    if schema.get("type") == "integer":
        if not re.fullmatch(r"-?\d+", value):
            return [f"{key} is no integer"]
        typed = int(value)
    if key == ("query", "per_page") and not 1 <= typed <= 100:
        return ["per_page is not from 1 to 100"]
    if schema.get("format") == "date-time":
        try:
            datetime.strptime(value, "%Y-%m-%dT%H:%M:%SZ")  # noqa: DTZ007 - it is thrown away
        except ValueError:
            return [f"{key} is no time"]
    return [f"{key}: {error.message}" for error in jsonschema.Draft202012Validator(schema).iter_errors(typed)]


def _body_problems(asked: Asked, operation: Operation) -> list[str]:
    schema = operation.described["body"]
    if not asked.raw:
        return ["a body is required"] if operation.described["needs_body"] else []
    if schema is None:
        return ["this takes no body"]
    if asked.headers.get("content-type", "").partition(";")[0] != "application/json":
        return ["the body is not said to be JSON"]
    try:
        body = asked.body
    except ValueError:
        return ["the body is no JSON"]
    return [f"body: {error.message}" for error in jsonschema.Draft202012Validator(schema).iter_errors(body)]
