"""What the session of a trigger tells of its ticks, however many there are."""

from __future__ import annotations

import msgspec

from services.processors.contract import STATE_LIMIT, AppendTo, Moment
from services.processors.plan import Plan, Reading
from services.processors.planning import plan
from services.processors.rows import rows_of
from services.schedule.names import mark_of, stream_of, tick_name
from services.schedule.outcomes import Outcomes, OutcomesState
from services.streams.event import Event, EventInput, StreamId
from services.streams.payload import Payload
from services.streams.schedule_events import TickSettled
from services.streams.vocabulary import InputReceived, InputWithdrawn, TurnSettled
from tests.unit.schedule.life import MINUTE, NINE

TRIGGER = "n" * 64
SESSION = StreamId(f"trigger:{TRIGGER}")
# Far into a long session.
FIRST = 1_000_000


def said(count: int, *, first: int = FIRST) -> list[Event]:
    """What that many ticks said, at offsets from `first` on."""
    return [
        event("input.received", InputReceived(text="go", tick=mark_of(TRIGGER, tick(n))), first + n)
        for n in range(count)
    ]


def tick(n: int) -> str:
    return tick_name(NINE + n * MINUTE)


def event(type: str, payload: Payload, offset: int) -> Event:
    return EventInput.of(type, payload).at(offset, NINE)


def folded(*parts: list[Event]) -> OutcomesState:
    state = OutcomesState()
    for part in parts:
        for each in part:
            state = Outcomes().reduce(state, each)
    return state


def committed(before: OutcomesState, last: Event) -> Plan:
    """What follows from the last event after those before it."""
    fields = {"p:outcomes": b'{"version":1}', "s:outcomes": msgspec.json.encode(before)}
    reading = Reading(
        stream=SESSION,
        at=last.offset - 1,
        own=(0, 0),
        rows=rows_of(fields),
        states={"outcomes": fields["s:outcomes"]},
        events=[last],
        lagging={},
        now_ms=NINE,
    )
    return plan(reading, [Outcomes()])


def test_each_tick_of_a_turn_is_told_by_itself() -> None:
    settled = event(
        "turn.settled", TurnSettled(turn=3, outcome="answered", inputs=(FIRST, FIRST + 1)), FIRST + 9
    )
    state = folded(said(2), [settled])

    decided = Outcomes().react(state, settled, Moment(stream=SESSION, now_ms=NINE))

    told = [each for each in decided if isinstance(each, AppendTo)]
    assert [each.stream for each in told] == [stream_of(TRIGGER)] * 2
    assert [msgspec.json.decode(each.event.payload, type=TickSettled) for each in told] == [
        TickSettled(tick=tick(n), outcome="answered", turn=3) for n in range(2)
    ]


def test_all_of_a_thousand_ticks_that_end_at_once_are_told() -> None:
    inputs = tuple(range(FIRST, FIRST + 1000))
    settled = event("turn.settled", TurnSettled(turn=3, outcome="cancelled", inputs=inputs), FIRST + 1000)

    made = committed(folded(said(1000)), settled)

    assert made.parked == []
    told = [msgspec.json.decode(each.event.payload, type=TickSettled) for each in made.appends]
    assert [name for each in told for name in (each.tick, *each.more)] == [tick(n) for n in range(1000)]
    assert len({each.event.key for each in made.appends}) == len(told) <= 100


def test_a_thousand_that_wait_behind_a_thousand_that_ended_fit_into_the_state() -> None:
    inputs = tuple(range(FIRST, FIRST + 1000))
    settled = event("turn.settled", TurnSettled(turn=3, outcome="answered", inputs=inputs), FIRST + 1000)

    state = folded(said(1000), [settled], said(1000, first=FIRST + 2000))

    assert len(state.open) == len(state.ended) == 1000
    assert len(msgspec.json.encode(state)) < STATE_LIMIT


def test_what_was_withdrawn_is_told_as_such() -> None:
    withdrawn = event("input.withdrawn", InputWithdrawn(input=FIRST), FIRST + 1)

    (told,) = committed(folded(said(1)), withdrawn).appends

    assert msgspec.json.decode(told.event.payload, type=TickSettled) == TickSettled(
        tick=tick(0), outcome="withdrawn"
    )
