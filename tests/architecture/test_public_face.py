"""What plugin authors import is pinned: taking a name away, or adding one, is a decision."""

from __future__ import annotations

import ast
import inspect

import pytest

import turnwright
from tests.architecture.sources import PRODUCT, modules, tree

PINNED = frozenset(
    {
        # processors
        "AppendTo",
        "Contract",
        "Decision",
        "Emit",
        "Event",
        "EventInput",
        "Moment",
        "Processor",
        "StreamId",
        # providers
        "Call",
        "ChatMessage",
        "ChatRequest",
        "ConfigurationError",
        "Deadlines",
        "ErrorKind",
        "Finished",
        "Piece",
        "Provider",
        "ProviderError",
        "RunningCall",
        "TextDelta",
        "TokenUsage",
        "ToolCallRequest",
        "ToolSpec",
        "status_error",
        "stream_run",
        # channels
        "Answer",
        "Channel",
        "Delivery",
        "DeliveryError",
        "Forged",
        "Invalid",
        "Letter",
        "Receipt",
        "Receiver",
        "Request",
        "Sending",
        "said",
        # tools
        "Effect",
        "Tool",
        "ToolCall",
        "ToolError",
        "tool",
    }
)


def test_the_public_names_are_the_pinned_ones() -> None:
    assert set(turnwright.__all__) == PINNED
    assert len(turnwright.__all__) == len(PINNED)


@pytest.mark.parametrize("name", sorted(PINNED))
def test_a_public_name_is_there_and_explained(name: str) -> None:
    found = getattr(turnwright, name)
    if inspect.isclass(found) or inspect.isfunction(found):
        assert found.__doc__


def test_the_example_packages_import_nothing_of_the_inside() -> None:
    inside = set(PRODUCT) - {"turnwright"}
    for path in modules("tests/plugins"):
        if "src" not in path.parts:
            continue
        for node in ast.walk(tree(path)):
            imported = (
                [each.name for each in node.names]
                if isinstance(node, ast.Import)
                else [node.module or ""]
                if isinstance(node, ast.ImportFrom) and not node.level
                else []
            )
            assert not inside & {name.partition(".")[0] for name in imported}, f"{path}: {imported}"
