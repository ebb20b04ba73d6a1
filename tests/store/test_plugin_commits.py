"""Commits that a plugin makes impossible or large: the stream goes on, with or without it."""

from __future__ import annotations

import msgspec
import pytest

from services.errors import Conflict
from services.processors.advance import Advancer
from services.processors.contract import Contract, Processor
from services.processors.registry import ProcessorRegistry
from services.processors.rows import rows_of
from services.streams.event import Event, StreamId
from services.streams.vocabulary import ProcessorFaulted
from tests.fakes.puppet import CREATED, Ending, Puppet, Told, tell
from tests.fakes.store_stage import Stage

S = StreamId("app:plugin")


class Text(msgspec.Struct, frozen=True):
    """A state of any size."""

    text: str = ""


class Big(Processor[Text]):
    """Holds a state near the limit, another with every event."""

    state = Text

    def __init__(self, name: str) -> None:
        self.contract = Contract(name=name, version=1, consumes=frozenset({"*"}))  # type: ignore[misc]  # one class, many contracts

    def reduce(self, state: Text, event: Event) -> Text:
        """Change all of it."""
        return Text(f"{event.offset:09}" * 5_300)


def _advance(stage: Stage, told: Told, registry: ProcessorRegistry) -> list[ProcessorFaulted]:
    """Append and advance; who is parked now."""
    stage.log.append(S, [tell(told)], create=CREATED)
    stage.hand("one")
    Advancer(stage.log, registry, "one").advance(S)
    return [e.decode(ProcessorFaulted) for e in stage.events(S) if e.type == "processor.faulted"]


def _plugin() -> ProcessorRegistry:
    return ProcessorRegistry([], {"puppet": Puppet()}, [("puppet", "*")])


def test_a_plugin_that_starts_a_job_there_was_before_is_parked(stage: Stage) -> None:
    assert _advance(stage, Told(jobs=("llm:same",)), _plugin()) == []

    [fault] = _advance(stage, Told(jobs=("llm:same",)), _plugin())

    assert (fault.name, fault.offset, fault.error) == ("puppet", stage.log.head(S) - 1, "JobConflict")
    assert rows_of(stage.log.load(S).fields)["puppet"].status == "parked"


def test_a_plugin_that_settles_a_job_nobody_knows_is_parked(stage: Stage) -> None:
    ending = Ending(kind="llm", name="unknown", token=0)

    [fault] = _advance(stage, Told(settle=(ending,)), _plugin())

    assert (fault.name, fault.offset, fault.error) == ("puppet", 2, "JobConflict")


def test_a_builtin_processor_is_never_parked_for_a_job(stage: Stage) -> None:
    builtin = ProcessorRegistry([Puppet()])
    assert _advance(stage, Told(jobs=("llm:same",)), builtin) == []

    with pytest.raises(Conflict):
        _advance(stage, Told(jobs=("llm:same",)), builtin)


def test_ten_processors_with_large_states_that_all_change_are_committed(stage: Stage) -> None:
    names = [f"big{n}" for n in range(10)]
    plugins: dict[str, Processor[Text]] = {name: Big(name) for name in names}
    registry = ProcessorRegistry([Puppet()], plugins, [(name, "*") for name in names])

    assert _advance(stage, Told(emit=5, size=2_000), registry) == []
    while Advancer(stage.log, registry, "one").advance(S).behind:
        pass

    loaded = stage.log.load(S)
    assert loaded.at == loaded.head
    assert {row.status for row in rows_of(loaded.fields).values()} == {"ok"}
    assert stage.types(S).count("puppet.did") == 6
