"""Every script at every write: a fault at the first leaves nothing, one later is made good by the repeat."""

from __future__ import annotations

import uuid

import pytest

from services.errors import Defect, Overloaded
from services.streams.keys import Keys
from tests.fakes.lua_faults import counting, failing, standing_clock
from tests.fakes.store_servers import Console
from tests.fakes.store_stage import Stage, dump
from tests.store.script_scenarios import SCENARIOS, UNMARKED, Scenario

ALL = pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=SCENARIOS.keys())
# A take that failed midway is not taken again: the grace brings its members back.
MADE_GOOD = {name: one for name, one in SCENARIOS.items() if not one.script.startswith("take")}
# Finishing deliveries only ever frees memory, so a full store lets it through.
GROWING = {name: one for name, one in SCENARIOS.items() if one.script != "delivered"}


class Runs:
    """Runs one scenario in fresh key spaces of one server."""

    def __init__(self, url: str, bare: Console, scenario: Scenario) -> None:
        self.url, self.bare, self.scenario = url, bare, scenario

    def stage(self) -> Stage:
        """A key space in which the scenario is prepared."""
        stage = Stage(self.url, Keys(f"t{uuid.uuid4().hex[:12]}", shards=1), read=standing_clock)
        self.scenario.prepare(stage)
        return stage

    def beside(self, stage: Stage, *, at: int, once: bool = True) -> Stage:
        """The same key space through scripts with a fault."""
        return Stage(self.url, stage.keys, read=failing(self.scenario.script, at=at, once=once))

    def undisturbed(self) -> tuple[object, dict[str, object], int]:
        """Reply, final content and number of writes without any fault."""
        stage = self.stage()
        key = f"{stage.keys.namespace}-writes"
        counted = Stage(self.url, stage.keys, read=counting(self.scenario.script, key))
        reply = self.scenario.act(counted)
        writes = int(self.bare.execute_command("GETDEL", key))
        stage.close()
        counted.close()
        return reply, self.content(stage), writes

    def content(self, stage: Stage) -> dict[str, object]:
        """All keys of a stage."""
        return dump(self.bare, stage.keys.namespace)


@pytest.fixture
def runs(store_url: str, bare: Console, scenario: Scenario) -> Runs:
    """The runs of one scenario."""
    return Runs(store_url, bare, scenario)


@ALL
def test_a_fault_at_the_first_write_leaves_nothing_changed(runs: Runs) -> None:
    stage = runs.stage()
    before = runs.content(stage)
    faulty = runs.beside(stage, at=1, once=False)

    with pytest.raises(Defect):
        runs.scenario.act(faulty)

    assert _lasting(runs.content(stage)) == _lasting(before)
    faulty.close()
    stage.close()


@pytest.mark.parametrize("scenario", MADE_GOOD.values(), ids=MADE_GOOD.keys())
def test_a_fault_at_any_later_write_is_made_good_by_the_repeat(runs: Runs) -> None:
    reply, content, writes = runs.undisturbed()
    assert writes >= 1

    for at in range(1, writes + 1):
        stage = runs.stage()
        faulty = runs.beside(stage, at=at)
        if runs.scenario.script in UNMARKED:
            with pytest.raises(Defect):
                runs.scenario.act(faulty)
            again = runs.scenario.act(stage)
        else:
            again = runs.scenario.act(faulty)
            assert again == reply, f"fault at write {at} of {writes}"
        assert _lasting(runs.content(stage)) == _lasting(content), f"fault at write {at} of {writes}"
        faulty.close()
        stage.close()


@pytest.mark.parametrize("scenario", GROWING.values(), ids=GROWING.keys())
def test_a_full_store_refuses_before_the_first_write(runs: Runs) -> None:
    stage = runs.stage()
    before = runs.content(stage)
    limit = runs.bare.execute_command("CONFIG", "GET", "maxmemory")[1]
    runs.bare.execute_command("CONFIG", "SET", "maxmemory", 1)
    try:
        with pytest.raises(Overloaded):
            runs.scenario.act(stage)
    finally:
        runs.bare.execute_command("CONFIG", "SET", "maxmemory", limit)

    assert runs.content(stage) == before
    stage.close()


@pytest.mark.parametrize(("scenario", "nothing"), [("take what is due", []), ("take a stream up", None)])
def test_a_take_that_failed_midway_brings_its_members_back_after_the_grace(
    stage: Stage, scenario: str, nothing: object
) -> None:
    chosen = SCENARIOS[scenario]
    chosen.prepare(stage)
    faulty = Stage(stage.url, stage.keys, read=failing(chosen.script, at=2, once=False, standing=False))
    with pytest.raises(Defect):
        chosen.act(faulty)
    faulty.close()
    assert chosen.act(stage) == nothing

    stage.pass_time(10_001)

    assert chosen.act(stage) != nothing


def _lasting(content: dict[str, object]) -> dict[str, object]:
    """Without bodies that wait for an event to make them permanent: they expire by themselves."""
    bodies = content["blobs"]
    assert isinstance(bodies, list)
    return content | {"blobs": [body for body, expires in bodies if not expires]}
