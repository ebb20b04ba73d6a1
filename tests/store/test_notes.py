"""Notes: said in a thread without being any turn's answer, in order with the answers, once."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import pytest

from services.channels.contract import DeliveryError, Receipt
from services.outbox.entries import Entries, Open
from services.outbox.replies import MOST_OPEN, Replies, RepliesState
from services.processors.contract import STATE_LIMIT, Emit, Moment
from services.sessions.outbox import Outbox, OutboxFilter
from services.streams.event import EventInput, JobId, StreamId
from services.streams.keys import Keys
from services.streams.thread_events import NOTE_LIMIT, NoteRequested
from tests.fakes.desk import Desk, S
from tests.fakes.store_stage import Stage

THREAD = "slack:T1:C1:1.2"
OTHER = "slack:T1:C1:3.4"


@pytest.fixture
def stage(store_url: str, keys: Keys) -> Iterator[Stage]:
    """A stage on which replies are owed."""
    made = Stage(store_url, keys, processors=[Replies()])
    yield made
    made.close()


@pytest.fixture
def desk(stage: Stage) -> Desk:
    """A session, its worker, its postman."""
    return Desk(stage)


def _note(text: str = "Still there.", thread: str = THREAD) -> EventInput:
    return EventInput.of("reply.note_requested", NoteRequested(text=text, reply_to=thread, by="test"))


def _entry(n: int, stream: StreamId = S) -> JobId:
    return JobId(f"{stream}@r{n}")


def test_a_note_goes_to_its_thread_and_tells_no_turn(desk: Desk) -> None:
    desk.tell(_note())
    desk.attempt()

    [letter] = desk.postman.letters
    assert (letter.note, letter.input.reply_to, letter.turn.turn) == ("Still there.", THREAD, 0)
    assert desk.ends() == [("r1", "delivered", "")]


def test_notes_and_answers_leave_in_the_order_they_came_about(desk: Desk) -> None:
    first = desk.hear(None, reply_to=THREAD)
    desk.tell(_note("one"))
    desk.answer(first)
    desk.tell(_note("two"))
    desk.tell(_note("elsewhere", OTHER))
    assert desk.due() == {"r1", "r4"}

    for n in (1, 2, 3):
        desk.attempt(_entry(n))

    assert [letter.note or letter.turn.text for letter in desk.postman.letters] == ["one", "answer 1", "two"]
    assert len({letter.marker for letter in desk.postman.letters}) == 3


def test_a_note_whose_end_nobody_knows_is_looked_for_under_the_same_mark(desk: Desk) -> None:
    desk.postman.answers = [DeliveryError("ambiguous")]
    desk.postman.found = Receipt()
    desk.tell(_note())
    desk.attempt()
    desk.attempt()

    assert desk.postman.looks == [desk.postman.letters[0].marker]
    assert len(desk.postman.letters) == 1
    assert desk.ends() == [("r1", "delivered", "")]


def test_a_person_finds_a_note_that_failed_and_sends_it_again(desk: Desk) -> None:
    desk.postman.answers = [DeliveryError("refused", code="no_such_thread")]
    desk.tell(_note())
    desk.attempt()
    [queued] = [e for e in desk.stage.events(S) if e.type == "reply.queued"]
    outbox = Outbox(desk.stage.log)
    [entry] = outbox.page(OutboxFilter(session=S)).entries
    assert (entry.state, entry.address, entry.turn) == ("failed", THREAD, 0)

    outbox.replay(entry.id)
    desk.hand.advancer.advance(S)
    desk.postman.found = None
    desk.attempt(_entry(2))

    first, second = desk.postman.letters
    assert (second.note, second.marker, second.is_repeat) == (first.note, first.marker, True)
    # What is looked for may be as old as the first of both.
    assert second.queued_at == queued.created_at


def test_of_a_note_without_end_the_beginning_is_said(desk: Desk) -> None:
    desk.tell(_note("x" * (NOTE_LIMIT + 1)))
    desk.attempt()

    assert [len(letter.note) for letter in desk.postman.letters] == [NOTE_LIMIT]


def test_a_note_without_words_is_not_said(desk: Desk) -> None:
    desk.tell(_note("  \n"))

    assert desk.due() == set()


def test_notes_that_nobody_takes_fail_before_they_are_too_many_to_remember() -> None:
    full = RepliesState(
        entries=Entries(last=MOST_OPEN, open=dict.fromkeys(range(1, MOST_OPEN + 1), Open("slack-abcdefghij")))
    )
    asked = _note().at(MOST_OPEN + 10, 0)

    decided = Replies().react(full, asked, Moment(stream=S, now_ms=0))

    ends = [one.event for one in decided if isinstance(one, Emit)]
    assert [one.type for one in ends] == ["reply.queued", "reply.failed"]
    assert b"too_many" in bytes(ends[1].payload)
    assert len(msgspec.json.encode(full)) < STATE_LIMIT
