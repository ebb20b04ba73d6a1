"""The processor that tells a trigger what its session made of a tick. On demand: only sessions of triggers have it."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from services.processors.contract import AppendTo, Contract, Decision, Moment, Processor
from services.schedule.names import marked, stream_of, trigger_of_session
from services.streams.event import Event, EventInput
from services.streams.schedule_events import TickSettled
from services.streams.vocabulary import InputReceived, InputWithdrawn, TurnSettled

# Ended ones that a reaction may still ask for: as many as may wait in a session can end at once.
ENDED = 1000
# What one commit takes is a little more.
MOST_TOLD = 100


class OutcomesState(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The ticks that the inputs at these offsets come from: those that wait, and the last that do not any more.

    They are all of one trigger, whose session it is.
    """

    open: dict[int, str] = {}
    ended: dict[int, str] = {}


class Outcomes(Processor[OutcomesState]):
    """Appends `tick.settled` to the trigger's stream, once for each tick."""

    contract = Contract(
        name="outcomes",
        version=1,
        consumes=frozenset({"input.received", "input.withdrawn", "turn.settled"}),
        reacts=frozenset({"input.withdrawn", "turn.settled"}),
    )
    state = OutcomesState

    @staticmethod
    def begins(event: Event) -> bool:
        """Whether a tick said something in the session with `event`."""
        return event.type == "input.received" and b'"tick"' in bytes(event.payload)

    def reduce(self, state: OutcomesState, event: Event) -> OutcomesState:
        """Remember whose input waits."""
        if event.type == "input.received":
            mark = event.decode(InputReceived).tick
            if not mark:
                return state
            _, tick = marked(mark)
            return OutcomesState(open={**state.open, event.offset: tick}, ended=state.ended)
        ended = {n: state.open[n] for n in _inputs(event) if n in state.open}
        if not ended:
            return state
        left = {n: tick for n, tick in state.open.items() if n not in ended}
        return OutcomesState(open=left, ended=dict([*state.ended.items(), *ended.items()][-ENDED:]))

    def react(self, state: OutcomesState, event: Event, moment: Moment) -> Sequence[Decision]:
        """Tell how it ended; where very many did at once, of several in one event."""
        settled = event.decode(TurnSettled) if event.type == "turn.settled" else None
        outcome, turn = (settled.outcome, settled.turn) if settled else ("withdrawn", 0)
        told = [state.ended[n] for n in _inputs(event) if n in state.ended]
        size = -(-len(told) // MOST_TOLD) or 1
        trigger = trigger_of_session(moment.stream)
        return [
            _told(
                trigger,
                TickSettled(tick=each, outcome=outcome, turn=turn, more=tuple(told[n + 1 : n + size])),
            )
            for n, each in enumerate(told)
            if n % size == 0
        ]


def _inputs(event: Event) -> Sequence[int]:
    if event.type == "turn.settled":
        return event.decode(TurnSettled).inputs
    return (event.decode(InputWithdrawn).input,)


def _told(trigger: str, settled: TickSettled) -> AppendTo:
    key = f"tick.settled:{trigger}:{settled.tick}"
    return AppendTo(stream_of(trigger), EventInput.of("tick.settled", settled, key=key))
