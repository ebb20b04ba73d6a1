"""What became of each due time of a trigger: its events, read back, as one row a tick.

Times in a row that were passed over for one reason are one event, and many rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from heapq import merge
from itertools import groupby, islice
from typing import Literal

import msgspec

from services.cron.times import BadTimes, Times
from services.schedule.names import manual_name, tick_name, tick_of
from services.schedule.state import TriggerState, definition_in, is_full
from services.streams.event import Event, Offset
from services.streams.schedule_events import (
    Definition,
    TickAdmitted,
    TickEnded,
    TickQueued,
    TickSettled,
    TicksPassed,
)
from services.streams.vocabulary import AttemptEnded, JobStarted

# Of one range, in what one page asks for.
MOST = 20_000
UNSEEN = "nobody_looked_yet"

# Due, and the tick's name: a person may want two within one millisecond.
Place = tuple[int, str]

RowState = Literal["due", "claimed", "dispatched", "released", "burned", "skipped", "expired"]
_ENDS: dict[str, RowState] = {
    "tick.dispatched": "dispatched",
    "tick.burned": "burned",
    "tick.skipped": "skipped",
    "tick.expired": "expired",
}


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One tick. Times in epoch ms, 0 for what has not happened; `reason` is a safe code."""

    tick: str
    due: int
    state: RowState
    reason: str = ""
    recorded_at: int = 0
    claimed_at: int = 0
    dispatched_at: int = 0
    retry_at: int = 0
    attempts: int = 0
    session: str = ""
    offset: Offset = 0
    outcome: str = ""


def place_of(row: Row) -> Place:
    """Where a row stands in the ledger."""
    return row.due, row.tick


class Passed(msgspec.Struct, frozen=True, kw_only=True):
    """Due times in a row, none of which was done. `recorded_at` is 0 where that only shows from the clock."""

    first: int
    last: int
    definition: Offset
    state: RowState
    reason: str
    recorded_at: int = 0


class Ledger:
    """Rows by what `events` of a trigger, oldest first, say. `definitions` are those known by their offsets."""

    def __init__(self, events: Iterable[Event]) -> None:
        self.rows: dict[str, Row] = {}
        self.passed: list[Passed] = []
        self.definitions: dict[Offset, Definition] = {}
        for event in events:
            self.learn(event)

    def learn(self, event: Event) -> None:
        """Take in one more event."""
        match event.type:
            case "trigger.defined" | "trigger.condensed":
                if told := definition_in(event):
                    self.definitions[told[0]] = told[1]
            case "trigger.fired":
                tick = manual_name(event.offset)
                self.rows[tick] = Row(tick=tick, due=event.created_at, state="due", reason=UNSEEN)
            case "tick.queued":
                self._due(event, event.decode(TickQueued))
            case "ticks.skipped" | "ticks.expired":
                self._passed(event, event.decode(TicksPassed))
            case "tick.admitted":
                self._change(event.decode(TickAdmitted).tick, reason="")
            case "tick.started" | "tick.attempt_failed":
                self._tried(event)
            case "tick.settled":
                settled = event.decode(TickSettled)
                for tick in (settled.tick, *settled.more):
                    self._change(tick, outcome=settled.outcome)
            case type if type in _ENDS:
                self._end(event, event.decode(TickEnded), _ENDS[type])

    def newest_first(self, *, since: int, before: Place) -> Iterator[Row]:
        """The rows due from `since` on that come before a place. Those of an unknown definition are left out."""
        rows = [one for one in self.rows.values() if since <= one.due and place_of(one) < before]
        rows.sort(key=place_of, reverse=True)
        ranges = [self._expanded(one, since, before) for one in reversed(self.passed)]
        every = merge(rows, *ranges, key=place_of, reverse=True)
        # What was accounted for under a clock that was wrong may be so again: the later account comes first here.
        return (next(same) for _, same in groupby(every, key=place_of))

    def _expanded(self, passed: Passed, since: int, before: Place) -> Iterator[Row]:
        for due in self._times_back(passed, max(passed.first, since), min(passed.last, before[0])):
            row = Row(
                tick=tick_name(due),
                due=due,
                state=passed.state,
                reason=passed.reason,
                recorded_at=passed.recorded_at,
            )
            if place_of(row) < before:
                yield row

    def _times_back(self, passed: Passed, first: int, last: int) -> Sequence[int]:
        """Its due times from `first` to `last`, the newest first."""
        definition = self.definitions.get(passed.definition)
        if first > last:
            return ()
        if passed.first == passed.last:
            # Most are one time by itself, and there may be thousands.
            return (first,)
        if definition is None:
            return ()
        try:
            times = Times(definition.cron, definition.tz).between(first - 1, last)
            return list(islice(times, MOST))[::-1]
        except BadTimes:
            return ()

    def _due(self, event: Event, due: TickQueued) -> None:
        self.rows[due.tick] = Row(
            tick=due.tick,
            due=due.due,
            state="due",
            reason="waits_for_the_one_before" if due.waits else "",
            recorded_at=event.created_at,
            session=due.session,
        )

    def _passed(self, event: Event, passed: TicksPassed) -> None:
        one = Passed(
            first=passed.first,
            last=passed.last,
            definition=passed.definition,
            state="skipped" if event.type == "ticks.skipped" else "expired",
            reason=passed.reason,
            recorded_at=event.created_at,
        )
        self.passed.append(one)

    def _tried(self, event: Event) -> None:
        if event.type == "tick.started":
            started = event.decode(JobStarted)
            at, tries = event.created_at, started.attempt
            self._change(tick_of(started.job), state="claimed", claimed_at=at, attempts=tries, retry_at=0)
        else:
            ended = event.decode(AttemptEnded)
            self._change(tick_of(ended.job), state="released", reason=ended.error, retry_at=ended.retry_at)

    def _end(self, event: Event, ended: TickEnded, state: RowState) -> None:
        at = event.created_at if state == "dispatched" else 0
        self._change(
            ended.tick, state=state, reason=ended.reason, dispatched_at=at, offset=ended.offset, retry_at=0
        )

    def _change(self, tick: str, **changes: object) -> None:
        row = self.rows.get(tick)
        if row is not None:
            self.rows[tick] = msgspec.structs.replace(row, **changes)


def unseen(state: TriggerState, now: int) -> Iterator[Passed]:
    """What was due up to `now` and nobody has accounted for: while nobody looked, or it is paused or parked."""
    for span in state.spans:
        try:
            first, last = span.next(state.after), span.last(state.after, now)
        except BadTimes:
            continue
        if first is not None and last is not None and first <= now:
            passes = span.passes or ("parked" if state.parked and not span.until else "")
            yield Passed(
                first=first,
                last=last,
                definition=span.definition,
                state="skipped" if passes else "due",
                reason=passes or ("too_many" if is_full(span, len(state.open)) else UNSEEN),
            )
