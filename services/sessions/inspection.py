"""What a session is doing right now: one read of its row, however long it is."""

from __future__ import annotations

from typing import Protocol

import msgspec

from services.diagnosis.wait import WaitReason
from services.errors import Defect, NotFound
from services.outbox.replies import Replies, RepliesState
from services.processors.agent.state import AgentState, reduce
from services.processors.rows import rows_of
from services.sessions.values import ProcessorView, Status
from services.streams.event import Offset, StreamId
from services.streams.log import Loaded, Log

AGENT = "agent"
REPLIES = Replies.contract.name


class Explain(Protocol):
    """Why a session that is not idle waits; None for an idle one."""

    def __call__(self, stream: StreamId, loaded: Loaded, agent: AgentState) -> WaitReason | None: ...


class Inspection(msgspec.Struct, frozen=True, kw_only=True):
    """One session at one instant. `now` is the store's time.

    `is_current`: the agent's state includes every event up to `head`. It may not when a processor is
    parked or hundreds of events behind. `has_replies`: it was ever to tell anything to anybody outside.
    """

    stream: StreamId
    head: Offset
    now: int
    status: Status
    agent: AgentState
    is_current: bool
    wait: WaitReason | None
    processors: tuple[ProcessorView, ...]
    has_replies: bool = False


def inspect(log: Log, explain: Explain, stream: StreamId) -> Inspection:
    """Look at `stream`. Raises: NotFound, Unavailable."""
    loaded = log.load(stream)
    if loaded.head == 0:
        raise NotFound(f"session {stream}")
    agent = _agent(loaded)
    processors = _processors(loaded)
    lags = any(each.name == AGENT and each.offset is not None for each in processors)
    read_to = loaded.events[-1].offset if loaded.events else loaded.at
    wait = explain(stream, loaded, agent)
    return Inspection(
        stream=stream,
        head=loaded.head,
        now=loaded.now,
        status=_status(loaded, agent, processors, wait),
        agent=agent,
        is_current=not lags and read_to == loaded.head,
        wait=wait,
        processors=processors,
        has_replies=_has_replies(loaded),
    )


def _has_replies(loaded: Loaded) -> bool:
    stored = loaded.fields.get(f"s:{REPLIES}")
    try:
        return stored is not None and msgspec.json.decode(stored, type=RepliesState).entries.last > 0
    except msgspec.DecodeError as error:
        raise Defect("the state of the replies can not be read") from error


def _agent(loaded: Loaded) -> AgentState:
    stored = loaded.fields.get(f"s:{AGENT}")
    try:
        state = AgentState() if stored is None else msgspec.json.decode(stored, type=AgentState)
    except msgspec.DecodeError as error:
        raise Defect("the agent's state can not be read") from error
    for event in loaded.events:
        state = reduce(state, event)
    return state


def _processors(loaded: Loaded) -> tuple[ProcessorView, ...]:
    return tuple(
        ProcessorView(
            name=name,
            version=row.version,
            status=row.status,
            offset=row.offset,
            error=row.error,
            fault=row.fault,
        )
        for name, row in sorted(rows_of(loaded.fields).items())
    )


def _status(
    loaded: Loaded, agent: AgentState, processors: tuple[ProcessorView, ...], wait: WaitReason | None
) -> Status:
    if loaded.paused is not None:
        return "paused"
    if any(each.status == "parked" for each in processors):
        return "faulted"
    if wait is None:
        return "idle"
    return "running" if agent.turn is not None else "waiting"
