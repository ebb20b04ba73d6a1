"""A trigger's stream without a store, planned and committed as workers do; others may append in between."""

from __future__ import annotations

import msgspec

from services.processors.contract import StartJob
from services.processors.plan import Claimer, Plan, Reading, claim_nothing
from services.processors.planning import plan
from services.processors.rows import rows_of
from services.schedule.processor import Schedule
from services.schedule.state import TriggerState, reduce
from services.streams.event import Event, EventInput
from services.streams.payload import Payload
from services.streams.schedule_events import Definition, TickEnded, TickQueued, TriggerDefined
from services.streams.vocabulary import AttemptEnded, JobStarted, StreamCreated
from tests.unit.schedule.life import NINE, STREAM

COMMITS = 50


class Lane:
    """Starts at nine o'clock on 2026-11-20."""

    def __init__(self) -> None:
        self.now = NINE
        self.events: list[Event] = []
        self.jobs: dict[str, StartJob] = {}
        self.tokens: dict[str, int] = {}
        self.claimed: dict[str, bool] = {}
        self.at, self.own = 0, (0, 0)
        self.timer: int | None = None
        self.fields: dict[str, bytes] = {}
        self.append("stream.created", StreamCreated(source="schedule"))

    @property
    def state(self) -> TriggerState:
        """The processor's, at the checkpoint."""
        raw = self.fields.get("s:schedule")
        return TriggerState() if raw is None else msgspec.json.decode(raw, type=TriggerState)

    @property
    def due(self) -> list[TickQueued]:
        return [e.decode(TickQueued) for e in self.events if e.type == "tick.queued"]

    def types(self) -> list[str]:
        return [event.type for event in self.events]

    def define(self, **given: object) -> int:
        fields = {"prompt": "go", "cron": "0 * * * *", **given}
        return self.append("trigger.defined", TriggerDefined(definition=Definition(**fields)))  # type: ignore[arg-type]  # as given

    def append(self, type: str, payload: Payload) -> int:
        """An event from outside; its offset."""
        return self.append_input(EventInput.of(type, payload))

    def append_input(self, made: EventInput) -> int:
        """The same. What a worker says of a job changes the job with it."""
        self.events.append(made.at(len(self.events) + 1, self.now))
        self._work(self.events[-1])
        return len(self.events)

    def commit(self, *, claims: bool = False, between: EventInput | None = None) -> Plan:
        """One commit; `between` is appended after it was planned. None where a job that it ends was claimed."""
        made = plan(self._reading(), [Schedule()], _claimed if claims else claim_nothing)
        assert made.parked == []
        if between is not None:
            self.append_input(between)
        if any(self.tokens.get(one.id, 0) != one.token for one in made.settles):
            return made
        for ended in made.settles:
            del self.jobs[ended.id]
        head = len(self.events)
        for one in made.events:
            self.events.append(one.at(len(self.events) + 1, made.at_ms))
        for job in made.jobs:
            assert job.id not in self.jobs
            self.jobs[job.id] = job
            if job.id in made.claimed:
                self.tokens[job.id], self.claimed[job.id] = 1, True
        self.fields |= made.after if head == made.read_to else made.before
        self.at = len(self.events) if head == made.read_to else made.read_to
        self.own = (0, 0) if self.at == len(self.events) else (head + 1, len(self.events))
        self.timer = made.timer
        return made

    def rest(self, *, claims: bool = False) -> int:
        """Commit until nothing is due any more; how often that was."""
        for count in range(1, COMMITS):
            made = self.commit(claims=claims)
            is_due = self.timer is not None and self.timer <= self.now
            if not (made.behind or is_due or self.at < len(self.events)):
                return count
        raise AssertionError("it never comes to rest")

    def folded(self, *, since: int = 1) -> TriggerState:
        """All events from an offset on, in their order."""
        state = TriggerState()
        for event in self.events[since - 1 :]:
            state = reduce(state, event)
        return state

    def _work(self, event: Event) -> None:
        match event.type:
            case "tick.started":
                started = event.decode(JobStarted)
                self.tokens[started.job], self.claimed[started.job] = started.attempt, True
            case "tick.attempt_failed":
                self.claimed[event.decode(AttemptEnded).job] = False
            case "tick.dispatched" | "tick.burned":
                job = event.decode(TickEnded).job
                self.jobs.pop(job, None)
                self.tokens[job], self.claimed[job] = self.tokens.get(job, 0) + 1, False

    def _reading(self) -> Reading:
        return Reading(
            stream=STREAM,
            at=self.at,
            own=self.own,
            rows=rows_of(self.fields),
            states={name[2:]: value for name, value in self.fields.items() if name.startswith("s:")},
            events=self.events[self.at :],
            lagging={},
            now_ms=self.now,
        )


def _claimed(job: StartJob) -> JobStarted:
    return JobStarted(job=job.id, attempt=1, incarnation="w")


_: Claimer = _claimed
