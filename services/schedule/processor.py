"""The processor of triggers: what is due becomes a tick and its job; what is passed over is written down with why.

Nothing here looks at a clock: a trigger is an event stream that wakes itself (`wakes_at`) when it is due next.
"""

from __future__ import annotations

from collections.abc import Sequence

from services.cron.times import BadTimes
from services.processors.contract import Contract, Decision, Moment, Processor
from services.schedule.keeping import goes_at, keep, let_go
from services.schedule.names import manual_name
from services.schedule.state import TriggerState, is_full, reduce
from services.schedule.step import Step, admitted, emit, sleeps, stopped, waiting
from services.streams.event import Event
from services.streams.schedule_events import TickEnded


class Schedule(Processor[TriggerState]):
    """Accounts for every due time of a trigger, once."""

    contract = Contract(
        name="schedule",
        version=1,
        consumes=frozenset(
            {
                "trigger.defined",
                "trigger.removed",
                "trigger.fired",
                "trigger.parked",
                "trigger.condensed",
                "tick.queued",
                "tick.admitted",
                "tick.started",
                "tick.attempt_failed",
                "tick.dispatched",
                "tick.burned",
                "tick.skipped",
                "tick.expired",
                "tick.settled",
                "ticks.skipped",
                "ticks.expired",
            }
        ),
        reacts=frozenset({"trigger.fired"}),
        emits=frozenset(
            {
                "trigger.parked",
                "trigger.condensed",
                "trigger.removed",
                "tick.queued",
                "tick.admitted",
                "tick.skipped",
                "tick.expired",
                "ticks.skipped",
                "ticks.expired",
            }
        ),
    )
    state = TriggerState

    def reduce(self, state: TriggerState, event: Event) -> TriggerState:
        """See `state.reduce`."""
        return reduce(state, event)

    def react(self, state: TriggerState, event: Event, moment: Moment) -> Sequence[Decision]:
        """Do now what a person asked for, as far as the overlap policy lets it."""
        tick = manual_name(event.offset)
        if not state.spans or state.definition is None:
            return (emit("tick.skipped", TickEnded(tick=tick, reason="removed")),)
        step = Step(state, moment)
        why = step.refusal(state.spans[-1])
        if why:
            return (emit("tick.skipped", TickEnded(tick=tick, reason=why)),)
        step.begin(state.spans[-1], tick, event.created_at, is_manual=True)
        return step.decided

    def wakes_at(self, state: TriggerState) -> int | None:
        """At once for what can go on; else when the next tick is due, or one that waits is too late."""
        if admitted(state, waiting(state)) or stopped(state):
            return 0
        times = [one.expires_at for one in state.open.values() if one.stage == "waiting"]
        times += [at for at in (goes_at(state),) if at is not None]
        for span in state.spans:
            try:
                rests = sleeps(state, span) or is_full(span, len(state.open))
                due = None if rests else span.next(state.after)
            except BadTimes:
                due = 0
            if due is not None:
                times.append(due)
                break
        return min(times, default=None)

    def on_time(self, state: TriggerState, moment: Moment) -> Sequence[Decision]:
        """Let ticks go that waited, end those that did so for too long, account for what is due."""
        kept = let_go(state, moment.now_ms) or keep(state, moment.now_ms)
        if kept is not None:
            return (kept,)
        step = Step(state, moment)
        step.stop()
        step.expire()
        step.admit()
        step.account()
        return step.decided
