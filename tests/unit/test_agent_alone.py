"""Turns in a row that no person asked for: who counts as a person's turn, and when the row ends."""

from __future__ import annotations

import msgspec
import pytest

from services.processors.agent.processor import Agent
from services.processors.agent.rules import Rules
from services.processors.agent.state import AgentState, reduce
from services.processors.contract import Emit, Moment
from services.streams.event import Event, EventInput, StreamId
from services.streams.payload import Payload
from services.streams.vocabulary import InputReceived, TurnSettled, TurnStarted

RULES = Rules(max_turns_without_human=3)
QUEUED = 10


class Talk:
    """One session's events, reduced one by one."""

    def __init__(self) -> None:
        self.state = AgentState()
        self.offset = 0

    def note(self, type: str, payload: Payload) -> Event:
        self.offset += 1
        event = EventInput.of(type, payload).at(self.offset, 1000)
        self.state = reduce(self.state, event)
        return event

    def hear(self, source: str) -> int:
        return self.note("input.received", InputReceived(text="go on", source=source)).offset

    def turn(self, given: int) -> list[str]:
        """Start the turn that answers an input; what the agent decides. Then settle it."""
        number = self.state.turns + 1
        began = self.note("turn.started", TurnStarted(turn=number, inputs=(given,)))
        moment = Moment(stream=StreamId("app:talk"), now_ms=1000)
        decided = Agent(lambda name: RULES).react(self.state, began, moment)
        self.note("turn.settled", TurnSettled(turn=number, outcome="answered", inputs=(given,)))
        return [_said(one.event) for one in decided if isinstance(one, Emit)]


def _said(event: EventInput) -> str:
    if event.type != "turn.settled":
        return event.type
    return msgspec.json.decode(event.payload, type=TurnSettled).reason


@pytest.mark.parametrize("came_while_running", [0, 1])
def test_whatever_people_queued_is_answered_however_much_it_is(came_while_running: int) -> None:
    talk = Talk()
    if came_while_running:
        talk.turn(talk.hear("http"))
    queued = [talk.hear("http") for _ in range(QUEUED)]

    assert [talk.turn(offset) for offset in queued] == [["llm.requested"]] * QUEUED


def test_agents_that_talk_to_each_other_are_stopped() -> None:
    talk = Talk()
    talk.turn(talk.hear("http"))

    decided = [talk.turn(talk.hear("agent")) for _ in range(RULES.max_turns_without_human + 1)]

    assert decided == [["llm.requested"]] * RULES.max_turns_without_human + [["max_turns_without_human"]]


def test_a_person_who_speaks_starts_the_row_anew() -> None:
    talk = Talk()
    for _ in range(RULES.max_turns_without_human):
        talk.turn(talk.hear("agent"))
    talk.turn(talk.hear("http"))

    assert talk.turn(talk.hear("agent")) == ["llm.requested"]


def test_ticks_of_a_trigger_count_as_asked_by_whoever_set_it() -> None:
    talk = Talk()

    decided = [talk.turn(talk.hear("trigger")) for _ in range(RULES.max_turns_without_human + QUEUED)]

    assert decided == [["llm.requested"]] * len(decided)
