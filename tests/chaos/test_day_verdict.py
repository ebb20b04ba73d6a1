"""The checker of the simulated day finds what it is there to find."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import count
from typing import Any

import msgspec
import pytest

from services.schedule.known import Known
from services.schedule.ledger import Ledger, Row
from services.sessions.trigger_values import TickView
from services.sessions.triggers import view
from tests.chaos.api import Detail, Event
from tests.chaos.day_case import Case, local
from tests.chaos.day_clock import Course
from tests.chaos.day_verdict import DayEvidence, Fire, judge_day
from tests.unit.schedule.life import HOUR, MINUTE, NINE, Life

T = "nightly"
SESSION = f"trigger:{T}"
# Ten and eleven are done in time; nobody looks again before half past two.
LOOKS = (NINE + HOUR, NINE + 2 * HOUR, NINE + 5 * HOUR + 30 * MINUTE)
# Between two looks a second passes, and the clock is set.
STEPS = [(NINE + n * 1000, at) for n, at in enumerate(LOOKS, 1)]
COURSE = Course(
    moves=((NINE, 0), *((real, at - real) for real, at in STEPS)),
    marks=tuple(real - 1 for real, _ in STEPS),
)


def lived(**given: object) -> DayEvidence:
    """What a day leaves on which one trigger was well served."""
    life = Life()
    life.define(prompt="At {due} for {trigger}", session="one", **given)
    for life.now in LOOKS:
        life.look()
        while life.jobs:
            tick = next(iter(life.jobs))
            life.dispatch(tick)
            life.settle(tick)
            life.look()
    said = list(_said(life))
    at = {
        str(one.payload["tick"]).partition("@")[2]: one.offset for one in said if one.type == "input.received"
    }
    rows = Ledger(life.events).newest_first(since=NINE, before=(life.now + 1, ""))
    case = Case(
        trigger=T,
        events=[Event(e.offset, e.type, msgspec.json.decode(e.payload), e.created_at) for e in life.events],
        rows=[_shown(row, at.get(row.tick, 0)) for row in rows],
        view=view(T, Known(state=life.state, head=len(life.events), now=life.now, unread=0)),
        course=COURSE,
        end=life.now,
    )
    return DayEvidence(
        cases={T: case},
        given={T: [case.times[0].body]},
        fires=[],
        sessions={SESSION: said},
        statuses={SESSION: Detail("idle")},
        owed={"jobs": 0},
    )


def _said(life: Life) -> Iterator[Event]:
    offsets = count(2)
    yield Event(1, "stream.created", {}, NINE)
    for one in life.due:
        input = next(offsets)
        text = f"At {local(one.due, 'UTC')} for {T}"
        yield Event(input, "input.received", {"text": text, "tick": f"{T}@{one.tick}"}, NINE)
        yield Event(next(offsets), "turn.settled", {"inputs": [input], "outcome": "answered"}, NINE)


def _shown(row: Row, offset: int) -> TickView:
    return TickView(
        **{**msgspec.structs.asdict(row), "offset": offset, "recorded_at": row.recorded_at or None}
    )


GOOD = lived(misfire="all")
Events = Sequence[Event]


def told(change: Callable[[list[Event]], Events], evidence: DayEvidence = GOOD) -> DayEvidence:
    """The evidence with other events in the trigger's stream."""
    case = evidence.cases[T]
    return replace(evidence, cases={T: _case(case, events=list(change(list(case.events))))})


def rows(change: Callable[[list[TickView]], list[TickView]]) -> DayEvidence:
    """The evidence with other rows in the ledger."""
    case = GOOD.cases[T]
    return replace(GOOD, cases={T: _case(case, rows=change(list(case.rows)))})


def said(change: Callable[[list[Event]], Events]) -> DayEvidence:
    """The evidence with other events in the session."""
    return replace(GOOD, sessions={SESSION: list(change(list(GOOD.sessions[SESSION])))})


def defined(evidence: DayEvidence = GOOD, **other: object) -> DayEvidence:
    """The evidence, were the definition another."""

    def change(events: list[Event]) -> Events:
        body = {**events[0].payload["definition"], **other}
        return [Event(1, "trigger.defined", {"definition": body}, NINE), *events[1:]]

    return told(change, evidence)


