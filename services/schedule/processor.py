"""The processor of triggers: what is due becomes a tick and its job; what is passed over is written down with why.

Nothing here looks at a clock: a trigger is an event stream that wakes itself (`wakes_at`) when it is due next.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from services.cron.times import BadTimes
from services.outbox.entries import digest_of
from services.processors.contract import Contract, Decision, Emit, Moment, Processor, SettleJob, StartJob
from services.schedule.names import job_of, manual_name, session_of, tick_name, trigger_of
from services.schedule.state import MOST_OPEN, Open, Span, TriggerState, is_busy, is_full, reduce
from services.streams.event import Event, EventInput
from services.streams.payload import Payload
from services.streams.schedule_events import (
    PassedBecause,
    TickAdmitted,
    TickEnded,
    TickQueued,
    TicksPassed,
    TriggerCondensed,
    TriggerParked,
    TriggerRemoved,
)

# Of one commit; the next goes on. A tick is two events of it where its job begins with it.
BATCH = 50
# What comes later than this counts as missed where missed ticks are skipped.
GRACE_MS = 60_000
LEAST_MS = 60_000
KEEP_EVERY_MS = 86_400_000
KEPT_MS = 7 * 86_400_000


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
            return (_emit("tick.skipped", TickEnded(tick=tick, reason="removed")),)
        step = _Step(state, moment)
        why = step.refusal(state.spans[-1])
        if why:
            return (_emit("tick.skipped", TickEnded(tick=tick, reason=why)),)
        step.begin(state.spans[-1], tick, event.created_at, is_manual=True)
        return step.decided

    def wakes_at(self, state: TriggerState) -> int | None:
        """At once for what can go on; else when the next tick is due, or one that waits is too late."""
        if _admitted(state, _waiting(state)) or _stopped(state):
            return 0
        times = [one.expires_at for one in state.open.values() if one.stage == "waiting"]
        times += [at for at in (_goes_at(state),) if at is not None]
        for span in state.spans:
            try:
                rests = _sleeps(state, span) or is_full(span, len(state.open))
                due = None if rests else span.next(state.after)
            except BadTimes:
                due = 0
            if due is not None:
                times.append(due)
                break
        return min(times, default=None)

    def on_time(self, state: TriggerState, moment: Moment) -> Sequence[Decision]:
        """Let ticks go that waited, end those that did so for too long, account for what is due."""
        kept = _let_go(state, moment.now_ms) or _keep(state, moment.now_ms)
        if kept is not None:
            return (kept,)
        step = _Step(state, moment)
        step.stop()
        step.expire()
        step.admit()
        step.account()
        return step.decided


class _Step:
    """What follows from `state` at one moment, gathered in `decided`."""

    def __init__(self, state: TriggerState, moment: Moment) -> None:
        self._state, self._stream, self._now = state, moment.stream, moment.now_ms
        self._after, self._is_busy, self._open = state.after, is_busy(state), len(state.open)
        self._waiting = _waiting(state)
        self._left = BATCH
        self._passed: tuple[str, TicksPassed] | None = None
        self.decided: list[Decision] = []

    def stop(self) -> None:
        """Nothing of a trigger that was removed goes on, but what is on its way right now."""
        for tick in _stopped(self._state)[: self._left]:
            one = self._state.open[tick]
            session = self._session(tick, one)
            if one.stage in ("queued", "called_back"):
                job, destination = job_of(self._stream, tick), _destination(session)
                self.decided.append(
                    SettleJob(kind="deliver", id=job, token=one.attempts, destination=destination)
                )
            self._end("tick.skipped", TickEnded(tick=tick, session=session, reason="removed"))

    def expire(self) -> None:
        """What waited for the one before it for too long is not done any more."""
        for tick in list(self._waiting):
            one = self._state.open[tick]
            if one.expires_at <= self._now and self._left > 0:
                self._waiting.remove(tick)
                ended = TickEnded(tick=tick, session=self._session(tick, one), reason="overlap")
                self._end("tick.expired", ended)

    def admit(self) -> None:
        """Let go what may, in the order of when it was due."""
        for tick in _admitted(self._state, self._waiting):
            one = self._state.open[tick]
            if one.expires_at <= self._now or self._left <= 0:
                break
            self._left -= 1
            self._waiting.remove(tick)
            self.decided.append(_emit("tick.admitted", TickAdmitted(tick=tick)))
            self.decided.append(self._job(tick, self._session(tick, one), one.expires_at))
            self._is_busy = True

    def account(self) -> None:
        """Say of every time that was due up to now what becomes of it."""
        for span in self._state.spans:
            if _sleeps(self._state, span):
                continue
            try:
                self._account(span)
            except BadTimes as error:
                self._flush()
                parked = TriggerParked(reason=f"{error.field} {error.reason}", definition=span.definition)
                self.decided.append(_emit("trigger.parked", parked))
                break
            if self._left <= 0:
                break
        self._flush()

    def refusal(self, span: Span) -> PassedBecause | None:
        """Why no tick begins now, if none does."""
        if span.overlap == "skip" and (self._is_busy or self._waiting):
            return "overlap"
        return "too_many" if self._open >= MOST_OPEN else None

    def begin(self, span: Span, tick: str, due: int, *, is_manual: bool = False) -> None:
        """A tick, and its job unless it has to wait."""
        # Also behind what may go by now and did not yet: nothing overtakes it.
        waits = span.overlap == "queue" and bool(self._is_busy or self._waiting)
        session = session_of(trigger_of(self._stream), tick, is_one=span.is_one)
        made = TickQueued(
            tick=tick,
            due=due,
            expires_at=max(due + span.catch_up_ms, self._now + LEAST_MS),
            definition=span.definition,
            session=session,
            job=job_of(self._stream, tick),
            waits=waits,
            is_manual=is_manual,
        )
        self.decided.append(_emit("tick.queued", made))
        if not waits:
            self.decided.append(self._job(tick, session, made.expires_at))
        if waits:
            self._waiting.append(tick)
        else:
            self._is_busy = True
        self._open, self._left = self._open + 1, self._left - 1

    def _account(self, span: Span) -> None:
        upto = min(self._now, span.until or self._now)
        first = span.next(self._after)
        if first is None or first > upto:
            return
        if span.passes:
            self._pass("ticks.skipped", span, first, span.last(self._after, upto), span.passes)
            return
        too_late = self._now - span.catch_up_ms
        match span.misfire:
            case "all":
                if first <= too_late:
                    self._pass(
                        "ticks.expired", span, first, span.last(self._after, min(too_late, upto)), "late"
                    )
            case "latest":
                last = span.last(self._after, upto)
                if last is not None and last <= too_late:
                    self._pass("ticks.expired", span, first, last, "late")
                elif last is not None and first < last:
                    self._pass("ticks.skipped", span, first, span.last(self._after, last - 1), "misfire")
            case "skip":
                missed = self._now - GRACE_MS - 1
                if first <= missed:
                    self._pass(
                        "ticks.skipped", span, first, span.last(self._after, min(missed, upto)), "misfire"
                    )
        while self._left > 0 and not is_full(span, self._open):
            due = span.next(self._after)
            if due is None or due > upto:
                return
            self._tick(span, due)

    def _tick(self, span: Span, due: int) -> None:
        why = self.refusal(span)
        if why is not None:
            self._pass("ticks.skipped", span, due, due, why)
            return
        self._flush()
        self.begin(span, tick_name(due), due)
        self._after = due

    def _pass(self, type: str, span: Span, first: int, last: int | None, reason: PassedBecause) -> None:
        """Times in a row that are passed over for one reason are one event."""
        last = first if last is None else last
        self._after = last
        passed = TicksPassed(first=first, last=last, definition=span.definition, reason=reason)
        if self._passed is not None:
            known, before = self._passed
            if (known, before.definition, before.reason) == (type, passed.definition, reason):
                self._passed = (type, msgspec.structs.replace(before, last=last))
                return
        self._flush()
        self._passed = (type, passed)
        self._left -= 1

    def _flush(self) -> None:
        if self._passed is not None:
            self.decided.append(_emit(*self._passed))
        self._passed = None

    def _session(self, tick: str, one: Open) -> str:
        return session_of(trigger_of(self._stream), tick, is_one=one.is_one)

    def _end(self, type: str, ended: TickEnded) -> None:
        self.decided.append(_emit(type, ended))
        self._left -= 1

    def _job(self, tick: str, session: str, expires_at: int) -> StartJob:
        return StartJob(
            kind="deliver",
            id=job_of(self._stream, tick),
            # What goes into one session keeps its order; a tick that is tried again holds the later ones.
            destination=_destination(session),
            expires_ms=max(LEAST_MS, expires_at - self._now),
        )


def _waiting(state: TriggerState) -> list[str]:
    """The ticks that wait, the oldest first."""
    return [
        tick
        for _, tick in sorted((one.due, tick) for tick, one in state.open.items() if one.stage == "waiting")
    ]


def _admitted(state: TriggerState, waiting: list[str]) -> list[str]:
    """Which of those that wait have nothing to wait for any more."""
    if state.definition is None:
        return []
    if state.definition.overlap == "allow":
        return list(waiting)
    return [] if is_busy(state) else waiting[:1]


def _stopped(state: TriggerState) -> list[str]:
    """The ticks that a removed trigger leaves undone."""
    stages = ["dropped", "called_back", *(["waiting", "queued"] if state.definition is None else [])]
    return [tick for tick, one in state.open.items() if one.stage in stages]


def _sleeps(state: TriggerState, span: Span) -> bool:
    """Whether nothing follows from a span's due times now: it is paused still, or can not be read."""
    return not span.until and bool(span.passes or state.parked)


