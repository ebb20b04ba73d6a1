"""Deliveries as the scripts keep them: in order to each destination, leased, and found when they failed."""

from __future__ import annotations

import pytest

from services.processors.advance import Held
from services.streams.event import EventInput, JobId, StreamId
from services.streams.vocabulary import StreamPaused
from tests.fakes.puppet import CREATED, SETTLE_MS, Ending, Told, outcome_of, tell
from tests.fakes.store_stage import LEASE_MS, Hand, Stage

S = StreamId("s")
LEASE = 60_000


@pytest.fixture
def hand(stage: Stage) -> Hand:
    """A worker; three replies to `x` and one to `y` are queued."""
    made = stage.hand()
    jobs = ("deliver:x.1", "deliver:x.2", "deliver:x.3", "deliver:y.1")
    stage.log.append(S, [tell(Told(jobs=jobs))], create=CREATED)
    made.advancer.advance(S)
    return made


def _due(stage: Stage) -> set[str]:
    return {id.partition("@")[2] for id, left in stage.due_ids("deliver").items() if left <= 0}


def _take(hand: Hand, name: str) -> Held:
    return hand.take_job("deliver", JobId(f"s@{name}"))[0]


def _settle(hand: Hand, held: Held, *, reply: str = "delivered") -> None:
    outcome = outcome_of(held.id, "deliver", reply=reply)
    assert hand.advancer.settle(held, [outcome], None) is not None


def _letters(stage: Stage) -> list[bytes]:
    return stage.store.client.zrange(stage.keys.letters(stage.keys.shard(S)), 0, -1)


def test_the_first_to_each_destination_is_due_and_the_others_wait_behind_it(stage: Stage, hand: Hand) -> None:
    assert _due(stage) == {"x.1", "y.1"}

    _settle(hand, _take(hand, "x.1"))

    assert _due(stage) == {"x.2", "y.1"}


def test_replies_leave_in_the_order_of_their_commits(stage: Stage, hand: Hand) -> None:
    stage.log.append(S, [tell(Told(jobs=("deliver:x.0",)))])
    hand.advancer.advance(S)
    order = []

    for _ in range(4):
        [name] = [name for name in _due(stage) if name.startswith("x")]
        order.append(name)
        _settle(hand, _take(hand, name))

    assert order == ["x.1", "x.2", "x.3", "x.0"]


def test_one_that_is_tried_again_later_keeps_its_place(stage: Stage, hand: Hand) -> None:
    hand.claims.release(_take(hand, "x.1"), error="overloaded", delay_ms=5_000)
    assert _due(stage) == {"y.1"}

    stage.pass_time(5_001)

    assert _due(stage) == {"x.1", "y.1"}


def test_nobody_gets_what_waits_behind_another(hand: Hand) -> None:
    assert hand.claims.claim("deliver", JobId("s@x.2")) is None


def test_a_commit_claims_a_reply_only_when_nothing_is_before_it(stage: Stage, hand: Hand) -> None:
    stage.log.append(S, [tell(Told(jobs=("deliver:x.4",)))])
    assert hand.advancer.advance(S, hand.claimer()).claimed == ()
    stage.log.append(S, [tell(Told(jobs=("deliver:z.1",)))])

    advanced = hand.advancer.advance(S, hand.claimer())

    assert [job.id for job in advanced.claimed] == ["s@z.1"]
    assert _due(stage) == {"x.1", "y.1"}


def test_one_that_is_taken_back_while_it_waits_leaves_the_first_where_it_is(stage: Stage, hand: Hand) -> None:
    _take(hand, "x.1")
    stage.log.append(S, [tell(Told(settle=(Ending("deliver", "x.2", 0),)))])

    hand.advancer.advance(S)

    assert _due(stage) == {"y.1"}
    _settle(hand, Held(kind="deliver", id=JobId("s@x.1"), stream=S, token=1, destination="x"))
    assert _due(stage) == {"x.3", "y.1"}


def test_when_the_first_is_taken_back_the_next_is_due(stage: Stage, hand: Hand) -> None:
    stage.log.append(S, [tell(Told(settle=(Ending("deliver", "x.1", 0),)))])

    hand.advancer.advance(S)

    assert _due(stage) == {"x.2", "y.1"}


def test_replies_leave_a_paused_session(stage: Stage, hand: Hand) -> None:
    paused = EventInput.of("stream.paused", StreamPaused(reason="r"))
    stage.log.gate(S, paused, paused="r")

    _settle(hand, _take(hand, "x.1"))

    assert "reply.delivered" in stage.types(S)


def test_after_a_proven_death_the_next_one_waits_for_what_was_sent_to_show_up(
    stage: Stage, hand: Hand
) -> None:
    _take(hand, "x.1")

    stage.relay.reap(stage.keys.shard(S), "hand", proven=True)

    assert stage.due_ids("deliver")["s@x.1"] == pytest.approx(SETTLE_MS, abs=500)


def test_of_a_holder_that_may_only_be_stopped_the_lease_is_waited_for(stage: Stage, hand: Hand) -> None:
    _take(hand, "x.1")
    stage.pass_time(LEASE_MS + 1)

    stage.relay.reap(stage.keys.shard(S), "hand", proven=False)

    left = LEASE - LEASE_MS + SETTLE_MS
    assert stage.due_ids("deliver")["s@x.1"] == pytest.approx(left, abs=500)


def test_only_what_failed_is_among_the_letters_and_not_for_ever(stage: Stage, hand: Hand) -> None:
    _settle(hand, _take(hand, "x.1"), reply="failed")
    _settle(hand, _take(hand, "x.2"))
    assert _letters(stage) == [b"s@x.1"]

    stage.pass_time(14 * 86_400_000)
    late = stage.hand("late")
    _settle(late, _take(late, "x.3"), reply="failed")

    assert _letters(stage) == [b"s@x.3"]


def test_a_worker_learns_how_the_last_attempt_ended(hand: Hand) -> None:
    hand.claims.release(_take(hand, "x.1"), error="ambiguous")

    _, claim = hand.take_job("deliver", JobId("s@x.1"))

    assert (claim.attempt, claim.error, claim.destination) == (2, "ambiguous", "x")
