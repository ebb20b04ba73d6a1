"""The agent processor: decides when a turn starts, what it asks for, and how it ends.

Decisions are taken from the state alone, so a reaction that runs again after a crash decides the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from services.processors.agent.decisions import begin_turn, emit, end_turn, interrupted, tool_call
from services.processors.agent.rules import Rules
from services.processors.agent.spend import SPEND, Caps, spent
from services.processors.agent.state import AgentState, Turn, offsets, reduce
from services.processors.contract import (
    CancelJob,
    Contract,
    Decision,
    Moment,
    Processor,
    SettleJob,
    StartJob,
)
from services.streams.event import Event, JobId
from services.streams.vocabulary import (
    CancelRequested,
    InputReceived,
    LLMCancelRequested,
    LLMRequested,
    LLMSettled,
    StreamPaused,
    TurnOutcome,
    TurnSettled,
)

CANCEL_WAIT_MS = 2_000
DEBOUNCE_STRETCH = 10
RulesOf = Callable[[str], Rules]


class Agent(Processor[AgentState]):
    """Runs the turns of one session. `rules_of` gives the limits of an agent by name, as configured now."""

    contract = Contract(
        name="agent",
        version=1,
        consumes=frozenset(
            {
                "stream.created",
                "stream.paused",
                "stream.resumed",
                "input.received",
                "input.withdrawn",
                "turn.cancel_requested",
                "turn.started",
                "turn.settled",
                "llm.requested",
                "llm.started",
                "llm.attempt_failed",
                "llm.cancel_requested",
                "llm.settled",
                "tool.requested",
                "tool.started",
                "tool.settled",
            }
        ),
        reacts=frozenset(
            {
                "input.received",
                "input.withdrawn",
                "turn.cancel_requested",
                "turn.started",
                "turn.settled",
                "llm.settled",
                "tool.settled",
            }
        ),
        emits=frozenset(
            {
                "stream.paused",
                "turn.started",
                "turn.settled",
                "llm.requested",
                "llm.cancel_requested",
                "llm.settled",
                "tool.requested",
                "tool.settled",
            }
        ),
    )
    state = AgentState

    def __init__(self, rules_of: RulesOf) -> None:
        self._rules_of = rules_of

    def reduce(self, state: AgentState, event: Event) -> AgentState:
        """See `state.reduce`."""
        return reduce(state, event)

    def react(self, state: AgentState, event: Event, moment: Moment) -> Sequence[Decision]:
        """The next steps of the session after `event`."""
        turn = state.turn
        match event.type:
            case "input.received" | "turn.settled" | "input.withdrawn":
                return self._on_input(state, event, moment)
            case "turn.cancel_requested":
                return self._on_cancel(state, event.decode(CancelRequested), moment)
            case "turn.started":
                return self._request(state, turn, event, moment) if turn and turn.phase == "started" else ()
            case "llm.settled" if turn and turn.phase == "decide":
                return self._on_llm(state, turn, event.decode(LLMSettled))
            case "tool.settled" if turn and turn.phase == "tools" and not turn.tools:
                return self._request(state, turn, event, moment)
            case _:
                return ()

    def waiting(self, state: AgentState) -> int:
        """Pending inputs."""
        return state.waiting

    def wakes_at(self, state: AgentState) -> int | None:
        """When a debounce window closes or patience with a cancelled request ends."""
        if state.turn is not None:
            return state.turn.cancel_by if state.turn.phase == "cancelling" else None
        return self._opens_at(state) if state.pending else None

    def on_time(self, state: AgentState, moment: Moment) -> Sequence[Decision]:
        """Start what was debounced; give up waiting for a silent holder."""
        turn = state.turn
        if turn is None:
            return self._start(state, moment)
        settled = LLMSettled(job=turn.job, outcome="cancelled", error="holder_silent")
        return (
            SettleJob(kind="llm", id=JobId(turn.job), token=turn.attempt),
            emit("llm.settled", settled),
        )

    # Inputs

    def _on_input(self, state: AgentState, event: Event, moment: Moment) -> Sequence[Decision]:
        if state.turn is None:
            opens = self._opens_at(state)
            return self._start(state, moment) if state.pending and opens <= moment.now_ms else ()
        if event.type != "input.received" or event.decode(InputReceived).policy != "steer":
            return ()
        if event.offset not in offsets(state.pending):
            return ()
        return self._stop(state, state.turn, "superseded", moment)

    def _opens_at(self, state: AgentState) -> int:
        """When waiting inputs may become a turn: at once, unless they came while nothing was going on."""
        wait = self._wait_ms(state)
        if not wait or not state.window:
            return 0
        return min(state.last_at + wait, state.first_at + DEBOUNCE_STRETCH * wait)

    def _wait_ms(self, state: AgentState) -> int:
        configured = self._rules_of(state.agent).debounce_ms
        return configured if state.debounce_ms is None else state.debounce_ms

    def _start(self, state: AgentState, moment: Moment) -> Sequence[Decision]:
        batch = self._batch(state)
        if not batch:
            return ()
        waited = moment.now_ms - state.first_at if self._wait_ms(state) and state.window else 0
        return (begin_turn(state, batch, waited),)

    def _batch(self, state: AgentState) -> tuple[int, ...]:
        """The inputs of the next turn: one; or all up to the last `collect`; or all of a debounce window."""
        waiting = offsets(state.pending)
        collected = max((run.last for run in state.pending if run.policy == "collect"), default=0)
        if collected:
            return tuple(offset for offset in waiting if offset <= collected)
        if self._wait_ms(state) and state.window:
            return tuple(offset for offset in waiting if offset <= state.window)
        return waiting[:1]

    # The request and its outcome

    def _request(
        self, state: AgentState, turn: Turn | None, event: Event, moment: Moment
    ) -> Sequence[Decision]:
        assert turn is not None
        rules = self._rules_of(state.agent)
        if turn.step >= rules.max_steps:
            return self._settle(state, turn, "limited", reason="max_steps")
        if state.alone > rules.max_turns_without_human:
            return self._settle(state, turn, "limited", reason="max_turns_without_human")
        job = JobId(f"{moment.stream}@{state.requests + 1}")
        asked = LLMRequested(
            turn=turn.n,
            job=job,
            step=turn.step + 1,
            inputs=turn.inputs,
            upto=event.offset,
            agent=state.agent,
            config=rules.config_hash,
        )
        owed = (
            emit("llm.requested", asked),
            StartJob(kind="llm", id=job, expires_ms=rules.job_expires_ms),
        )
        if state.is_paused or not self.caps(state, moment.now_ms).reached:
            return owed
        # The request is owed, and not started before a person resumes the session.
        return (*owed, emit("stream.paused", StreamPaused(reason=SPEND, by="agent")))

    def caps(self, state: AgentState, now_ms: int) -> Caps:
        """What the session may use in an hour, and what of it was used at `now_ms`."""
        rules, used = self._rules_of(state.agent), spent(state.hour, now_ms)
        return Caps(
            tokens=used.tokens,
            most_tokens=rules.max_tokens_per_hour,
            microusd=used.microusd,
            most_microusd=rules.max_microusd_per_hour,
        )

    def _on_llm(self, state: AgentState, turn: Turn, settled: LLMSettled) -> Sequence[Decision]:
        if settled.job != turn.job:
            return ()
        if turn.then == "superseded":
            return self._hand_on(state, turn)
        if turn.then == "cancelled" or settled.outcome == "cancelled":
            return self._settle(state, turn, "cancelled", text=settled.text, reason=settled.error)
        if settled.outcome == "failed":
            return self._settle(state, turn, "failed", text=settled.text, reason=settled.error)
        if not settled.tool_calls:
            return self._settle(state, turn, "answered", text=settled.text)
        rules = self._rules_of(state.agent)
        return [
            one
            for i, call in enumerate(settled.tool_calls)
            for one in tool_call(turn, call, JobId(f"{settled.job}.{i}"), rules.job_expires_ms)
        ]

    def _settle(
        self, state: AgentState, turn: Turn, outcome: TurnOutcome, *, text: str = "", reason: str = ""
    ) -> Sequence[Decision]:
        settled = TurnSettled(turn=turn.n, outcome=outcome, inputs=turn.inputs, text=text, reason=reason)
        return (end_turn(state, turn, settled),)

    # Stopping

    def _on_cancel(self, state: AgentState, asked: CancelRequested, moment: Moment) -> Sequence[Decision]:
        decisions: list[Decision] = []
        if asked.queued and state.pending:
            unsent = TurnSettled(
                turn=state.turns + 1, outcome="cancelled", inputs=offsets(state.pending), reason="queued"
            )
            decisions.append(emit("turn.settled", unsent))
        if state.turn is not None and asked.turn in (0, state.turn.n):
            decisions += self._stop(state, state.turn, "cancelled", moment)
        return decisions

    def _stop(self, state: AgentState, turn: Turn, then: TurnOutcome, moment: Moment) -> Sequence[Decision]:
        if turn.phase == "cancelling":
            return self._stop_for_good(turn) if then == "cancelled" and turn.then == "superseded" else ()
        end = self._hand_on(state, turn) if then == "superseded" else self._settle(state, turn, "cancelled")
        if turn.phase == "llm" and turn.attempt > 0:
            stop = LLMCancelRequested(
                job=turn.job,
                deadline=moment.now_ms + CANCEL_WAIT_MS,
                then="superseded" if then == "superseded" else "cancelled",
            )
            return (emit("llm.cancel_requested", stop), CancelJob(JobId(turn.job)))
        if turn.phase == "llm":
            unsent = LLMSettled(job=turn.job, outcome="cancelled", error="not_started")
            return (
                SettleJob(kind="llm", id=JobId(turn.job), token=0),
                emit("llm.settled", unsent),
                *end,
            )
        return (*interrupted(turn), *end)

    def _stop_for_good(self, turn: Turn) -> Sequence[Decision]:
        """Who cancels while a steered run is being stopped wants the turn to end, not to go on with more."""
        stop = LLMCancelRequested(job=turn.job, deadline=turn.cancel_by, then="cancelled")
        return (emit("llm.cancel_requested", stop),)

    def _hand_on(self, state: AgentState, turn: Turn) -> Sequence[Decision]:
        """End `turn` unanswered; its inputs and the waiting `steer` ones form the next."""
        steering = {
            o for run in state.pending if run.policy == "steer" for o in range(run.first, run.last + 1)
        }
        settled = TurnSettled(turn=turn.n, outcome="superseded", inputs=(), reason="steered")
        return (end_turn(state, turn, settled), begin_turn(state, tuple(sorted({*turn.inputs, *steering}))))
