"""Nobody in a thread waits in silence: every obligation is opened, told of when it takes long, and settled once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from services.outbox.owing import MOST_WAITING, Owing, reduce
from services.streams.event import EventInput
from services.streams.thread_events import (
    ObligationNoted,
    ObligationOpened,
    ObligationSettled,
)
from services.streams.vocabulary import (
    InputWithdrawn,
    ProcessorFaulted,
    ReplyQueued,
    ReplySettled,
    StreamPaused,
    StreamResumed,
    TurnSettled,
)
from tests.fakes.pure_thread import GIVES_UP, MINUTE, OVERDUE, A, B, Thread

ENDS = ("reply.delivered", "reply.uncertain", "reply.failed")


@pytest.fixture
def thread() -> Iterator[Thread]:
    made = Thread()
    yield made
    offset = [n for inputs in made.opened() for n in inputs]
    ended = [n for inputs, _, _ in made.settled() for n in inputs]
    assert len(offset) == len(set(offset))
    assert len(ended) == len(set(ended))
    assert set(ended) <= set(offset)


class TestOpening:
    """Who waits for an answer."""

    def test_who_asks_in_a_thread_is_owed_an_answer(self, thread: Thread) -> None:
        asked = thread.ask()

        [opened] = [e.decode(ObligationOpened) for e in thread.events if e.type == "obligation.opened"]
        assert opened == ObligationOpened(inputs=(asked,), reply_to=A, due_at=thread.now_ms + OVERDUE)

    def test_who_asks_over_http_or_says_something_silently_is_not(self, thread: Thread) -> None:
        thread.ask(None)
        thread.say("silent", reply_to=A)
        thread.advance()

        assert thread.opened() == []

    def test_those_who_ask_at_once_in_one_thread_are_opened_at_once(self, thread: Thread) -> None:
        first, second = (thread.say("follow_up", reply_to=A) for _ in range(2))
        elsewhere = thread.say("follow_up", reply_to=B)
        thread.advance()

        assert thread.opened() == [(first, second), (elsewhere,)]

    def test_there_is_a_bound_to_those_who_are_waited_with(self, thread: Thread) -> None:
        for _ in range(MOST_WAITING + 5):
            thread.say("follow_up", reply_to=A)
        thread.advance()

        assert sum(map(len, thread.opened())) == MOST_WAITING


class TestSettling:
    """How it ends, by evidence."""

    def test_an_answer_that_arrived_settles_it(self, thread: Thread) -> None:
        asked = thread.ask()
        thread.run()
        assert thread.settled() == []

        thread.deliver()

        assert thread.settled() == [((asked,), "replied", "")]
        [end] = [e.decode(ObligationSettled) for e in thread.events if e.type == "obligation.settled"]
        assert end.job == "s@r1"

    def test_inputs_of_one_turn_are_settled_by_its_one_answer(self, thread: Thread) -> None:
        inputs = tuple(thread.say("collect", reply_to=A) for _ in range(3))
        thread.advance()
        thread.run()
        thread.deliver()

        assert thread.settled() == [(inputs, "replied", "")]
        queued = [e.decode(ReplyQueued) for e in thread.events if e.type == "reply.queued"]
        assert [one.inputs for one in queued] == [inputs]

    @pytest.mark.parametrize(
        ("end", "error", "how"),
        [
            ("failed", "poisoned", "failed"),
            ("failed", "discarded", "failed"),
            ("failed", "gone", "failed"),
            ("uncertain", "ambiguous", "uncertain"),
        ],
    )
    def test_an_answer_that_did_not_arrive_settles_it_with_the_reason(
        self, thread: Thread, end: str, error: str, how: str
    ) -> None:
        asked = thread.ask()
        thread.run()
        thread.deliver(end, error)

        assert thread.settled() == [((asked,), how, error)]

    def test_a_turn_that_failed_is_told_too_and_settled_by_that(self, thread: Thread) -> None:
        asked = thread.ask()
        thread.run(outcome="failed")
        thread.deliver()

        assert thread.settled() == [((asked,), "replied", "")]

    def test_who_takes_an_input_back_wants_no_answer(self, thread: Thread) -> None:
        thread.ask()
        waiting = thread.ask()
        thread.append(EventInput.of("input.withdrawn", InputWithdrawn(input=waiting)))
        thread.advance()

        assert thread.settled() == [((waiting,), "ignored", "withdrawn")]

    def test_what_is_taken_back_before_anybody_looked_was_never_owed(self, thread: Thread) -> None:
        asked = thread.say("follow_up", reply_to=A)
        thread.append(EventInput.of("input.withdrawn", InputWithdrawn(input=asked)))
        thread.advance()

        assert (thread.opened(), thread.settled()) == ([], [])

    def test_who_stops_a_turn_wants_no_answer(self, thread: Thread) -> None:
        running, waiting = thread.ask(), thread.ask()
        thread.cancel(queued=True)
        thread.advance()

        assert sorted(thread.settled()) == [
            ((running,), "ignored", "cancelled"),
            ((waiting,), "ignored", "cancelled"),
        ]

    def test_steering_hands_the_thread_on(self, thread: Thread) -> None:
        first = thread.ask()
        second = thread.say("steer", reply_to=A)
        thread.advance()
        assert thread.settled() == []

        thread.run()
        thread.deliver()

        assert thread.settled() == [((first, second), "replied", "")]


class TestTelling:
    """What is said while there is no answer."""

    def test_an_answer_that_takes_long_is_told_to_and_later_to_have_failed(self, thread: Thread) -> None:
        asked = thread.ask()
        thread.wait(OVERDUE - 1)
        assert thread.notes() == []

        thread.wait(1)
        assert thread.notes() == [(A, "Still working on this: the model has not answered yet.")]

        thread.wait(GIVES_UP - 1)
        assert len(thread.notes()) == 1
        thread.wait(1)
        [_, (_, last)] = thread.notes()
        assert last.startswith("I could not answer this in time: the model has not answered yet.")
        assert thread.settled() == [((asked,), "failed", "overdue")]

    def test_never_more_than_two_notes_and_the_answer_comes_nevertheless(self, thread: Thread) -> None:
        thread.ask()
        for _ in range(100):
            thread.wait(5 * MINUTE)

        thread.run()
        thread.deliver()

        assert len(thread.notes()) == 2
        assert [e.decode(ReplyQueued).turn for e in thread.events if e.type == "reply.queued"] == [0, 0, 1]
        assert [how for _, how, _ in thread.settled()] == ["failed"]

    def test_all_who_wait_in_a_thread_are_told_at_once(self, thread: Thread) -> None:
        inputs = []
        for _ in range(5):
            inputs.append(thread.ask())
            thread.wait(MINUTE)
        elsewhere = thread.ask(B)
        thread.wait(OVERDUE - 5 * MINUTE)
        assert [where for where, _ in thread.notes()] == [A]

        thread.wait(OVERDUE)
        [first, second] = [e.decode(ObligationNoted) for e in thread.events if e.type == "obligation.noted"]

        assert (first.inputs, second.inputs) == (tuple(inputs), (elsewhere,))
        assert thread.notes()[1] == (
            B,
            "Still working on this: something that came before is not done yet.",
        )

    def test_a_note_that_nobody_saw_makes_room_for_the_answer(self, thread: Thread) -> None:
        thread.ask()
        thread.wait(OVERDUE)
        thread.run()
        thread.deliver()

        ends = [(e.type, e.decode(ReplySettled).error) for e in thread.events if e.type in ENDS]
        assert ends == [("reply.failed", "superseded"), ("reply.delivered", "")]

    def test_an_answer_in_the_outbox_is_told_by_no_note(self, thread: Thread) -> None:
        thread.ask()
        thread.run()
        thread.wait(OVERDUE + GIVES_UP)

        assert thread.notes() == []

    def test_a_model_that_is_asked_again_is_said_to_be(self, thread: Thread) -> None:
        thread.ask()
        thread.start("s@1")
        thread.fail_attempt("s@1")
        thread.wait(OVERDUE)

        assert "the model can not be had right now" in thread.notes()[0][1]

    def test_a_tool_that_takes_long_is_said_to(self, thread: Thread) -> None:
        thread.ask()
        thread.start("s@1")
        thread.finish("s@1", calls=1)
        thread.advance()
        thread.wait(OVERDUE)

        assert "a tool has not come back" in thread.notes()[0][1]

    def test_a_part_that_stopped_is_said_to_wait_for_a_person(self, thread: Thread) -> None:
        thread.ask()
        fault = ProcessorFaulted(name="agent", version=1, offset=2, error="ValueError")
        thread.append(EventInput.of("processor.faulted", fault))
        thread.wait(OVERDUE)

        assert "waits for whoever runs me" in thread.notes()[0][1]

    def test_what_is_taken_back_unasked_is_no_end_of_the_turn_that_runs(self, thread: Thread) -> None:
        thread.ask()
        thread.start("s@1")
        waiting = thread.ask(B)
        unsent = TurnSettled(turn=2, outcome="cancelled", inputs=(waiting,), reason="queued")
        thread.append(EventInput.of("turn.settled", unsent))
        thread.wait(OVERDUE)

        assert ((waiting,), "ignored", "cancelled") in thread.settled()
        [(_, told)] = [note for note in thread.notes() if note[0] == A]
        assert "the model has not answered yet" in told


class TestPausing:
    """A pause is nobody's delay."""

    def test_the_clock_stands_still_while_the_session_is_paused(self, thread: Thread) -> None:
        thread.ask()
        thread.wait(OVERDUE - 1)
        thread.append(EventInput.of("stream.paused", StreamPaused(reason="operator")))
        thread.advance()
        thread.wait(10 * GIVES_UP)
        assert thread.notes() == []

        thread.append(EventInput.of("stream.resumed", StreamResumed()))
        thread.advance()
        assert thread.notes() == []

        thread.wait(1)
        assert len(thread.notes()) == 1

    @pytest.mark.parametrize(
        ("reason", "why"), [("spend", "spent in an hour"), ("circuit_breaker", "far more happened")]
    )
    def test_a_pause_that_no_person_decided_on_is_told_with_how_to_go_on(
        self, thread: Thread, reason: str, why: str
    ) -> None:
        thread.ask()
        thread.append(EventInput.of("stream.paused", StreamPaused(reason=reason, by="agent")))
        thread.advance()
        thread.wait(GIVES_UP)

        [(where, text)] = thread.notes()
        assert where == A
        assert why in text
        assert "`turnwright resume s`" in text

    def test_every_thread_that_waits_is_told_of_it_once_however_many_there_are(self, thread: Thread) -> None:
        threads = [f"slack:T1:C1:{n}.0" for n in range(40)]
        for each in threads:
            thread.say("follow_up", reply_to=each)
            thread.say("follow_up", reply_to=each)
        for _ in range(12):
            thread.advance()

        thread.append(EventInput.of("stream.paused", StreamPaused(reason="spend", by="agent")))
        for _ in range(12):
            thread.advance()

        assert sorted(where for where, _ in thread.notes()) == sorted(threads)

    def test_who_takes_back_what_they_asked_leaves_the_others_of_their_thread_to_be_told(
        self, thread: Thread
    ) -> None:
        asked = [thread.say("follow_up", reply_to=each) for each in (A, B, A)]
        thread.append(EventInput.of("stream.paused", StreamPaused(reason="spend", by="agent")))
        state = Owing()
        for event in thread.events:
            state = reduce(state, event)
        assert state.untold == (asked[0], asked[1])

        taken_back = [EventInput.of("input.withdrawn", InputWithdrawn(input=n)) for n in asked[:2]]
        offsets = [thread.append(each) for each in taken_back]
        for event in thread.events[-len(offsets) :]:
            state = reduce(state, event)

        assert state.untold == (asked[2],)

    def test_who_asks_during_a_pause_waits_from_its_end_on(self, thread: Thread) -> None:
        thread.ask()
        thread.append(EventInput.of("stream.paused", StreamPaused(reason="operator")))
        thread.wait(10 * GIVES_UP)
        thread.ask(B)
        thread.wait(MINUTE)
        thread.append(EventInput.of("stream.resumed", StreamResumed()))
        thread.advance()

        thread.wait(OVERDUE)

        assert sorted(where for where, _ in thread.notes()) == [A, B]

    def test_a_person_who_pauses_is_not_talked_about(self, thread: Thread) -> None:
        thread.ask()
        thread.append(EventInput.of("stream.paused", StreamPaused(reason="lunch")))
        thread.advance()

        assert thread.notes() == []


