"""What a trigger is at, folded from its events: what it is due by, what is accounted for, what is open. Pure."""

from __future__ import annotations

from typing import Literal

import msgspec

from services.cron.times import BadTimes, Times
from services.schedule.names import is_one, tick_of
from services.streams.event import Event, Offset
from services.streams.schedule_events import (
    Definition,
    Misfire,
    Origin,
    Overlap,
    TickAdmitted,
    TickEnded,
    TickQueued,
    TickSettled,
    TicksPassed,
    TriggerCondensed,
    TriggerDefined,
    TriggerParked,
    TriggerRemoved,
)
from services.streams.vocabulary import AttemptEnded, JobStarted

# Open ticks of one trigger, so that it can be remembered. More wait until there is room where all are to be done, and
# are passed over, visibly, elsewhere.
MOST_OPEN = 200
# A limit of what is remembered of definitions that changed while nobody looked; whoever defines keeps to it.
MOST_SPANS = 32
# What is accounted for further ahead than this was so under a clock that was wrong.
FAR_MS = 8 * 86_400_000

# What waited, or was to be taken to its session, when its trigger was removed is `dropped` or `called_back`.
Stage = Literal["waiting", "queued", "running", "dispatched", "dropped", "called_back"]


class Span(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How long (`since` to `until`, epoch ms; 0: still) a trigger was due by the definition at offset `definition`.

    `passes` is why nothing is done that was due then; empty while it is.
    """

    since: int
    definition: int
    cron: str = ""
    at: int = 0
    tz: str = "UTC"
    is_one: bool = False
    misfire: Misfire = "latest"
    catch_up_ms: int = 0
    overlap: Overlap = "queue"
    passes: Literal["", "paused", "parked", "removed"] = ""
    until: int = 0

    def next(self, after: int) -> int | None:
        """The first due time later than `after`, within it. Raises: BadTimes."""
        if self.cron:
            due = Times(self.cron, self.tz).after(max(after, self.since))
        else:
            # A single time counts although it was past when it was said: how much too late, decides the window.
            due = self.at if self.at > after else None
        return None if due is None or (self.until and due > self.until) else due

    def last(self, after: int, upto: int) -> int | None:
        """The last due time later than `after`, up to `upto`, within it. Raises: BadTimes."""
        upto = min(upto, self.until) if self.until else upto
        if not self.cron:
            return self.at if after < self.at <= upto else None
        due = Times(self.cron, self.tz).last(upto)
        return due if due is not None and due > max(after, self.since) else None


class Open(msgspec.Struct, frozen=True, array_like=True):
    """A tick that has not come to its end. `attempts` counts the claims of its job.

    Where it goes follows from its name and `is_one`: 200 session ids would take a fourth of what a state may hold.
    """

    due: int
    definition: int
    is_one: bool
    expires_at: int
    stage: Stage
    attempts: int = 0


class TriggerState(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`definition` is in force, None before the first and once the trigger is removed; `origin` who gave it.

    `spans` are due times in their order, the last one still goes on unless the trigger is removed; all up to `after`
    is accounted for. `parked` says why the last can not be read. `kept_at` is when all this was last written down,
    `kept` the offsets and times of the events that did so and say all that was before them; times in epoch ms.
    """

    definition: Definition | None = None
    origin: Origin = "api"
    spans: tuple[Span, ...] = ()
    after: int = 0
    parked: str = ""
    open: dict[str, Open] = {}
    kept_at: int = 0
    kept: tuple[tuple[int, int], ...] = ()


def reduce(state: TriggerState, event: Event) -> TriggerState:
    """The state after `event`."""
    match event.type:
        case "trigger.defined":
            return _defined(state, event.decode(TriggerDefined), event)
        case "trigger.removed":
            return _removed(state, event.decode(TriggerRemoved), event)
        case "trigger.parked":
            return _parked(state, event.decode(TriggerParked))
        case "trigger.condensed":
            return _kept(state, event.decode(TriggerCondensed), event)
        case "tick.queued":
            return _due(state, event.decode(TickQueued))
        case "ticks.skipped" | "ticks.expired":
            return _accounted(state, event.decode(TicksPassed).last)
        case "tick.admitted":
            return _staged(state, event.decode(TickAdmitted).tick, "queued")
        case "tick.started":
            return _tried(state, event.decode(JobStarted))
        case "tick.attempt_failed":
            return _staged(state, tick_of(event.decode(AttemptEnded).job), "queued")
        case "tick.dispatched":
            return _staged(state, event.decode(TickEnded).tick, "dispatched")
        case "tick.burned" | "tick.skipped" | "tick.expired":
            return _ended(state, event.decode(TickEnded).tick)
        case "tick.settled":
            settled = event.decode(TickSettled)
            return _ended(state, settled.tick, *settled.more)
        case _:
            return state


def definition_in(event: Event) -> tuple[Offset, Definition] | None:
    """The definition that `event` tells, and the offset it was given at, by which ticks name it."""
    if event.type == "trigger.defined":
        return event.offset, event.decode(TriggerDefined).definition
    if event.type == "trigger.condensed":
        state = msgspec.json.decode(event.decode(TriggerCondensed).state, type=TriggerState)
        if state.definition is not None:
            return Offset(state.spans[-1].definition), state.definition
    return None


def is_far_ahead(state: TriggerState, now: int) -> bool:
    """Whether a wrong clock had it account for times that are far away; whoever defines it anew begins again."""
    return state.after > now + FAR_MS


def is_full(span: Span, count: int) -> bool:
    """Whether what is due by `span` waits for room, as so many ticks are open: all of it is to be done."""
    return count >= MOST_OPEN and span.misfire == "all" and span.overlap != "skip" and not span.until


def is_busy(state: TriggerState) -> bool:
    """Whether a tick is on its way, or its session has not answered it."""
    return any(one.stage != "waiting" for one in state.open.values())


def _defined(state: TriggerState, defined: TriggerDefined, event: Event) -> TriggerState:
    given = defined.definition
    span = Span(
        since=event.created_at,
        definition=event.offset,
        cron=given.cron,
        at=given.at,
        tz=given.tz,
        is_one=given.session == "one",
        misfire=given.misfire,
        catch_up_ms=given.catch_up_s * 1000,
        overlap=given.overlap,
        passes="paused" if given.paused else "",
    )
    return _with(
        state,
        definition=given,
        origin=defined.origin,
        spans=(*_closed(state, event.created_at), span),
        after=event.created_at if is_far_ahead(state, event.created_at) else state.after,
        parked="",
        # Not later for an edit: what is edited every day would never be written down, and grow.
        kept_at=min(state.kept_at or event.created_at, event.created_at),
    )


def _removed(state: TriggerState, removed: TriggerRemoved, event: Event) -> TriggerState:
    if state.definition is None or removed.definition not in (0, state.spans[-1].definition):
        return state
    last = msgspec.structs.replace(state.spans[-1], passes=state.spans[-1].passes or "removed")
    spans = _closed(_with(state, spans=(*state.spans[:-1], last)), event.created_at)
    # Now, as it may be defined again before anybody looks: that brings nothing back.
    left = {tick: msgspec.structs.replace(one, stage=_left(one.stage)) for tick, one in state.open.items()}
    return _with(state, definition=None, spans=spans, open=left, parked="", kept_at=event.created_at, kept=())


def _left(stage: Stage) -> Stage:
    match stage:
        case "waiting":
            return "dropped"
        case "queued":
            return "called_back"
        case _:
            return stage


def _parked(state: TriggerState, parked: TriggerParked) -> TriggerState:
    """What is over and can not be read is left behind; the others go on."""
    spans = tuple(one for one in state.spans if not (one.until and one.definition == parked.definition))
    is_last = any(one.definition == parked.definition for one in spans[-1:])
    return _with(state, spans=spans, parked=parked.reason if is_last else state.parked)


def _kept(state: TriggerState, kept: TriggerCondensed, event: Event) -> TriggerState:
    """What came in between is in `state` and not in the event: then older events are still needed."""
    told = msgspec.json.decode(kept.state, type=TriggerState)
    if state == TriggerState():
        state = told
    elif state != told:
        return _with(state, kept_at=event.created_at)
    marks = [mark for mark in state.kept if mark[0] >= kept.trims]
    return _with(state, kept_at=event.created_at, kept=(*marks, (event.offset, event.created_at)))


def _due(state: TriggerState, due: TickQueued) -> TriggerState:
    stage: Stage = "waiting" if due.waits else "queued"
    one = Open(due.due, due.definition, is_one(due.session), due.expires_at, stage)
    state = _with(state, open={**state.open, due.tick: one})
    return state if due.is_manual else _accounted(state, due.due)


def _accounted(state: TriggerState, upto: int) -> TriggerState:
    after = max(state.after, upto)
    return _with(state, after=after, spans=tuple(one for one in state.spans if _is_left(one, after)))


def _closed(state: TriggerState, now: int) -> tuple[Span, ...]:
    """The spans that went on, up to `now`; without those in which nothing is left to account for."""
    passes = "parked" if state.parked else ""
    spans = [
        one if one.until else msgspec.structs.replace(one, until=now, passes=one.passes or passes)
        for one in state.spans
    ]
    return tuple(one for one in spans if _is_left(one, state.after))


def _is_left(span: Span, after: int) -> bool:
    if not span.until:
        return True
    try:
        return span.next(after) is not None
    except BadTimes:
        # Not for whoever folds to decide: it is left behind by an event.
        return True


def _tried(state: TriggerState, started: JobStarted) -> TriggerState:
    tick = tick_of(started.job)
    if tick not in state.open:
        return state
    one = msgspec.structs.replace(state.open[tick], stage="running", attempts=started.attempt)
    return _with(state, open={**state.open, tick: one})


def _staged(state: TriggerState, tick: str, stage: Stage) -> TriggerState:
    if tick not in state.open:
        return state
    if stage == "dispatched" and (state.definition is None or state.definition.overlap == "allow"):
        # Nothing waits for it.
        return _ended(state, tick)
    one = msgspec.structs.replace(state.open[tick], stage=stage)
    return _with(state, open={**state.open, tick: one})


def _ended(state: TriggerState, *ticks: str) -> TriggerState:
    return _with(state, open={name: one for name, one in state.open.items() if name not in ticks})


def _with(state: TriggerState, **changes: object) -> TriggerState:
    return msgspec.structs.replace(state, **changes)