def _goes_at(state: TriggerState) -> int | None:
    """When something is let go of without being asked: a single time a week after it was done; a week after a trigger
    was removed it is written down, and another week later what was before that goes."""
    if state.definition is None:
        is_left = not state.spans and len(state.kept) < 2
        return state.kept_at + KEPT_MS if is_left and state.kept_at else None
    is_done = 0 < state.definition.at <= state.after and not state.open and len(state.spans) == 1
    if not is_done or state.origin == "config" or state.definition.paused:
        return None
    return max(state.after, state.spans[-1].since) + KEPT_MS


def _let_go(state: TriggerState, now: int) -> Emit | None:
    at = _goes_at(state)
    if at is None or at > now:
        return None
    if state.definition is None:
        return _condensed(state, now)
    return _emit("trigger.removed", TriggerRemoved(by="schedule", definition=state.spans[-1].definition))


def _keep(state: TriggerState, now: int) -> Emit | None:
    """Once a day all that is known is written down anew, so that what is older than a week can go."""
    is_plain = len(state.spans) == 1 and not state.spans[0].until
    return _condensed(state, now) if is_plain and now >= state.kept_at + KEEP_EVERY_MS else None


def _condensed(state: TriggerState, now: int) -> Emit:
    trims = max((offset for offset, at in state.kept if at <= now - KEPT_MS), default=0)
    return _emit(
        "trigger.condensed", TriggerCondensed(state=msgspec.Raw(msgspec.json.encode(state)), trims=trims)
    )


def _destination(session: str) -> str:
    return digest_of("session", session)


def _emit(type: str, payload: Payload) -> Emit:
    return Emit(EventInput.of(type, payload))