def test_nobody_waits_for_ever_in_many_threads(thread: Thread) -> None:
    threads = [f"slack:T1:C1:{n}.0" for n in range(40)]
    for each in threads:
        thread.say("follow_up", reply_to=each)
    for _ in range(12):
        thread.advance()
    assert len(thread.opened()) == 40

    for _ in range(2):
        thread.wait(GIVES_UP + 1)
        for _ in range(12):
            thread.advance()

    assert sorted(where for where, _ in thread.notes()) == sorted(threads * 2)
    assert len(thread.settled()) == 40


@pytest.mark.parametrize(("where", "told"), [(A, [A]), ("", [])])
def test_an_answer_that_could_not_be_posted_is_told_of_where_it_can_be(
    thread: Thread, where: str, told: list[str]
) -> None:
    thread.ask()
    thread.run()
    [reply] = [id for id, row in thread.jobs.items() if row.kind == "deliver"]
    thread.jobs[reply].is_settled = True
    failed = ReplySettled(job=reply, error="msg_too_long", thread=where)
    thread.append(EventInput.of("reply.failed", failed))
    for _ in range(3):
        thread.advance()

    assert [where for where, _ in thread.notes()] == told
    assert all("could not post it (msg_too_long)" in text for _, text in thread.notes())
    assert [how for _, how, _ in thread.settled()] == ["failed"]
