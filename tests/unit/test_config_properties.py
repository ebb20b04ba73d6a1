"""Whatever is written into `turnwright.toml`: a configuration, or named problems, and never a crash."""

from __future__ import annotations

import re
from pathlib import Path

import jsonschema
import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from services.config import Config, json_schema
from services.config.loading import parse_config
from services.errors import ConfigurationError

# How long one example takes says how busy the machine is.
UNTIMED = settings(deadline=None)

EXAMPLE = """\
[agents.default]
system_prompt = "Be kind."
tools = ["clock"]

[agents.helper]
model = ["openai:gpt-9", "offline"]
policy = "steer"
debounce_ms = 300
max_steps = 5

[limits]
max_prompt_bytes = 2048
llm_idle_s = 5.5

[retention]
idempotency_days = 1

[[processors]]
name = "audit"
streams = "prompt:*"
"""

SIGNS = "[]{}=.,\"'#\n\\ -_0aé\x00\r\t\ufeff\u2028"
TOKENS = ["[[", "]]", '"""', "'''", "nan", "inf", "1e999", "9" * 30, "true", "1979-05-27T07:32:00Z"]
LINES = ["[agents.x]\n", "[[agents]]\n", "a.b.c = 1\n", "[" * 999]
PIECES = st.sampled_from([*SIGNS, *TOKENS, *LINES])
EDITS = st.lists(st.tuples(st.integers(0, len(EXAMPLE)), st.integers(0, 12), PIECES), max_size=6)

TABLES = ["agents", "limits", "retention", "processors", "default", "Helper"]
NAMES = ["model", "tools", "policy", "name", "streams", "system_prompt", "system_prompt_file", "max_steps"]
KEYS = st.sampled_from([*TABLES, *NAMES, "llm_idle_s", "llm_wall_s", "api_key", "", "a b"])
LEAVES = st.sampled_from(
    [0, 1, 7, 700.5, -1, 10**30, True, "", "offline", "openai:x", "steer", "audit", "*", "x y", "é\n"]
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)
DOCUMENTS = st.dictionaries(KEYS, VALUES, max_size=4)


def outcome_of(text: str) -> Config | tuple[str, ...]:
    try:
        return parse_config(text, folder=Path(__file__).parent, name="t.toml")
    except ConfigurationError as error:
        return error.problems


def as_toml(document: object) -> str:
    """TOML out of JSON: one line a top key, everything below it inline."""
    if isinstance(document, dict):
        pairs = (f"{as_toml(key)} = {as_toml(value)}" for key, value in document.items())
        return "{" + ", ".join(pairs) + "}"
    if isinstance(document, list):
        return "[" + ", ".join(map(as_toml, document)) + "]"
    return msgspec.json.encode(document).decode()


def assert_is_config_or_problems(outcome: Config | tuple[str, ...], *, lines: int) -> None:
    if isinstance(outcome, Config):
        assert re.fullmatch("[0-9a-f]{12}", outcome.hash)
        return
    assert outcome
    for problem in outcome:
        placed = re.fullmatch(r"t\.toml:(\d+): [^\n]+", problem)
        assert placed, problem
        assert 1 <= int(placed[1]) <= lines


@given(EDITS)
@UNTIMED
def test_a_mutated_file_is_a_configuration_or_problems_with_a_line_of_it(
    edits: list[tuple[int, int, str]],
) -> None:
    text = EXAMPLE
    for at, removed, piece in edits:
        text = text[:at] + piece + text[at + removed :]

    assert_is_config_or_problems(outcome_of(text), lines=text.count("\n") + 1)


@given(DOCUMENTS)
@UNTIMED
def test_a_document_of_any_shape_is_a_configuration_or_problems(document: dict[str, object]) -> None:
    text = "\n".join(f"{as_toml(key)} = {as_toml(value)}" for key, value in document.items())

    assert_is_config_or_problems(outcome_of(text), lines=len(document) or 1)


@given(DOCUMENTS)
@UNTIMED
def test_the_published_schema_and_the_checker_agree(document: dict[str, object]) -> None:
    text = "\n".join(f"{as_toml(key)} = {as_toml(value)}" for key, value in document.items())
    outcome = outcome_of(text)
    schema_accepts = jsonschema.Draft202012Validator(json_schema()).is_valid(document)

    if isinstance(outcome, Config):
        assert schema_accepts
    elif schema_accepts:  # then it is only what a schema can not say
        beyond = "is not a file|is given too|must not be|is there twice"
        assert all(re.search(beyond, problem) for problem in outcome), outcome


def test_the_schema_is_itself_a_valid_one_and_accepts_the_example() -> None:
    import tomllib

    jsonschema.Draft202012Validator.check_schema(json_schema())

    jsonschema.Draft202012Validator(json_schema()).validate(tomllib.loads(EXAMPLE))
