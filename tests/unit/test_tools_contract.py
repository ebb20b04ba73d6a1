"""How a plain function becomes a tool, and which can not."""

from __future__ import annotations

from typing import Annotated, Literal

import jsonschema
import msgspec
import pytest
from msgspec import Meta

from services.tools.contract import Tool, ToolCall, tool


class Place(msgspec.Struct):
    """A place."""

    name: str


@tool(effect="read_only", timeout_s=2, name="find-it")
def find(
    call: ToolCall,
    what: Annotated[str, Meta(min_length=1, description="What to find")],
    near: Place | None = None,
    limit: int = 5,
    order: Literal["new", "old"] = "new",
) -> list[str]:
    """Find things.

    Newest first.
    """
    return [call.session, what, near.name if near else "", str(limit), order]


@tool
def plain() -> str:
    """Do nothing."""
    return ""


def schema_of(made: Tool) -> dict[str, object]:
    return msgspec.json.decode(made.parameters, type=dict[str, object])


def test_name_effect_limit_and_description_are_taken_over() -> None:
    assert (find.name, find.effect, find.timeout_s) == ("find-it", "read_only", 2)
    assert find.description == "Find things.\n\nNewest first."
    assert find.spec().parameters == find.parameters


def test_an_effect_that_is_not_declared_is_unknown() -> None:
    assert (plain.name, plain.effect) == ("plain", "unknown")


def test_the_schema_comes_from_the_type_hints_and_hides_the_call() -> None:
    schema = schema_of(find)
    assert schema["type"] == "object"
    assert schema["required"] == ["what"]
    assert schema["additionalProperties"] is False
    assert list(schema["properties"]) == ["what", "near", "limit", "order"]  # type: ignore[call-overload]  # a document of any shape


def test_the_schema_is_a_valid_one_that_accepts_what_the_tool_accepts() -> None:
    schema = schema_of(find)
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate({"what": "x", "near": {"name": "Graz"}}, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"what": "x", "far": 1}, schema)


def test_bound_arguments_reach_the_function_with_their_defaults() -> None:
    call = ToolCall(session="s", call="c")
    assert find.bind('{"what": "x", "near": {"name": "Graz"}}', call)() == ["s", "x", "Graz", "5", "new"]
    assert plain.bind("", call)() == ""


def test_the_function_stays_callable() -> None:
    assert plain.function() == ""


def test_a_function_that_can_not_be_a_tool_is_refused_at_once() -> None:
    def no_docstring(n: int) -> str:
        return ""

    def no_hint(n) -> str:  # type: ignore[no-untyped-def]  # the mistake
        """Words."""
        return ""

    def starred(*names: str) -> str:
        """Words."""
        return ""

    def late_call(n: int, call: ToolCall) -> str:
        """Words."""
        return ""

    def no_json(n: threading_lock) -> str:
        """Words."""
        return ""

    async def coroutine() -> str:
        """Words."""
        return ""

    for function in (no_docstring, no_hint, starred, late_call, no_json, coroutine):
        with pytest.raises(TypeError):
            tool(function)


class threading_lock:
    """A type that JSON has no form for."""


def test_a_bad_declaration_is_refused_at_once() -> None:
    def fine() -> str:
        """Words."""
        return ""

    with pytest.raises(ValueError, match="64 letters"):
        tool(name="no spaces")(fine)
    with pytest.raises(ValueError, match="positive"):
        tool(timeout_s=0)(fine)
    with pytest.raises(ValueError, match="effect must be one of"):
        tool(effect="harmless")(fine)  # type: ignore[call-overload]  # the mistake
