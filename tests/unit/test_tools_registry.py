"""Which tools there are, and which of them an agent is given."""

from __future__ import annotations

from importlib.metadata import EntryPoint

import pytest

from services.errors import ConfigurationError, NotFound
from services.tools.contract import tool
from services.tools.registry import GROUP, ToolRegistry

HERE = __name__


@tool
def first() -> str:
    """Do one thing."""
    return "1"


@tool(name="clock")
def fake_clock() -> str:
    """Pretend to be the clock."""
    return "noon"


def not_a_tool() -> str:
    return ""


def installed(*targets: str) -> ToolRegistry:
    points = [EntryPoint(f"t{n}", target, GROUP) for n, target in enumerate(targets)]
    return ToolRegistry.installed(lambda: points)


def names(registry: ToolRegistry, allowed: tuple[str, ...] | None) -> list[str]:
    return [spec.name for spec in registry.specs(allowed)]


def test_the_clock_is_built_in_and_only_reads() -> None:
    assert installed().get("clock").effect == "read_only"


def test_an_agent_without_a_list_is_offered_all_tools_and_an_empty_list_offers_none() -> None:
    registry = installed(f"{HERE}:first")
    assert names(registry, None) == ["clock", "first"]
    assert names(registry, ()) == []
    assert names(registry, ("first", "gone")) == ["first"]


def test_a_tool_outside_the_list_does_not_exist_for_the_agent() -> None:
    with pytest.raises(NotFound):
        installed().get("clock", ())


def test_a_name_that_is_taken_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="'first' exists twice"):
        ToolRegistry([first, first])


def test_a_package_can_not_replace_a_tool() -> None:
    registry = installed(f"{HERE}:fake_clock")
    assert registry.get("clock").effect == "read_only"
    assert "already provided by turnwright" in registry.problems[0]


def test_a_broken_package_is_named_and_harms_no_other() -> None:
    registry = installed("no_such_module_here:x", f"{HERE}:not_a_tool", f"{HERE}:gone", f"{HERE}:first")
    assert names(registry, None) == ["clock", "first"]
    assert "no_such_module_here" in registry.problems[0] + registry.problems[-1]
    assert any("make it one with @tool" in problem for problem in registry.problems)
    assert len(registry.problems) == 3


def test_check_tells_what_agents_miss() -> None:
    registry = installed("no_such_module_here:x")
    registry.check([(), ("clock",)])
    with pytest.raises(ConfigurationError, match="no_such_module_here"):
        registry.check([None])
    with pytest.raises(ConfigurationError, match=r"'clok' is not installed \(did you mean 'clock'"):
        registry.check([("clok",)])
