"""Appending: dense offsets, keys, conditions, and numbered appends from other streams."""

from __future__ import annotations

import threading

import pytest

from services.errors import Conflict, KeyReused, NotFound, Overloaded, StreamPaused
from services.streams.event import EventInput, StreamId
from services.streams.log import Log
from services.streams.store import RefusedByScript
from services.streams.vocabulary import StreamPaused as Paused
from tests.fakes.puppet import CREATED, Told, tell
from tests.fakes.store_stage import Stage

S = StreamId("s")
CHANGED = tell(Told(text="changed"), key="a")


def _pause(stage: Stage) -> None:
    stage.log.gate(S, EventInput.of("stream.paused", Paused(reason="lunch")), paused="lunch")


def test_offsets_count_from_one_without_holes(stage: Stage) -> None:
    first = stage.log.append(S, [tell(), tell()], create=CREATED)
    second = stage.log.append(S, [tell()])

    assert (first.offsets, first.head) == ([2, 3], 3)
    assert second.offsets == [4]
    assert [event.offset for event in stage.events(S)] == [1, 2, 3, 4]


def test_offsets_stay_dense_when_many_append_at_once(stage: Stage) -> None:
    stage.log.append(S, [tell()], create=CREATED)
    taken: list[int] = []

    def append() -> None:
        for _ in range(20):
            taken.extend(stage.log.append(S, [tell(), tell()]).offsets)

    threads = [threading.Thread(target=append) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(taken) == list(range(3, 203))
    assert [event.offset for event in stage.events(S)] == list(range(1, 203))


def test_a_stream_is_created_once_by_whoever_comes_first(stage: Stage) -> None:
    stage.log.append(S, [tell()], create=CREATED)
    stage.log.append(S, [tell()], create=CREATED)

    assert stage.types(S) == ["stream.created", "puppet.told", "puppet.told"]


def test_an_append_makes_the_stream_due(stage: Stage) -> None:
    stage.log.append(S, [tell()], create=CREATED)

    assert stage.due_ids("advance")[S] <= 0


def test_the_same_key_with_the_same_content_finds_the_existing_event(stage: Stage) -> None:
    first = stage.log.append(S, [tell(key="a")], create=CREATED)
    again = stage.log.append(S, [tell(key="a")])

    assert again.offsets == first.offsets
    assert again.duplicates == [True]
    assert again.head == 2


def test_the_same_key_with_other_content_is_refused(stage: Stage) -> None:
    stage.log.append(S, [tell(key="a")], create=CREATED)

    with pytest.raises(KeyReused):
        stage.log.append(S, [tell(), CHANGED])

    assert stage.log.head(S) == 2


def test_the_same_key_with_other_content_finds_the_existing_event_where_existing_wins(stage: Stage) -> None:
    stage.log.append(S, [tell(key="a")], create=CREATED)

    again = stage.log.append(S, [CHANGED, tell()], existing_wins=True)

    assert again.offsets == [2, 3]
    assert again.duplicates == [True, False]


def test_two_inputs_of_one_call_with_one_key_become_one_event(stage: Stage) -> None:
    done = stage.log.append(S, [tell(key="a"), tell(), tell(key="a")], create=CREATED)

    assert done.offsets == [2, 3, 2]
    assert done.duplicates == [False, False, True]


def test_two_inputs_of_one_call_with_one_key_and_other_content_are_refused(stage: Stage) -> None:
    with pytest.raises(KeyReused):
        stage.log.append(S, [tell(key="a"), CHANGED], create=CREATED)

    assert stage.log.head(S) == 0


def test_a_key_belongs_to_its_stream(stage: Stage) -> None:
    stage.log.append(S, [tell(key="a")], create=CREATED)

    other = stage.log.append(StreamId("t"), [tell(Told(text="other"), key="a")], create=CREATED)

    assert other.duplicates == [False]


def test_an_append_to_what_must_exist_is_refused_where_it_does_not(stage: Stage) -> None:
    with pytest.raises(NotFound):
        stage.log.append(S, [tell()], if_exists=True)


def test_an_append_at_an_expected_offset_is_refused_when_somebody_was_faster(stage: Stage) -> None:
    stage.log.append(S, [tell()], create=CREATED, expected=0)

    with pytest.raises(Conflict):
        stage.log.append(S, [tell()], expected=1)

    assert stage.log.append(S, [tell()], expected=2).offsets == [3]


def test_a_paused_stream_refuses_inputs_from_outside_and_nothing_else(stage: Stage) -> None:
    stage.log.append(S, [tell()], create=CREATED)
    _pause(stage)

    with pytest.raises(StreamPaused, match="lunch"):
        stage.log.append(S, [tell()], external=True)

    assert stage.log.append(S, [tell()]).offsets == [4]


def test_a_known_key_is_found_whatever_offset_is_expected_and_also_while_paused(stage: Stage) -> None:
    stage.log.append(S, [tell(key="a")], create=CREATED)
    _pause(stage)

    again = stage.log.append(S, [tell(key="a")], expected=1, external=True)

    assert again.duplicates == [True]


def test_a_reused_key_is_said_before_a_wrong_offset_and_that_before_a_pause(stage: Stage) -> None:
    stage.log.append(S, [tell(key="a")], create=CREATED)
    _pause(stage)

    with pytest.raises(KeyReused):
        stage.log.append(S, [CHANGED], expected=1, external=True)
    with pytest.raises(Conflict):
        stage.log.append(S, [tell()], expected=1, external=True)
    with pytest.raises(StreamPaused):
        stage.log.append(S, [tell()], expected=3, external=True)


def test_a_stream_with_too_much_waiting_takes_no_more_from_outside(stage: Stage) -> None:
    bounded = Log(stage.store, stage.keys, most_waiting=3)
    bounded.append(S, [tell(), tell()], create=CREATED, external=True)

    with pytest.raises(Overloaded):
        bounded.append(S, [tell()], external=True)

    assert bounded.append(S, [tell()]).offsets == [4]


class TestFromAnotherStream:
    """`source=(stream, n)`: n counts from 1 without holes per source and target."""

    def test_the_next_number_is_accepted_and_a_repeat_gets_its_answer(self, stage: Stage) -> None:
        first = stage.log.append(S, [tell()], create=CREATED, source=("from", 1))
        again = stage.log.append(S, [tell()], create=CREATED, source=("from", 1))
        second = stage.log.append(S, [tell()], source=("from", 2))

        assert again == first
        assert second.offsets == [3]

    def test_a_number_that_is_too_high_is_refused_and_may_come_again(self, stage: Stage) -> None:
        stage.log.append(S, [tell()], create=CREATED, source=("from", 1))

        with pytest.raises(Conflict, match="gap"):
            stage.log.append(S, [tell()], source=("from", 3))

        stage.log.append(S, [tell()], source=("from", 2))
        assert stage.log.append(S, [tell()], source=("from", 3)).offsets == [4]

    def test_an_older_number_is_answered_with_done(self, stage: Stage) -> None:
        stage.log.append(S, [tell()], create=CREATED, source=("from", 1))
        stage.log.append(S, [tell()], source=("from", 2))

        with pytest.raises(RefusedByScript, match="done"):
            stage.log.append(S, [tell()], source=("from", 1))

        assert stage.log.head(S) == 3

    def test_numbers_of_two_sources_have_nothing_to_do_with_each_other(self, stage: Stage) -> None:
        stage.log.append(S, [tell()], create=CREATED, source=("one", 1))

        assert stage.log.append(S, [tell()], source=("two", 1)).offsets == [3]

    def test_a_definite_refusal_uses_its_number_up_and_is_repeated_in_kind(self, stage: Stage) -> None:
        stage.log.append(S, [tell(key="a")], create=CREATED)

        for _ in range(2):
            with pytest.raises(KeyReused):
                stage.log.append(S, [CHANGED], source=("from", 1))

        assert stage.log.append(S, [tell()], source=("from", 2)).offsets == [3]

    def test_a_refusal_by_a_stream_that_is_not_there_uses_its_number_up_too(self, stage: Stage) -> None:
        with pytest.raises(NotFound):
            stage.log.append(S, [tell()], if_exists=True, source=("from", 1))

        assert stage.log.append(S, [tell()], create=CREATED, source=("from", 2)).offsets == [2]

    def test_a_known_key_uses_its_number_up(self, stage: Stage) -> None:
        stage.log.append(S, [tell(key="a")], create=CREATED)

        assert stage.log.append(S, [tell(key="a")], source=("from", 1)).duplicates == [True]
        assert stage.log.append(S, [tell()], source=("from", 2)).offsets == [3]

    def test_a_pause_uses_no_number_up(self, stage: Stage) -> None:
        stage.log.append(S, [tell()], create=CREATED)
        _pause(stage)
        with pytest.raises(StreamPaused):
            stage.log.append(S, [tell()], external=True, source=("from", 1))

        stage.log.gate(S, EventInput(type="stream.resumed", payload=tell().payload), paused=None)

        assert stage.log.append(S, [tell()], external=True, source=("from", 1)).offsets == [5]
