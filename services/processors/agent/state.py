"""What the agent processor remembers of a session: offsets and counters, never texts.

`reduce` is pure and depends on no configuration, so a changed `turnwright.toml` never changes the past.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from services.processors.agent.spend import Bucket, with_usage
from services.streams.event import Event
from services.streams.payload import Policy
from services.streams.vocabulary import (
    AttemptEnded,
    InputReceived,
    InputWithdrawn,
    JobStarted,
    LLMCancelRequested,
    LLMRequested,
    LLMSettled,
    StreamCreated,
    ToolRequested,
    ToolSettled,
    TurnSettled,
    TurnStarted,
    Usage,
)

# Inputs keep the traces they came on, up to so many: a state has its bounds.
MOST_TRACES = 16


class Run(msgspec.Struct, frozen=True, omit_defaults=True):
    """Pending inputs `first`..`last` (every offset between is one), all of one policy and of the trace kept."""

    first: int
    last: int
    policy: Policy
    trace: str = ""
    baggage: str = ""


class Turn(msgspec.Struct, frozen=True, kw_only=True):
    """The turn that is going on. `attempt` counts claims of the current LLM job, `tools` those of open calls."""

    n: int
    inputs: tuple[int, ...]
    step: int = 0
    job: str = ""
    phase: Literal["started", "llm", "cancelling", "decide", "tools"] = "started"
    attempt: int = 0
    cancel_by: int = 0
    then: Literal["", "cancelled", "superseded"] = ""
    tools: dict[str, int] = {}
    usage: Usage = Usage()
    trace: str = ""
    baggage: str = ""
    since: int = 0
    began: int = 0


class AgentState(msgspec.Struct, frozen=True, kw_only=True):
    """State of one session.

    `first_at`..`last_at`: when the inputs of the open debounce window came; `window` the last of them, 0 for
    none. What came while a turn was running belongs to no window. `hour` is what was used lately; a person who
    resumes the session clears it.
    """

    agent: str = "default"
    turns: int = 0
    requests: int = 0
    turn: Turn | None = None
    pending: tuple[Run, ...] = ()
    window: int = 0
    first_at: int = 0
    last_at: int = 0
    debounce_ms: int | None = None
    alone: int = 0
    human: bool = False
    usage: Usage = Usage()
    hour: tuple[Bucket, ...] = ()
    is_paused: bool = False

    @property
    def waiting(self) -> int:
        """How many inputs are pending."""
        return sum(run.last - run.first + 1 for run in self.pending)


def reduce(state: AgentState, event: Event) -> AgentState:
    """The state after `event`."""
    match event.type:
        case "stream.created":
            return _with(state, agent=event.decode(StreamCreated).agent)
        case "input.received":
            return _received(state, event)
        case "input.withdrawn":
            return _with(state, pending=without(state.pending, (event.decode(InputWithdrawn).input,)))
        case "turn.started":
            return _turn_started(state, event)
        case "turn.settled":
            return _turn_settled(state, event.decode(TurnSettled))
        case "stream.paused":
            return _with(state, is_paused=True)
        case "stream.resumed":
            return _with(state, is_paused=False, hour=())
        case _:
            return state if state.turn is None else _in_turn(state, state.turn, event)


def _in_turn(state: AgentState, turn: Turn, event: Event) -> AgentState:
    match event.type:
        case "llm.requested":
            asked = event.decode(LLMRequested)
            changed = _turn(
                turn, job=asked.job, phase="llm", step=asked.step, attempt=0, tools={}, since=event.created_at
            )
            return _with(state, requests=state.requests + 1, turn=changed)
        case "llm.started" | "tool.started":
            return _with(state, turn=_started(turn, event.decode(JobStarted), event.created_at))
        case "llm.cancel_requested":
            asked_stop = event.decode(LLMCancelRequested)
            if asked_stop.job != turn.job or turn.phase not in ("llm", "cancelling"):
                return state
            changed = _turn(
                turn,
                phase="cancelling",
                cancel_by=asked_stop.deadline,
                then=asked_stop.then,
                since=event.created_at,
            )
            return _with(state, turn=changed)
        case "llm.attempt_failed":
            failed = event.decode(AttemptEnded)
            return _used(state, turn, failed.usage, event.created_at) if failed.job == turn.job else state
        case "llm.settled":
            settled = event.decode(LLMSettled)
            if settled.job != turn.job:
                return state
            changed = _turn(turn, phase="decide", attempt=-1)
            return _used(state, changed, settled.usage, event.created_at)
        case "tool.requested":
            job = event.decode(ToolRequested).job
            changed = _turn(turn, phase="tools", tools={**turn.tools, job: 0}, since=event.created_at)
            return _with(state, turn=changed)
        case "tool.settled":
            left = {job: n for job, n in turn.tools.items() if job != event.decode(ToolSettled).job}
            return _with(state, turn=_turn(turn, tools=left))
        case _:
            return state


def _received(state: AgentState, event: Event) -> AgentState:
    said = event.decode(InputReceived)
    if said.policy == "silent":
        return state
    pending = list(state.pending)
    is_crowded = len(pending) >= MOST_TRACES
    trace, baggage = ("", "") if is_crowded else (event.trace or "", event.baggage or "")
    last = pending[-1] if pending else None
    if (
        last is not None
        and last.last == event.offset - 1
        and last.policy == said.policy
        and (is_crowded or last.trace == trace)
    ):
        pending[-1] = msgspec.structs.replace(last, last=event.offset)
    else:
        pending.append(Run(event.offset, event.offset, said.policy, trace, baggage))
    fresh = not state.pending
    return _with(
        state,
        pending=tuple(pending),
        window=event.offset if state.turn is None else state.window,
        first_at=event.created_at if fresh else state.first_at,
        last_at=event.created_at,
        debounce_ms=said.debounce_ms,
        human=(said.source != "agent" and not said.is_bot) or (state.human and not fresh),
    )


def _turn_started(state: AgentState, event: Event) -> AgentState:
    began = event.decode(TurnStarted)
    turn = Turn(
        n=began.turn,
        inputs=began.inputs,
        trace=event.trace or "",
        baggage=event.baggage or "",
        since=event.created_at,
        began=event.created_at,
    )
    alone = 0 if state.human else state.alone + 1
    left = without(state.pending, began.inputs)
    # What people queued stays theirs until the last of it is answered.
    human = state.human and bool(left)
    return _with(state, turns=began.turn, turn=turn, pending=left, window=0, alone=alone, human=human)


def _turn_settled(state: AgentState, settled: TurnSettled) -> AgentState:
    if state.turn is None or state.turn.n != settled.turn:
        left = without(state.pending, settled.inputs)
        return _with(state, pending=left, turns=max(state.turns, settled.turn))
    return _with(state, turn=None, usage=state.usage.plus(settled.usage))


def _used(state: AgentState, turn: Turn, usage: Usage, now: int) -> AgentState:
    """Paid for is paid for, whether the attempt came to something or not."""
    return _with(
        state, turn=_turn(turn, usage=turn.usage.plus(usage)), hour=with_usage(state.hour, usage, now)
    )


def _started(turn: Turn, started: JobStarted, now: int) -> Turn:
    if started.job == turn.job and turn.phase in ("llm", "cancelling"):
        return _turn(turn, attempt=started.attempt, since=now)
    if started.job in turn.tools:
        return _turn(turn, tools={**turn.tools, started.job: started.attempt})
    return turn


def without(runs: tuple[Run, ...], taken: tuple[int, ...]) -> tuple[Run, ...]:
    """`runs` less the offsets `taken`; a run with a hole becomes two."""
    for offset in taken:
        runs = tuple(part for run in runs for part in _split(run, offset))
    return runs


def offsets(runs: tuple[Run, ...]) -> tuple[int, ...]:
    """Every pending offset, ascending."""
    return tuple(sorted(offset for run in runs for offset in range(run.first, run.last + 1)))


def _split(run: Run, offset: int) -> tuple[Run, ...]:
    if not run.first <= offset <= run.last:
        return (run,)
    replace = msgspec.structs.replace
    parts = (replace(run, last=offset - 1), replace(run, first=offset + 1))
    return tuple(part for part in parts if part.first <= part.last)


def _with(state: AgentState, **changes: object) -> AgentState:
    return msgspec.structs.replace(state, **changes)


def _turn(turn: Turn, **changes: object) -> Turn:
    return msgspec.structs.replace(turn, **changes)
