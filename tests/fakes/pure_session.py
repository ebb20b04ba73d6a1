"""One session without a store: the plan function over a list of events, jobs in a dict, a clock that is told."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from services.llm.history import History, build
from services.processors.agent.processor import Agent
from services.processors.agent.rules import Rules
from services.processors.agent.state import AgentState, offsets, reduce
from services.processors.contract import Contract, StartJob
from services.processors.plan import Claimer, Plan, Reading, claim_nothing
from services.processors.planning import plan
from services.processors.rows import rows_of
from services.processors.unit import AnyProcessor
from services.streams.event import Event, EventInput, StreamId
from services.streams.log import Log
from services.streams.payload import Policy
from services.streams.vocabulary import (
    AttemptEnded,
    CancelRequested,
    InputReceived,
    InputWithdrawn,
    JobStarted,
    LLMRequested,
    LLMSettled,
    StreamCreated,
    ToolCall,
    ToolSettled,
)

S = StreamId("s")


class NewerAgent(Agent):
    """The agent of a later release that changed nothing but its version."""

    contract = Contract(name="agent", version=2, consumes=Agent.contract.consumes, emits=Agent.contract.emits)


class Job(msgspec.Struct):
    """A job: how often it was claimed, whether somebody runs it, whether it has its outcome."""

    kind: str
    claims: int = 0
    is_running: bool = False
    is_settled: bool = False
    is_unwanted: bool = False


class ListLog(Log):
    """A log that is a list."""

    def __init__(self, events: Sequence[Event]) -> None:
        self._events = events

    def read_back(
        self,
        stream: StreamId,
        *,
        before: int | None = None,
        limit: int = 100,
        types: frozenset[str] | None = None,
    ) -> list[Event]:
        """See `Log.read_back`."""
        found = [event for event in self._events if before is None or event.offset < before]
        return found[::-1][:limit]

    def get(self, stream: StreamId, offset: int) -> Event | None:
        """See `Log.get`."""
        return self._events[offset - 1] if 0 < offset <= len(self._events) else None


class PureSession:
    """A session that the agent runs. Every method is one thing that can happen to it."""

    def __init__(self, rules: Rules, others: Sequence[AnyProcessor] = ()) -> None:
        self.rules, self.others = rules, others
        self.now_ms = 1_000_000
        self.events: list[Event] = []
        self.jobs: dict[str, Job] = {}
        self.fields: dict[str, bytes] = {}
        self.at = 0
        self.own = (0, 0)
        self.boundaries: list[tuple[int, int, dict[str, bytes]]] = []
        self.append(EventInput.of("stream.created", StreamCreated()))

    @property
    def state(self) -> AgentState:
        """The agent's state at the checkpoint."""
        raw = self.fields.get("s:agent")
        return AgentState() if raw is None else msgspec.json.decode(raw, type=AgentState)

    def append(self, *inputs: EventInput) -> int:
        """Append; the last offset."""
        for one in inputs:
            self.events.append(one.at(len(self.events) + 1, self.now_ms))
        return len(self.events)

    def say(
        self,
        policy: Policy,
        *,
        text: str = "hello",
        debounce_ms: int | None = None,
        reply_to: str | None = None,
    ) -> int:
        """Somebody says something; its offset."""
        said = InputReceived(text=text, policy=policy, debounce_ms=debounce_ms, reply_to=reply_to)
        return self.append(EventInput.of("input.received", said))

    def withdraw(self, n: int) -> int:
        """Take a pending input back, if the stream is read up to its head; its offset or 0."""
        waiting = offsets(self.state.pending)
        if not waiting or self.at != len(self.events):
            return 0
        chosen = waiting[n % len(waiting)]
        self.append(EventInput.of("input.withdrawn", InputWithdrawn(input=chosen)))
        return chosen

    def cancel(self, *, queued: bool) -> None:
        """A person stops the turn."""
        self.append(EventInput.of("turn.cancel_requested", CancelRequested(queued=queued)))

    def start(self, job: str) -> None:
        """A worker claims a job that is free."""
        row = self.jobs[job]
        if not row.is_running and not row.is_settled:
            row.claims, row.is_running = row.claims + 1, True
            started = JobStarted(job=job, attempt=row.claims, incarnation="w")
            self.append(EventInput.of(f"{row.kind}.started", started))

    def fail_attempt(self, job: str) -> None:
        """An attempt ends without an outcome."""
        row = self.jobs[job]
        if row.is_running:
            row.is_running = False
            ended = AttemptEnded(job=job, error="overloaded", retry_at=self.now_ms)
            self.append(EventInput.of(f"{row.kind}.attempt_failed", ended))

    def finish(self, job: str, *, calls: int = 0, outcome: str = "succeeded") -> None:
        """A running job has its outcome."""
        row = self.jobs[job]
        if not row.is_running or row.is_settled:
            return
        row.is_running, row.is_settled = False, True
        if row.kind == "tool":
            ended = "succeeded" if outcome == "succeeded" else "failed"
            done = ToolSettled(job=job, outcome="succeeded" if ended == "succeeded" else "failed", result="r")
            self.append(EventInput.of("tool.settled", done))
            return
        if row.is_unwanted or outcome == "cancelled":
            settled = LLMSettled(job=job, outcome="cancelled", text="par")
        elif outcome == "failed":
            settled = LLMSettled(job=job, outcome="failed", error="malformed")
        else:
            wanted = tuple(ToolCall(id=f"{job}/{n}", name="clock") for n in range(calls))
            settled = LLMSettled(job=job, outcome="succeeded", text="answer", tool_calls=wanted)
        self.append(EventInput.of("llm.settled", settled))

    def advance(self, *, claims: bool = False, between: EventInput | None = None) -> Plan:
        """Plan and commit; `between` is appended after the plan was made."""
        claimer: Claimer = self._claim if claims else claim_nothing
        made = plan(self.reading(), [Agent(lambda name: self.rules), *self.others], claimer)
        # The commit is refused when somebody settled or claimed what it settles; then it is planned anew.
        for ended in made.settles:
            row = self.jobs[ended.id]
            assert not row.is_settled
            assert row.claims == ended.token
        if between is not None:
            self.append(between)
        self._write(made)
        return made

    def reading(self) -> Reading:
        """What the next plan starts from."""
        return Reading(
            stream=S,
            at=self.at,
            own=self.own,
            rows=rows_of(self.fields),
            states={name[2:]: value for name, value in self.fields.items() if name.startswith("s:")},
            events=self.events[self.at :],
            lagging={},
            now_ms=self.now_ms,
        )

    def refold(self, at: int, now_ms: int, fields: dict[str, bytes]) -> Plan:
        """What a newer release plans that meets the stream at a checkpoint."""
        reading = Reading(
            stream=S,
            at=at,
            own=(0, 0),
            rows=rows_of(fields),
            states={name[2:]: value for name, value in fields.items() if name.startswith("s:")},
            events=(),
            lagging={"agent": self.events[:at]},
            now_ms=now_ms,
        )
        return plan(reading, [NewerAgent(lambda name: self.rules)])

    def histories(self) -> list[History]:
        """The history of every request there was, built from what was in the log then."""
        found = []
        for event in self.events:
            if event.type == "llm.requested":
                log = ListLog(self.events[: event.offset])
                found.append(build(log, S, event.decode(LLMRequested), 100_000))
        return found

    def folded(self) -> AgentState:
        """The state from folding every event once."""
        state = AgentState()
        for event in self.events:
            state = reduce(state, event)
        return state

    def _claim(self, job: StartJob) -> JobStarted:
        return JobStarted(job=job.id, attempt=1, incarnation="w")

    def _write(self, made: Plan) -> None:
        moved = len(self.events) == made.read_to
        first = len(self.events) + 1
        self.append(*made.events)
        last = len(self.events)
        for job in made.jobs:
            claimed = job.id in made.claimed
            self.jobs[job.id] = Job(job.kind, int(claimed), claimed)
        for ended in made.settles:
            self.jobs[ended.id].is_settled, self.jobs[ended.id].is_running = True, False
        for unwanted in made.cancels:
            self.jobs[unwanted.id].is_unwanted = True
        if moved:
            self.fields |= made.after if made.events else made.before
            self.at, self.own = last, (0, 0)
            self.boundaries.append((self.at, self.now_ms, dict(self.fields)))
        else:
            self.fields |= made.before
            self.at, self.own = made.read_to, ((first, last) if made.events else (0, 0))
