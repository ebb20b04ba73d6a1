"""What a cancel means: the turn that was seen, and no other."""

from __future__ import annotations

from services.processors.agent.rules import Rules
from services.streams.event import EventInput
from services.streams.vocabulary import CancelRequested, TurnSettled, TurnStarted
from tests.fakes.pure_session import PureSession


def settled(session: PureSession) -> list[TurnSettled]:
    return [each.decode(TurnSettled) for each in session.events if each.type == "turn.settled"]


def cancel(session: PureSession, *, turn: int) -> None:
    session.append(EventInput.of("turn.cancel_requested", CancelRequested(turn=turn)))


def test_a_cancel_that_comes_after_its_turn_ended_leaves_the_next_one_alone() -> None:
    session = PureSession(Rules())
    session.say("follow_up")
    session.advance(claims=True)
    session.say("follow_up")
    session.advance(claims=True)

    session.finish("s@1")
    cancel(session, turn=1)
    session.advance(claims=True)
    session.advance(claims=True)
    session.finish("s@2")
    session.advance(claims=True)

    assert [(each.turn, each.outcome) for each in settled(session)] == [(1, "answered"), (2, "answered")]


def test_a_cancel_of_a_turn_that_had_not_begun_when_it_was_asked_for_stops_it() -> None:
    session = PureSession(Rules())
    session.say("follow_up")
    cancel(session, turn=1)
    session.advance()

    assert [(each.turn, each.outcome) for each in settled(session)] == [(1, "cancelled")]


def test_who_cancels_while_a_steered_run_is_being_stopped_ends_the_turn() -> None:
    session = PureSession(Rules())
    first = session.say("follow_up")
    session.advance(claims=True)
    second = session.say("steer")
    session.advance(claims=True)

    cancel(session, turn=1)
    session.advance(claims=True)
    session.finish("s@1")
    session.advance(claims=True)

    ended = settled(session)
    assert [(each.turn, each.outcome, each.inputs) for each in ended] == [(1, "cancelled", (first,))]
    began = [each.decode(TurnStarted) for each in session.events if each.type == "turn.started"]
    assert [each.inputs for each in began] == [(first,), (second,)]
