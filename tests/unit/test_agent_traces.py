"""Traces in the agent's state: a turn belongs to that of its first input, and the state stays within its bound."""

from __future__ import annotations

import msgspec

from services.processors.agent.processor import Agent
from services.processors.agent.rules import Rules
from services.processors.agent.state import MOST_TRACES, AgentState, offsets, reduce
from services.processors.contract import STATE_LIMIT, Emit, Moment
from services.streams.event import Event, EventInput, StreamId
from services.streams.payload import Policy
from services.streams.vocabulary import CancelRequested, InputReceived, TurnSettled, TurnStarted
from services.telemetry.context import BAGGAGE_LIMIT, Trace

AGENT = Agent(lambda name: Rules(debounce_ms=500))
POLICIES: tuple[Policy, ...] = ("follow_up", "collect")


def trace(n: int) -> Trace:
    """The trace of the n-th input, with as much baggage as may travel."""
    return Trace(f"{n:032x}", f"{n:016x}", 1, "k=" + "v" * (BAGGAGE_LIMIT - 2))


def said(n: int, policy: Policy = "follow_up") -> Event:
    """The n-th input."""
    made = EventInput.of("input.received", InputReceived(text="x", policy=policy))
    return made.under(trace(n)).at(n, 1_000 + n)


def folded(*events: Event) -> AgentState:
    """The state after `events`."""
    state = AgentState()
    for event in events:
        state = reduce(state, event)
    return state


def test_as_many_waiting_inputs_as_there_may_be_fit_into_the_state() -> None:
    # No two in a row are of one policy: each is a run of its own.
    state = folded(*(said(n, POLICIES[n % 2]) for n in range(1, 1001)))

    assert len(offsets(state.pending)) == 1000
    assert len([run for run in state.pending if run.trace]) == MOST_TRACES
    assert len(msgspec.json.encode(state)) < STATE_LIMIT


def test_inputs_of_many_traces_in_a_row_are_joined_in_the_end() -> None:
    state = folded(*(said(n) for n in range(1, 101)))

    assert len(state.pending) == MOST_TRACES
    assert offsets(state.pending) == tuple(range(1, 101))


def test_a_debounced_turn_belongs_to_the_trace_of_its_first_input() -> None:
    state = folded(said(1), said(2))

    decided = AGENT.on_time(state, Moment(stream=StreamId("app:a"), now_ms=2_000))

    [begun] = [one.event for one in decided if isinstance(one, Emit)]
    assert (begun.trace, begun.baggage) == (trace(1).parent, trace(1).baggage)
    assert msgspec.json.decode(begun.payload, type=TurnStarted).debounced_ms == 999


def test_a_turn_ends_in_the_trace_it_began_in_whatever_ends_it() -> None:
    state = folded(said(1))
    moment = Moment(stream=StreamId("app:a"), now_ms=2_000)
    [begun] = [one.event for one in AGENT.on_time(state, moment) if isinstance(one, Emit)]
    state = reduce(state, begun.at(2, 2_000))
    stop = EventInput.of("turn.cancel_requested", CancelRequested()).under(trace(7)).at(3, 2_100)

    decided = AGENT.react(state, stop, moment)

    [settled] = [one.event for one in decided if isinstance(one, Emit) and one.event.type == "turn.settled"]
    told = msgspec.json.decode(settled.payload, type=TurnSettled)
    assert (settled.trace, told.trace_id) == (trace(1).parent, trace(1).trace_id)
    assert (told.agent, told.started_at) == ("default", 2_000)
