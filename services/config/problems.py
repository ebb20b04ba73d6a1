"""What is wrong in `turnwright.toml`, in words: what the schema found, and where."""

from __future__ import annotations

import difflib
import json
import re
from typing import NamedTuple, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from services.config.schema import Config
from services.config.toml_lines import KeyPath

_SECRET_WORDS = re.compile(r"secret|token|password|api_?key|credential", re.IGNORECASE)
_BARE = re.compile(r"[A-Za-z0-9_-]+")

_WORDS = {
    "missing": "is missing",
    "string_type": "must be a text",
    "int_type": "must be a whole number",
    "float_type": "must be a number",
    "finite_number": "must be a finite number",
    "tuple_type": "must be a list",
    "dict_type": "must be a table",
    "mapping_type": "must be a table",
    "model_type": "must be a table",
    "too_short": "may not be empty",
    "string_too_short": "may not be empty",
    "string_too_long": "must have at most {max_length} characters",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "literal_error": "must be one of {expected}",
    "value_error": "{error}",
}
_AGENT_NAME = "an agent's name is up to 64 of a-z, 0-9, _ and -, and starts with a letter"
_SPELLINGS: dict[tuple[str, ...], str] = {
    ("sources", "name"): "a source's name is up to 32 of a-z, 0-9 and -, and starts with a letter",
    ("routes", "session"): "must be up to 200 letters, digits and . _ : - { }",
    ("triggers", "id"): "must be up to 64 letters, digits, . _ and -, a letter or digit first",
    ("telemetry", "baggage"): "must be up to 64 letters, digits and ! # $ % & ' * + . ^ _ ` | ~ -",
}


class Problem(NamedTuple):
    """Something wrong at `path` of the document."""

    path: KeyPath
    message: str

    def __str__(self) -> str:
        return f"{dotted(self.path)}: {self.message}" if self.path else self.message


def problems_of(error: ValidationError, document: object) -> list[Problem]:
    """Everything the schema found in `document`, in its order."""
    found = error.errors(include_url=False, include_input=False)
    return [_problem_of(each, document) for each in found if not _is_consequence(each, found)]


def dotted(path: KeyPath) -> str:
    """`path` as one would write it in TOML; list positions in brackets, counted from 0."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += ("." if text else "") + (part if _BARE.fullmatch(part) else json.dumps(part))
    return text


def _is_consequence(found: ErrorDetails, others: list[ErrorDetails]) -> bool:
    """A list is called too short when none of its entries was right."""
    path = found["loc"]
    return found["type"] == "too_short" and any(
        other["loc"][: len(path)] == path for other in others if other is not found
    )


def _problem_of(found: ErrorDetails, document: object) -> Problem:
    path, kind, details = found["loc"], found["type"], found.get("ctx", {})
    if kind == "extra_forbidden":
        return Problem(path, _unknown(path))
    if kind != "missing":
        path = _written(path, document)
    if kind == "string_pattern_mismatch":
        return Problem(path, _spelling(path))
    words = _WORDS.get(kind)
    return Problem(path, words.format(**details) if words else found["msg"][:1].lower() + found["msg"][1:])


def _spelling(path: KeyPath) -> str:
    return _SPELLINGS.get(tuple(part for part in path if isinstance(part, str)), _AGENT_NAME)


def _table(annotation: object) -> type[BaseModel] | None:
    """The table that a key of the file is, or holds many of."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := _table(part)) is not None), None)


def _written(path: KeyPath, document: object) -> KeyPath:
    """The part of `path` that the document has: a single text may stand for a list."""
    for length, part in enumerate(path):
        match document:
            case dict() if part in document:
                document = document[part]
            case list() if isinstance(part, int):
                document = document[part]
            case _:
                return path[:length]
    return path


def _unknown(path: KeyPath) -> str:
    key = str(path[-1])
    table = Config if len(path) == 1 else _table(Config.model_fields[str(path[0])].annotation) or Config
    # `max_token_per_hour` is a slip of the pen, `api_token` is none.
    sure = difflib.get_close_matches(key, table.model_fields, 1, cutoff=0.9)
    if not sure and _SECRET_WORDS.search(key):
        return "unknown key; secrets have no place here, they come from the environment"
    near = sure or difflib.get_close_matches(key, table.model_fields, 1)
    return f"unknown key, did you mean {near[0]}?" if near else "unknown key"
