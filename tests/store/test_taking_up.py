"""A stream that is due is taken and loaded at one instant by who advances it."""

from __future__ import annotations

from services.streams.event import StreamId
from tests.fakes.puppet import CREATED, Told, tell
from tests.fakes.store_stage import Stage

S = StreamId("s")
GRACE_MS = 10_000


def test_who_takes_a_stream_up_has_what_it_needs_and_has_it_alone(stage: Stage) -> None:
    stage.log.append(S, [tell()], create=CREATED)
    stage.pass_time(700)

    taken = stage.log.take_up(S, grace_ms=GRACE_MS)

    assert taken is not None
    assert [event.type for event in taken.loaded.events] == ["stream.created", "puppet.told"]
    assert (taken.loaded.head, taken.takes) == (2, 1)
    assert 700 <= taken.late_ms < 5_000
    assert stage.log.take_up(S, grace_ms=GRACE_MS) is None


def test_what_is_not_due_or_not_there_is_not_taken(stage: Stage) -> None:
    stage.log.append(S, [tell(Told(wake=9_999_999_999_999))], create=CREATED)
    stage.hand().advancer.advance(S)

    assert stage.log.take_up(S, grace_ms=GRACE_MS) is None
    assert stage.log.take_up(StreamId("ghost"), grace_ms=GRACE_MS) is None


def test_a_stream_taken_again_and_again_without_a_commit_is_put_off_for_longer(stage: Stage) -> None:
    stage.log.append(S, [tell()], create=CREATED)
    graces, takes = [], []
    for _ in range(5):
        taken = stage.log.take_up(S, grace_ms=GRACE_MS)
        assert taken is not None
        takes.append(taken.takes)
        graces.append(round(stage.due_ids("advance")[S], -3))
        stage.pass_time(graces[-1] + 100)

    assert graces == [10_000, 10_000, 20_000, 30_000, 30_000]
    assert takes == [1, 2, 3, 4, 5]


def test_a_commit_forgets_the_takes(stage: Stage) -> None:
    hand = stage.hand()
    stage.log.append(S, [tell()], create=CREATED)
    for _ in range(2):
        taken = hand.advancer.take_up(S, grace_ms=GRACE_MS)
        stage.pass_time(2 * GRACE_MS)
    hand = stage.hand("next")

    hand.advancer.advance(S, taken=taken)
    stage.log.append(S, [tell()])

    again = stage.log.take_up(S, grace_ms=GRACE_MS)
    assert again is not None
    assert again.takes == 1


def test_one_that_became_due_just_now_is_only_loaded(stage: Stage) -> None:
    stage.log.append(S, [tell()], create=CREATED)

    for _ in range(2):
        fresh = stage.log.take_up(S, grace_ms=GRACE_MS, fresh_ms=5_000)
        assert fresh is not None
        assert fresh.takes == 1
    assert stage.due_ids("advance")[S] <= 0

    stage.pass_time(5_001)
    taken = [stage.log.take_up(S, grace_ms=GRACE_MS, fresh_ms=5_000) for _ in range(2)]
    assert [each is None for each in taken] == [False, True]


def test_one_that_was_taken_before_is_put_off_and_counted_however_fresh_it_is(stage: Stage) -> None:
    stage.log.append(S, [tell()], create=CREATED)
    stage.log.take_up(S, grace_ms=GRACE_MS)
    stage.pass_time(GRACE_MS + 1)

    again = stage.log.take_up(S, grace_ms=GRACE_MS, fresh_ms=5_000)

    assert again is not None
    assert again.takes == 2
    assert stage.log.take_up(S, grace_ms=GRACE_MS, fresh_ms=5_000) is None
