"""One look at a trigger: which ticks stop, go on, begin; what is passed over, and why. Pure."""

from __future__ import annotations

import msgspec

from services.cron.times import BadTimes
from services.outbox.entries import digest_of
from services.processors.contract import Decision, Emit, Moment, SettleJob, StartJob
from services.schedule.names import job_of, session_of, tick_name, trigger_of
from services.schedule.state import MOST_OPEN, Open, Span, TriggerState, is_busy, is_full
from services.streams.event import EventInput
from services.streams.payload import Payload
from services.streams.schedule_events import (
    PassedBecause,
    TickAdmitted,
    TickEnded,
    TickQueued,
    TicksPassed,
    TriggerParked,
)

# Of one commit; the next goes on. A tick is two events of it where its job begins with it.
BATCH = 50
# What comes later than this counts as missed where missed ticks are skipped.
GRACE_MS = 60_000
LEAST_MS = 60_000


class Step:
    """What follows from `state` at one moment, gathered in `decided`."""

    def __init__(self, state: TriggerState, moment: Moment) -> None:
        self._state, self._stream, self._now = state, moment.stream, moment.now_ms
        self._after, self._is_busy, self._open = state.after, is_busy(state), len(state.open)
        self._waiting = waiting(state)
        self._left = BATCH
        self._passed: tuple[str, TicksPassed] | None = None
        self.decided: list[Decision] = []

    def stop(self) -> None:
        """Nothing of a trigger that was removed goes on, but what is on its way right now."""
        for tick in stopped(self._state)[: self._left]:
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
        for tick in admitted(self._state, self._waiting):
            one = self._state.open[tick]
            if one.expires_at <= self._now or self._left <= 0:
                break
            self._left -= 1
            self._waiting.remove(tick)
            self.decided.append(emit("tick.admitted", TickAdmitted(tick=tick)))
            self.decided.append(self._job(tick, self._session(tick, one), one.expires_at))
            self._is_busy = True

    def account(self) -> None:
        """Say of every time that was due up to now what becomes of it."""
        for span in self._state.spans:
            if sleeps(self._state, span):
                continue
            try:
                self._account(span)
            except BadTimes as error:
                self._flush()
                parked = TriggerParked(reason=f"{error.field} {error.reason}", definition=span.definition)
                self.decided.append(emit("trigger.parked", parked))
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
        self.decided.append(emit("tick.queued", made))
        if waits:
            self._waiting.append(tick)
        else:
            self.decided.append(self._job(tick, session, made.expires_at))
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
            self.decided.append(emit(*self._passed))
        self._passed = None

    def _session(self, tick: str, one: Open) -> str:
        return session_of(trigger_of(self._stream), tick, is_one=one.is_one)

    def _end(self, type: str, ended: TickEnded) -> None:
        self.decided.append(emit(type, ended))
        self._left -= 1

    def _job(self, tick: str, session: str, expires_at: int) -> StartJob:
        return StartJob(
            kind="deliver",
            id=job_of(self._stream, tick),
            # What goes into one session keeps its order; a tick that is tried again holds the later ones.
            destination=_destination(session),
            expires_ms=max(LEAST_MS, expires_at - self._now),
        )


def waiting(state: TriggerState) -> list[str]:
    """The ticks that wait, the oldest first."""
    return [
        tick
        for _, tick in sorted((one.due, tick) for tick, one in state.open.items() if one.stage == "waiting")
    ]


def admitted(state: TriggerState, waiting: list[str]) -> list[str]:
    """Which of those that wait have nothing to wait for any more."""
    if state.definition is None:
        return []
    if state.definition.overlap == "allow":
        return list(waiting)
    return [] if is_busy(state) else waiting[:1]


def stopped(state: TriggerState) -> list[str]:
    """The ticks that a removed trigger leaves undone."""
    stages = ["dropped", "called_back", *(["waiting", "queued"] if state.definition is None else [])]
    return [tick for tick, one in state.open.items() if one.stage in stages]


def sleeps(state: TriggerState, span: Span) -> bool:
    """Whether nothing follows from a span's due times now: it is paused still, or can not be read."""
    return not span.until and bool(span.passes or state.parked)


def emit(type: str, payload: Payload) -> Emit:
    """The decision to append an event to the trigger's stream."""
    return Emit(EventInput.of(type, payload))


def _destination(session: str) -> str:
    return digest_of("session", session)
