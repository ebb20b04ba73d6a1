"""Obligations on a real store: begun by the first input of a thread, kept through deaths, races and lost time."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from services.channels.contract import DeliveryError, Receipt
from services.outbox.obligations import Obligations
from services.outbox.replies import Replies
from services.processors.rows import rows_of
from services.streams.event import EventInput, JobId
from services.streams.keys import Keys
from services.streams.thread_events import NoteRequested, ObligationOpened, ObligationSettled
from services.streams.vocabulary import InputReceived
from tests.fakes.desk import Desk, S
from tests.fakes.store_stage import Stage

THREAD = "slack:T1:C1:1.2"
# A hand's lease lasts for 15 s of the stage's clock.
OVERDUE_MS, GIVES_UP_MS = 4_000, 5_000


@pytest.fixture
def stage(store_url: str, keys: Keys) -> Iterator[Stage]:
    """A stage on which answers are owed."""
    obligations = Obligations(overdue_ms=OVERDUE_MS, gives_up_ms=GIVES_UP_MS)
    made = Stage(store_url, keys, processors=[Replies()], on_demand=[(obligations, Obligations.begins)])
    yield made
    made.close()


@pytest.fixture
def desk(stage: Stage) -> Desk:
    """A session, its worker, its postman."""
    return Desk(stage)


def entry(n: int) -> JobId:
    return JobId(f"{S}@r{n}")


def asked(desk: Desk) -> int:
    """Somebody asks in the thread, and a worker looks at it; the offset."""
    offset = desk.hear(None, reply_to=THREAD)
    desk.hand.advancer.advance(S)
    return offset


def opened(desk: Desk) -> list[tuple[int, ...]]:
    return [e.decode(ObligationOpened).inputs for e in desk.stage.events(S) if e.type == "obligation.opened"]


def settled(desk: Desk) -> list[tuple[tuple[int, ...], str, str]]:
    found = [e.decode(ObligationSettled) for e in desk.stage.events(S) if e.type == "obligation.settled"]
    return [(one.inputs, one.how, one.reason) for one in found]


def later(desk: Desk, ms: int) -> None:
    """Time passes; whoever is due is advanced."""
    desk.stage.pass_time(ms)
    desk.hand.renew()
    assert desk.stage.due_ids("advance")[S] <= 0
    desk.hand.advancer.advance(S)


def rows(desk: Desk) -> set[str]:
    """The processors that run on the session."""
    return set(rows_of(desk.stage.log.load(S).fields))


def test_a_session_without_threads_never_hears_of_obligations(desk: Desk) -> None:
    desk.ask("https://one.example/hook")
    desk.attempt()

    assert rows(desk) == {"replies"}
    assert S not in desk.stage.due_ids("advance")


def test_the_first_input_of_a_thread_begins_them_also_in_a_session_that_is_old(desk: Desk) -> None:
    desk.ask(None)

    offset = asked(desk)

    assert rows(desk) == {"replies", "obligations"}
    assert opened(desk) == [(offset,)]
    assert desk.stage.types(S).count("processor.attached") == 1


def test_an_answer_that_is_late_is_due_in_the_store_and_told_in_the_thread(desk: Desk) -> None:
    offset = asked(desk)
    assert 0 < desk.stage.due_ids("advance")[S] <= OVERDUE_MS

    later(desk, OVERDUE_MS)
    desk.attempt(entry(1))
    later(desk, GIVES_UP_MS)
    desk.attempt(entry(2))

    assert [letter.note.split(":")[0] for letter in desk.postman.letters] == [
        "Still working on this",
        "I could not answer this in time",
    ]
    assert settled(desk) == [((offset,), "failed", "overdue")]
    assert S not in desk.stage.due_ids("advance")


def test_an_answer_whose_deliverer_dies_settles_its_obligation_once(desk: Desk) -> None:
    offset = asked(desk)
    desk.answer(offset)
    desk.hand.take_job("deliver", entry(1))
    desk.stage.relay.reap(desk.stage.keys.shard(S), "hand", proven=True)
    desk.stage.pass_time(6_000)
    desk.hand = desk.stage.hand("successor")
    desk.postman.found = Receipt()

    desk.attempt(entry(1))

    assert (len(desk.postman.letters), len(desk.postman.looks)) == (0, 1)
    assert settled(desk) == [((offset,), "replied", "")]


def test_a_late_note_whose_poster_dies_is_looked_for_and_said_once(desk: Desk) -> None:
    asked(desk)
    later(desk, OVERDUE_MS)
    desk.postman.answers = [DeliveryError("ambiguous")]
    desk.attempt(entry(1))
    desk.postman.found = Receipt()
    desk.attempt(entry(1))

    assert [bool(letter.note) for letter in desk.postman.letters] == [True]
    assert desk.ends() == [("r1", "delivered", "")]


def test_what_is_said_while_a_commit_is_on_its_way_is_opened_once(desk: Desk) -> None:
    first = desk.hear(None, reply_to=THREAD)
    second: list[int] = []
    said = EventInput.of("input.received", InputReceived(text="me too", reply_to=THREAD))

    with desk.stage.between("commit", lambda: second.extend(desk.stage.log.append(S, [said]).offsets)):
        desk.hand.advancer.advance(S)
    desk.hand.advancer.advance(S)

    assert opened(desk) == [(first,), tuple(second)]


def test_an_answer_that_is_settled_while_somebody_asks_again_settles_only_what_it_answers(desk: Desk) -> None:
    first = asked(desk)
    desk.answer(first)
    second: list[int] = []
    with desk.stage.between("settle", lambda: second.append(desk.hear(None, reply_to=THREAD))):
        desk.attempt(entry(1))

    assert settled(desk) == [((first,), "replied", "")]
    assert opened(desk) == [(first,), tuple(second)]


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (DeliveryError("refused", code="msg_too_long"), ["msg_too_long"]),
        (DeliveryError("refused", code="is_archived"), []),
        (DeliveryError("gone"), []),
        (DeliveryError("rejected", code="missing_scope"), ["poisoned"]),
    ],
)
def test_an_answer_that_can_not_be_posted_is_told_of_where_something_else_may_be(
    stage: Stage, error: DeliveryError, told: list[str]
) -> None:
    desk = Desk(stage, attempts=3)
    offset = asked(desk)
    desk.answer(offset)
    desk.postman.answers = [error] * 3

    while not desk.ends():
        desk.attempt(entry(1))
    if told:
        desk.postman.answers = [DeliveryError("rejected")] * 3
        while len(desk.ends()) < 2:
            desk.attempt(entry(2))
    desk.hand.advancer.advance(S)

    notes = [e.decode(NoteRequested) for e in desk.stage.events(S) if e.type == "reply.note_requested"]
    assert [each.text.partition("(")[2].partition(")")[0] for each in notes] == told
    assert all(each.reply_to == THREAD for each in notes)
    assert [how for _, how, _ in settled(desk)] == ["failed"]
