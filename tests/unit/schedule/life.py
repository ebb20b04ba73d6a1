"""A trigger's life without a store: its events, a clock that goes on when asked, workers that look when asked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime

from services.cron.times import Times
from services.processors.contract import Decision, Emit, Moment, SettleJob, StartJob
from services.schedule.names import stream_of
from services.schedule.processor import Schedule
from services.schedule.state import TriggerState, reduce
from services.streams.event import Event, EventInput
from services.streams.payload import Payload
from services.streams.schedule_events import (
    Definition,
    TickEnded,
    TickQueued,
    TickSettled,
    TicksPassed,
    TriggerDefined,
    TriggerFired,
    TriggerRemoved,
)
from services.streams.vocabulary import AttemptEnded, JobStarted

STREAM = stream_of("nightly")
MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
NINE = int(datetime(2026, 11, 20, 9, tzinfo=UTC).timestamp() * 1000)
ROUNDS = 500


class Life:
    """Starts at nine o'clock on 2026-11-20."""

    def __init__(self) -> None:
        self.now = NINE
        self.state = TriggerState()
        self.events: list[Event] = []
        self.jobs: dict[str, StartJob] = {}
        self.schedule = Schedule()

    def define(self, **given: object) -> None:
        fields = {"prompt": "go", "cron": "0 * * * *", **given}
        self.append("trigger.defined", TriggerDefined(definition=Definition(**fields)))  # type: ignore[arg-type]  # as given

    def remove(self) -> None:
        self.append("trigger.removed", TriggerRemoved())

    def fire(self) -> None:
        self.append("trigger.fired", TriggerFired())

    def append(self, type: str, payload: Payload) -> None:
        """An event from outside."""
        event = self._commit(EventInput.of(type, payload))
        if self.schedule.contract.answers(type):
            self._decide(self.schedule.react(self.state, event, self._moment()))

    def look(self) -> None:
        """A worker looks: everything that follows from the time."""
        for _ in range(ROUNDS):
            wakes = self.schedule.wakes_at(self.state)
            if wakes is None or wakes > self.now:
                return
            decided = self.schedule.on_time(self.state, self._moment())
            assert decided, "it wants to be woken and does nothing"
            self._decide(decided)
        raise AssertionError("it never comes to rest")

    def begin(self, tick: str) -> None:
        """A worker claims a tick's job."""
        attempt = self.state.open[tick].attempts + 1 if tick in self.state.open else 1
        self.append("tick.started", JobStarted(job=self.jobs[tick].id, attempt=attempt, incarnation="w"))

    def dispatch(self, tick: str, end: str = "dispatched", *, reason: str = "") -> None:
        """A worker runs a tick's job to its end."""
        self.begin(tick)
        job = self.jobs.pop(tick)
        self.append(f"tick.{end}", TickEnded(tick=tick, job=job.id, reason=reason))

    def release(self, tick: str, error: str = "paused") -> None:
        """A worker has to try a tick again."""
        self.begin(tick)
        ended = AttemptEnded(job=self.jobs[tick].id, error=error, retry_at=self.now + 5000)
        self.append("tick.attempt_failed", ended)

    def settle(self, tick: str, outcome: str = "answered") -> None:
        """The session of a tick answered."""
        self.append("tick.settled", TickSettled(tick=tick, outcome=outcome))

    @property
    def due(self) -> list[TickQueued]:
        return [e.decode(TickQueued) for e in self.events if e.type == "tick.queued"]

    def passed(self, type: str = "") -> list[TicksPassed]:
        types = (type,) if type else ("ticks.skipped", "ticks.expired")
        return [e.decode(TicksPassed) for e in self.events if e.type in types]

    def accounted(self) -> Counter[int]:
        """How often each due time was accounted for."""
        found = Counter(one.due for one in self.due if not one.is_manual)
        for one in self.passed():
            definition = self.definition(one.definition)
            if definition.cron:
                found.update(Times(definition.cron, definition.tz).between(one.first - 1, one.last))
            else:
                found[definition.at] += 1
        return found

    def definition(self, offset: int) -> Definition:
        """The one given at `offset`."""
        return self.events[offset - 1].decode(TriggerDefined).definition

    def folded(self) -> TriggerState:
        state = TriggerState()
        for event in self.events:
            state = reduce(state, event)
        return state

    def _decide(self, decided: Sequence[Decision]) -> None:
        for one in decided:
            match one:
                case Emit(event=made):
                    self._commit(made)
                case StartJob():
                    tick = one.id.rpartition("@")[2]
                    assert tick not in self.jobs
                    self.jobs[tick] = one
                case SettleJob():
                    del self.jobs[one.id.rpartition("@")[2]]
                case other:
                    raise AssertionError(other)

    def _commit(self, made: EventInput) -> Event:
        event = made.at(len(self.events) + 1, self.now)
        self.events.append(event)
        self.state = reduce(self.state, event)
        return event

    def _moment(self) -> Moment:
        return Moment(stream=STREAM, now_ms=self.now)
