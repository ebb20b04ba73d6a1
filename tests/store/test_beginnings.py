"""A thread that a letter of ours began is a session that knows what it began with, wherever an attempt ended."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from services.channels.contract import DeliveryError, Receipt
from services.outbox.replies import Replies
from services.streams.event import JobId, StreamId
from services.streams.keys import Keys
from services.streams.vocabulary import InputReceived, StreamCreated
from tests.fakes.desk import Desk, S
from tests.fakes.store_stage import Stage

CHANNEL, THREAD = "slack:T1:C1", StreamId("slack:T1:C1:9.9")


@pytest.fixture
def stage(store_url: str, keys: Keys) -> Iterator[Stage]:
    """A stage on which answers are delivered."""
    made = Stage(store_url, keys, processors=[Replies()])
    yield made
    made.close()


@pytest.fixture
def desk(stage: Stage) -> Desk:
    """A session that was asked something which is to be said in a channel."""
    made = Desk(stage)
    made.answer(made.hear(None, reply_to=CHANNEL))
    return made


def begun(stage: Stage) -> list[InputReceived]:
    """What the session of the thread was told of how it began."""
    created, *told = stage.events(THREAD)
    assert created.decode(StreamCreated).parent == S
    return [event.decode(InputReceived) for event in told]


def test_the_thread_knows_what_was_said_first_and_answers_nothing_to_it(stage: Stage, desk: Desk) -> None:
    desk.postman.answers = [Receipt(begun=THREAD)]

    desk.attempt()

    (told,) = begun(stage)
    assert told.policy == "silent"
    assert told.text.endswith("answer 1")
    assert desk.ends() == [("r1", "delivered", "")]


def test_a_thread_that_was_begun_by_an_attempt_whose_end_nobody_knows_begins_once(
    stage: Stage, desk: Desk
) -> None:
    desk.postman.answers = [DeliveryError("ambiguous")]
    desk.postman.found = Receipt(begun=THREAD)
    desk.attempt()

    desk.attempt()

    assert len(begun(stage)) == 1


def test_a_worker_that_dies_after_it_began_the_thread_lets_another_begin_it_no_more(
    stage: Stage, desk: Desk
) -> None:
    desk.postman.answers = [Receipt(begun=THREAD)]
    held, claim = desk.hand.take_job("deliver", JobId(f"{S}@r1"))
    desk.runner.run(held, claim)
    desk.hand.claims.release(held, error="worker_lost", free=True)

    desk.postman.found = Receipt(begun=THREAD)
    desk.attempt()

    assert len(begun(stage)) == 1
    assert desk.ends() == [("r1", "delivered", "")]
