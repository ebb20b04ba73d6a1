"""Whoever asks in a thread and is never heard is told so there: once, by a note that the ledger names."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from services.channels.contract import DeliveryError
from services.inbound.contract import Order
from services.inbound.router import Router
from services.inbound.routes import ATTEMPTS, TELLS
from services.outbox.replies import Replies
from services.streams.event import EventInput, StreamId
from services.streams.keys import Keys
from services.streams.vocabulary import StreamCreated, StreamPaused
from tests.fakes.gatekeeper import Gatekeeper, GateSource
from tests.fakes.store_stage import Stage

S = StreamId("gate:s")
THREAD = "slack:T1:C1:1.2"


@pytest.fixture
def gate(store_url: str, keys: Keys) -> Iterator[Gatekeeper]:
    source = GateSource()
    stage = Stage(store_url, keys, processors=[Replies()], inbound=[Router({"gate": source})])
    yield Gatekeeper(stage, source)
    stage.close()


def lets_in() -> None:
    return None


def test_one_that_failed_too_often_is_told_where_it_was_asked_and_why(gate: Gatekeeper) -> None:
    offset = gate.arrives("a")

    assert gate.give_up(offset) == "failed"

    assert gate.source.asked == ATTEMPTS
    [(at, note)] = gate.notes()
    assert note.reply_to == THREAD
    assert note.text.startswith(
        "What was asked here did not reach me, because GitHub did not say whether you may ask me. "
        "Please ask again."
    )
    fate = gate.fate(offset)
    assert (fate.reason, fate.session, fate.notice) == ("attempts_exhausted", S, at)


def test_one_that_waited_for_days_is_told_what_for(gate: Gatekeeper) -> None:
    log = gate.stage.log
    log.append(S, [EventInput.of("stream.created", StreamCreated())])
    gate.source.lets_in = lets_in
    offset = gate.arrives("a")
    log.gate(S, EventInput.of("stream.paused", StreamPaused(reason="operator")), paused="operator")
    assert gate.attempt(offset) == "paused"
    before = len(gate.notes())

    gate.expire()
    assert gate.attempt(offset) == "failed"

    [(_, note)] = gate.notes()[before:]
    assert "I was paused for too long" in note.text
    assert "turnwright resume gate:s" in note.text
    assert gate.fate(offset).reason == "expired"


def test_the_note_is_in_the_outbox_as_a_reply_is(gate: Gatekeeper) -> None:
    gate.give_up(gate.arrives("a"))
    gate.hand.advancer.advance(S)

    types = gate.stage.types(S)
    assert types == ["stream.created", "reply.note_requested", "reply.queued"]


def test_whoever_dies_before_the_end_is_written_tells_it_once(gate: Gatekeeper) -> None:
    offset = gate.arrives("a")
    gate.expire()

    gate.attempt(offset, dies=True)
    assert gate.attempt(offset) == "failed"

    [(at, _)] = gate.notes()
    assert gate.fate(offset).notice == at


def test_many_that_fail_together_are_told_once_in_each_thread(gate: Gatekeeper) -> None:
    offsets = [gate.arrives(f"m{n}") for n in range(5)]
    others = [gate.arrives(f"o{n}", thread="slack:T1:C1:3.4") for n in range(2)]
    gate.expire()

    for offset in (*offsets, *others):
        assert gate.attempt(offset) == "failed"

    notes = gate.notes()
    assert [note.reply_to for _, note in notes] == [THREAD, "slack:T1:C1:3.4"]
    assert {gate.fate(offset).notice for offset in offsets} == {notes[0][0]}
    assert {gate.fate(offset).notice for offset in others} == {notes[1][0]}


def test_who_asks_again_after_that_and_fails_again_is_told_again(gate: Gatekeeper) -> None:
    first = gate.arrives("a")
    gate.expire()
    gate.attempt(first)
    gate.later(1_000)
    second = gate.arrives("b")
    gate.expire()

    gate.attempt(second)

    assert len(gate.notes()) == 2
    assert gate.fate(second).notice != gate.fate(first).notice


def test_what_was_said_after_all_is_routed_and_nobody_is_told(gate: Gatekeeper) -> None:
    gate.source.lets_in = lets_in
    offset = gate.arrives("a")
    gate.attempt(offset, dies=True)
    gate.expire()

    assert gate.attempt(offset) == "routed"

    assert gate.notes() == []
    assert gate.stage.types(S).count("input.received") == 1


@pytest.mark.parametrize(
    "order",
    [
        Order(session=S, policy="silent"),
        Order(session=S, does="withdraw"),
        Order(session=S, is_there=True),
        Order(session=S, does="edit", is_there=True),
        Order(session=S, does="command", is_there=True),
    ],
)
def test_nobody_is_told_of_what_nobody_waits_for(gate: Gatekeeper, order: Order) -> None:
    gate.source.order = order
    offset = gate.arrives("a")
    gate.expire()

    assert gate.attempt(offset) == "failed"

    assert gate.stage.types(S) == []
    assert gate.fate(offset).notice == 0


def test_who_may_not_call_is_not_told(gate: Gatekeeper) -> None:
    gate.source.may_be_told = lambda: False
    offset = gate.arrives("a")

    assert gate.give_up(offset) == "failed"

    assert gate.stage.types(S) == []


def test_one_that_can_not_even_be_told_of_ends_all_the_same(gate: Gatekeeper) -> None:
    def breaks() -> bool:
        tried.append(1)
        raise DeliveryError("rejected", code="broken")

    tried: list[int] = []
    gate.source.may_be_told = breaks
    offset = gate.arrives("a")

    assert gate.give_up(offset) == "failed"

    assert gate.source.asked == ATTEMPTS
    assert gate.fate(offset).notice == 0
    assert len(tried) == TELLS
