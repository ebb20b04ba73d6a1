"""What installed packages offer as processors: the broken one is named, whatever it does when it is loaded."""

from __future__ import annotations

from importlib.metadata import EntryPoint

import pytest

from services.errors import ConfigurationError
from services.processors.contract import Processor
from services.processors.registry import GROUP, ProcessorRegistry, installed
from services.processors.rows import Row
from services.streams.event import EventInput, StreamId
from services.streams.vocabulary import StreamPaused
from tests.fakes.puppet import Puppet, Seen

HERE = "tests.unit.test_processor_registry"
S = StreamId("s")
puppet = Puppet


class Undeclared(Processor[Seen]):
    """Has no contract."""

    state = Seen


def leaving() -> Puppet:
    """Ends whoever calls it."""
    raise SystemExit("password=hunter2")


def nothing() -> None:
    """Makes no processor."""


def test_a_processor_is_found_by_its_name() -> None:
    found = installed([EntryPoint("puppet", f"{HERE}:puppet", GROUP)])

    assert [type(each) for each in found.values()] == [Puppet]


@pytest.mark.parametrize(
    ("name", "target"),
    [
        ("puppet", "no_such_module:puppet"),
        ("puppet", f"{HERE}:gone"),
        ("puppet", f"{HERE}:leaving"),
        ("puppet", f"{HERE}:nothing"),
        ("undeclared", f"{HERE}:Undeclared"),
        ("other", f"{HERE}:puppet"),
    ],
)
def test_what_is_no_processor_of_its_name_is_refused_by_that_name(name: str, target: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        installed([EntryPoint(name, target, GROUP)])

    [problem] = refused.value.problems
    assert name in problem
    assert "hunter2" not in problem


def test_what_runs_on_demand_runs_from_the_first_event_on_that_has_work_for_it() -> None:
    registry = ProcessorRegistry([], on_demand=[(Puppet(), lambda event: event.type == "stream.paused")])
    [quiet, call] = (
        EventInput.of(type, StreamPaused(reason="r")).at(offset, 0)
        for offset, type in enumerate(("stream.resumed", "stream.paused"), start=1)
    )
    rows = {"puppet": Row(version=1)}

    assert registry.begun({}, [quiet]) == []
    assert registry.begun({}, [quiet, call]) == ["puppet"]
    assert registry.begun(rows, [quiet, call]) == []
    assert registry.of(S, {}) == []
    [begun], [running] = registry.of(S, {}, ["puppet"]), registry.of(S, rows)
    assert begun is running
    assert registry.are_builtin([begun])
    assert "puppet" in registry.all()


@pytest.mark.parametrize(
    ("pattern", "stream", "is_wanted"),
    [
        ("*", "app:x", True),
        ("*", "schedule:nightly", False),
        ("*nightly", "schedule:nightly", False),
        ("schedule:*", "schedule:nightly", True),
        ("schedule:*", "app:x", False),
    ],
)
def test_a_pattern_means_sessions_unless_it_names_another_kind_of_stream(
    pattern: str, stream: str, is_wanted: bool
) -> None:
    registry = ProcessorRegistry([], {"puppet": Puppet()}, [("puppet", pattern)], apart={"schedule:": []})

    assert registry.matches("puppet", StreamId(stream)) is is_wanted
    assert len(registry.of(StreamId(stream), {})) == is_wanted
