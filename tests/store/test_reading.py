"""Reading: forward, backward, filtered, and live without gap or repeat."""

from __future__ import annotations

import threading
import time

import msgspec
import pytest

from services.errors import Defect
from services.streams.event import Event, EventInput, StreamId
from services.streams.store import translated
from services.streams.tail import Delta
from tests.fakes.puppet import CREATED, tell
from tests.fakes.store_servers import Console
from tests.fakes.store_stage import Stage

S = StreamId("s")
ODD = frozenset({"odd"})


def _mixed(stage: Stage, count: int) -> None:
    """Offset n is of type `odd` or `even`."""
    inputs = [
        EventInput(type="odd" if n % 2 else "even", payload=msgspec.Raw(b"{}")) for n in range(1, count + 1)
    ]
    for start in range(0, count, 100):
        stage.log.append(S, inputs[start : start + 100])


def _offsets(events: list[Event]) -> list[int]:
    return [event.offset for event in events]


def test_reading_forward_starts_behind_an_offset_and_stops_at_the_limit(stage: Stage) -> None:
    _mixed(stage, 10)

    assert _offsets(stage.log.read(S, after=3, limit=4)) == [4, 5, 6, 7]
    assert _offsets(stage.log.read(S, after=8, limit=4)) == [9, 10]
    assert stage.log.read(S, after=10) == []


def test_reading_backward_starts_before_an_offset_or_at_the_head(stage: Stage) -> None:
    _mixed(stage, 10)

    assert _offsets(stage.log.read_back(S, limit=3)) == [10, 9, 8]
    assert _offsets(stage.log.read_back(S, before=4, limit=9)) == [3, 2, 1]
    assert stage.log.read_back(S, before=1) == []


def test_a_filter_counts_only_what_it_lets_through_over_many_pages(stage: Stage) -> None:
    _mixed(stage, 1200)

    assert _offsets(stage.log.read(S, after=10, limit=550, types=ODD)) == list(range(11, 1110, 2))
    assert _offsets(stage.log.read_back(S, limit=550, types=ODD)) == list(range(1199, 100, -2))


def test_a_filter_of_which_nothing_is_there_finds_nothing(stage: Stage) -> None:
    _mixed(stage, 600)

    assert stage.log.read(S, types=frozenset({"other"})) == []
    assert stage.log.read_back(S, types=frozenset({"other"})) == []


def test_an_event_of_a_type_and_with_fields_nobody_knows_is_read_as_it_is(stage: Stage) -> None:
    stage.log.append(S, [EventInput(type="future.thing", v=9, payload=msgspec.Raw(b'{"new":[1]}'))])

    [event] = stage.events(S)

    assert (event.type, event.v, bytes(event.payload)) == ("future.thing", 9, b'{"new":[1]}')


def test_a_changed_byte_is_a_defect_that_names_its_place(stage: Stage, bare: Console) -> None:
    stage.log.append(S, [tell()], create=CREATED)
    bare.execute_command("XADD", stage.keys.log(S), "3-0", "e", b'{"type":', "t", "1", "o", "x:1")

    with pytest.raises(Defect, match="s@3"):
        stage.events(S)


def test_a_tail_starts_with_what_was_there_and_goes_on_with_what_comes(stage: Stage) -> None:
    stage.log.append(S, [tell()], create=CREATED)
    with stage.log.tail(S, after=1) as tail:
        first = tail.next(5)
        stage.log.append(S, [tell(), tell()])
        second = tail.next(5)
        nothing = tail.next(0.05)

    assert [one.offset for one in first if isinstance(one, Event)] == [2]
    assert [one.offset for one in second if isinstance(one, Event)] == [3, 4]
    assert nothing == []


def test_tails_that_come_and_go_see_every_event_once_among_concurrent_appends_and_deltas(
    stage: Stage,
) -> None:
    total = 400
    stage.log.append(S, [tell()], create=CREATED)

    def append() -> None:
        for n in range(total // 2):
            stage.log.append(S, [tell(), tell()])
            if n % 5 == 0:
                _publish_delta(stage, n)

    writer = threading.Thread(target=append)
    writer.start()
    seen: list[int] = []
    deltas: list[int] = []
    deadline = time.monotonic() + 20
    while len(seen) < total + 2 and time.monotonic() < deadline:
        with stage.log.tail(S, after=seen[-1] if seen else 0) as tail:
            for _ in range(15):
                for one in tail.next(0.2):
                    if isinstance(one, Event):
                        seen.append(one.offset)
                    else:
                        deltas.append(one.seq)
    writer.join()

    assert seen == list(range(1, total + 3))
    assert deltas == sorted(set(deltas))


def test_a_delta_reaches_who_reads_now_and_is_not_in_the_log(stage: Stage) -> None:
    stage.log.append(S, [tell()], create=CREATED)
    with stage.log.tail(S, after=2) as tail:
        tail.next(0.05)
        _publish_delta(stage, 7)
        found = tail.next(5)

    assert [one.seq for one in found if isinstance(one, Delta)] == [7]
    assert stage.log.head(S) == 2


def _publish_delta(stage: Stage, seq: int) -> None:
    delta = Delta(job="s@1", attempt=1, seq=seq, text="x")
    with translated():
        stage.store.client.publish(stage.keys.tail_channel(S), msgspec.json.encode(delta))


def test_streams_are_listed_with_the_newest_append_first_and_paged(stage: Stage) -> None:
    for n in range(5):
        stage.log.append(StreamId(f"s{n}"), [tell()], create=CREATED)
        stage.pass_time(1000)

    found = stage.log.recent(limit=3)
    rest = stage.log.recent(limit=3, before_ms=found[-1][1])

    assert [name for name, _ in found] == ["s4", "s3", "s2"]
    assert [name for name, _ in rest] == ["s1", "s0"]