def without(type: str, tick: str = "") -> Callable[[list[Event]], Events]:
    """The events less those of a type, of one tick."""
    return lambda events: [
        e for e in events if e.type != type or not str(e.payload.get("tick")).endswith(tick)
    ]


def changed(type: str, **other: Any) -> Callable[[list[Event]], Events]:
    """The last event of a type with other fields."""

    def change(events: list[Event]) -> Events:
        n = max(n for n, event in enumerate(events) if event.type == type)
        events[n] = Event(events[n].offset, type, {**events[n].payload, **other}, events[n].created_at)
        return events

    return change


def again(type: str) -> Callable[[list[Event]], Events]:
    """The last event of a type comes a second time, at the end."""

    def change(events: list[Event]) -> Events:
        last = next(event for event in reversed(events) if event.type == type)
        return [*events, Event(len(events) + 1, type, last.payload, events[-1].created_at)]

    return change


def swapped(events: list[Event]) -> Events:
    """Two inputs in the other order."""
    events[1], events[3] = (
        Event(two.offset, two.type, one.payload, two.created_at)
        for one, two in ((events[3], events[1]), (events[1], events[3]))
    )
    return events


def _case(case: Case, **other: Any) -> Case:
    given = {name: getattr(case, name) for name in ("trigger", "events", "rows", "view", "course", "end")}
    return Case(**{**given, **other})


@pytest.mark.parametrize("misfire", ["skip", "latest", "all"])
@pytest.mark.parametrize("overlap", ["skip", "queue", "allow"])
def test_a_day_that_kept_every_promise_is_clean(misfire: str, overlap: str) -> None:
    assert judge_day(lived(misfire=misfire, overlap=overlap)).broken == {}


NOON = "20261120T120000Z"
FIRED = [Fire(trigger=T, key="k", ticks=("manual-3", "manual-4"))]
STUCK = _case(GOOD.cases[T], view=msgspec.structs.replace(GOOD.cases[T].view, open=1))
LOST = _case(GOOD.cases[T], view=msgspec.structs.replace(GOOD.cases[T].view, next=None))


@pytest.mark.parametrize(
    ("evidence", "what"),
    [
        (rows(lambda all: all[1:]), "has 0 rows"),
        (rows(lambda all: [*all, all[0]]), "has 2 rows"),
        (told(without("tick.queued", NOON)), "is accounted for 0 times"),
        (told(again("tick.queued")), "is accounted for 2 times"),
        (told(changed("tick.queued", due=NINE + 5 * HOUR + 60_000)), "was not due and is in the ledger"),
        (told(again("tick.dispatched")), "ended 2 times"),
        (told(without("tick.settled", NOON)), "was settled 0 times"),
        (told(changed("tick.settled", outcome="failed")), "came to failed"),
        (told(changed("tick.queued", waits=False)), "was over at"),
        (said(without("input.received", NOON)), "was dispatched and was said 0 times"),
        (said(again("input.received")), "was dispatched and was said 2 times"),
        (said(changed("input.received", text="At noon")), "said 'At noon'"),
        (said(changed("input.received", tick=f"{T}@manual-9")), "is no tick of the ledger"),
        (said(swapped), "the order in its session"),
        (said(without("turn.settled")), "was settled 0 times"),
        (defined(misfire="latest"), "was not the latest"),
        (defined(misfire="skip"), "it was missed by"),
        (defined(catch_up_s=3600), "outside the window"),
        (defined(paused=True), "the trigger was paused"),
        (defined(lived(misfire="latest"), misfire="all"), "the policy has no such reason"),
        (defined(lived(misfire="all", overlap="skip"), overlap="queue"), "nothing was open"),
        (defined(cron="30 * * * *"), "was not due and is in the ledger"),
        (replace(GOOD, given={T: []}), "0 definitions were accepted"),
        (replace(GOOD, fires=FIRED), "the key k came to"),
        (replace(GOOD, statuses={SESSION: Detail("waiting")}), "its status is"),
        (replace(GOOD, owed={"jobs": 2}), "jobs: 2"),
        (replace(GOOD, cases={T: STUCK}), "1 ticks are open"),
        (replace(GOOD, cases={T: LOST}), "next at None"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_broken_promise_is_named(evidence: DayEvidence, what: str) -> None:
    broken = [one for each in judge_day(evidence).broken.values() for one in each]

    assert any(what in one for one in broken), broken
