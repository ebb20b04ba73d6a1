"""The list of triggers on a real store: who is in it, who leaves it, and that nobody is lost from it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from services.errors import Overloaded
from services.schedule import index
from services.schedule.names import stream_of
from services.streams.keys import Keys
from tests.fakes.clockwork import DAY, HOUR, MINUTE, Clockwork

STREAM = stream_of("nightly")


@pytest.fixture
def clock(store_url: str, keys: Keys) -> Iterator[Clockwork]:
    made = Clockwork(store_url, keys)
    yield made
    made.close()


def listed(clock: Clockwork) -> list[str]:
    return [str(one) for one in index.Index(clock.log).every()]


@pytest.mark.parametrize("is_looked_at", [False, True])
def test_triggers_are_paged_by_their_id_without_those_that_were_removed(
    is_looked_at: bool, clock: Clockwork
) -> None:
    for trigger in ("e", "c", "a", "d", "b"):
        clock.define(trigger)
    if is_looked_at:
        clock.work()
    clock.triggers.remove("b")
    clock.triggers.remove("c")

    pages = []
    cursor: str | None = ""
    while cursor is not None:
        page = clock.triggers.page(cursor=cursor or None, limit=2)
        pages.append([one.id for one in page.triggers])
        cursor = page.cursor

    assert pages == [["a", "d"], ["e"]]


def test_a_removed_trigger_leaves_the_list_once_a_worker_looked_and_comes_back_with_its_next_definition(
    clock: Clockwork,
) -> None:
    clock.define()
    clock.work()
    clock.triggers.remove("nightly")
    clock.work()
    assert listed(clock) == []
    assert clock.triggers.show("nightly").status == "removed"

    clock.define(prompt="again")

    assert listed(clock) == [STREAM]
    assert [one.id for one in clock.triggers.page().triggers] == ["nightly"]


def test_a_trigger_that_is_defined_while_it_leaves_the_list_stays_in_it(clock: Clockwork) -> None:
    clock.define()
    clock.work()
    clock.triggers.remove("nightly")

    with clock.stage.between("commit", lambda: clock.define(prompt="again")):
        clock.hand.advancer.advance(STREAM)
    clock.work()

    assert listed(clock) == [STREAM]
    assert clock.triggers.show("nightly").status == "active"


def test_a_single_time_that_was_done_is_no_trigger_any_more_after_a_week(clock: Clockwork) -> None:
    clock.define(at=clock.now + MINUTE, overlap="allow")
    clock.pass_time(2 * MINUTE)
    clock.work()
    assert clock.triggers.show("nightly").status == "done"

    clock.pass_time(7 * DAY)
    clock.work()

    assert clock.triggers.show("nightly").status == "removed"
    assert listed(clock) == []
    for _ in range(2):
        clock.pass_time(7 * DAY + HOUR)
        clock.work()
    assert [event.type for event in clock.events()] == ["trigger.condensed", "trigger.condensed"]
    clock.define()
    clock.pass_time(HOUR)
    clock.work()
    assert list(clock.states().values()) == ["dispatched"]


def test_more_triggers_than_there_may_be_are_refused_but_not_the_change_of_one(
    clock: Clockwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index, "MOST_TRIGGERS", clock.log.keys.shards)
    clock.define()
    other = next(n for n in map(str, range(1000)) if _shard(clock, n) == _shard(clock, "nightly"))

    with pytest.raises(Overloaded):
        clock.define(other)
    clock.define(prompt="other words")
    clock.triggers.remove("nightly")
    clock.work()
    clock.define(other)

    assert listed(clock) == [stream_of(other)]


def _shard(clock: Clockwork, trigger: str) -> int:
    return clock.log.keys.shard(stream_of(trigger))
