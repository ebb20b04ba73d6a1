"""Why a session waits: exactly one typed reason for whatever is not idle, with since and until.

Pure but for one look at a job's row. There is no catch-all: what nothing else explains is a reduction
that is due.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from services.processors.agent.spend import SPEND, Caps
from services.processors.agent.state import AgentState, Turn
from services.processors.rows import rows_of
from services.streams.event import JobId, StreamId
from services.streams.keys import Keys
from services.streams.log import Loaded
from services.streams.store import Store, translated


class WaitReason(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Why a session is not idle. `since` and `until` are epoch milliseconds; `until` when it goes on."""

    code: str
    text: str
    since: int | None = None
    until: int | None = None


class WorkerCensus(msgspec.Struct, frozen=True):
    """The workers alive now, their free slots and stuck threads, and the newest of each processor."""

    count: int
    free: int
    stuck: int
    processors: Mapping[str, int]


class Explainer:
    """Explains sessions.

    `caps` tells what an agent's caps were at a time; `census` counts workers; `dead_roles` names roles given up
    on this machine.
    """

    def __init__(
        self,
        store: Store,
        keys: Keys,
        *,
        wakes_at: Callable[[AgentState], int | None],
        caps: Callable[[AgentState, int], Caps],
        census: Callable[[], WorkerCensus],
        dead_roles: Callable[[], tuple[str, ...]],
    ) -> None:
        self._store, self._keys = store, keys
        self._wakes_at, self._caps = wakes_at, caps
        self._census, self._dead_roles = census, dead_roles

    def __call__(self, stream: StreamId, loaded: Loaded, agent: AgentState) -> WaitReason | None:
        """The reason, or None for an idle session. Raises: Unavailable."""
        if loaded.paused is not None:
            return self._paused(stream, loaded, loaded.paused, agent)
        for name, row in sorted(rows_of(loaded.fields).items()):
            if row.status == "parked":
                return WaitReason(
                    code="processor_faulted",
                    text=f"processor {name} v{row.version} stopped before event {row.fault}: {row.error};"
                    f" `turnwright processors {stream} --resume {name}` lets it try again,"
                    " --skip pass the event by",
                    since=row.parked_at or None,
                )
        is_idle = agent.turn is None and not agent.pending
        if is_idle and loaded.at >= loaded.head:
            return None
        since = _waiting_since(loaded, agent)
        return self._stalled(loaded, since) or self._busy(loaded, agent, since)

    def _paused(self, stream: StreamId, loaded: Loaded, reason: str, agent: AgentState) -> WaitReason:
        at = int(loaded.fields.get("paused_at", b"0"))
        text = f"paused: {reason}"
        if reason == SPEND and (reached := self._caps(agent, at).reached):
            text += f": {' and '.join(reached)}; `turnwright resume {stream}` goes on"
        return WaitReason(code="paused", text=text, since=at or None)

    def _stalled(self, loaded: Loaded, since: int | None) -> WaitReason | None:
        """Nobody is there who could go on."""
        census = self._census()
        if census.count == 0:
            dead = ", ".join(self._dead_roles())
            text = (
                f"no worker is running; given up after repeated deaths: {dead}"
                if dead
                else "no worker is running"
            )
            return WaitReason(code="no_worker", text=text, since=since)
        for name, row in sorted(rows_of(loaded.fields).items()):
            have = census.processors.get(name)
            # One that no worker has stays behind while the others go on; an older one leaves the stream.
            if have is not None and have < row.version:
                return WaitReason(
                    code="no_worker_for_processor",
                    text=f"no worker runs processor {name} v{row.version}",
                    since=since,
                )
        return None

    def _busy(self, loaded: Loaded, agent: AgentState, since: int | None) -> WaitReason | None:
        turn = agent.turn
        if turn is not None:
            return self._turn(loaded, turn)
        wakes = self._wakes_at(agent) if agent.pending else None
        if wakes is not None and wakes > loaded.now:
            return WaitReason(
                code="debouncing", text="waiting for more input", since=agent.first_at, until=wakes
            )
        if not agent.pending and not any(
            e.type in ("input.received", "turn.cancel_requested") for e in loaded.events
        ):
            return None
        return WaitReason(code="queued", text="queued for a worker", since=since)

    def _turn(self, loaded: Loaded, turn: Turn) -> WaitReason:
        if turn.phase == "cancelling":
            return WaitReason(
                code="cancelling", text="waiting for the run to stop", since=turn.since, until=turn.cancel_by
            )
        if turn.phase == "tools" and turn.tools:
            jobs = [JobId(job) for job in turn.tools]
            return self._job(loaded, jobs[0], f"{len(jobs)} tool call(s)", "tool")
        if turn.phase == "llm":
            return self._job(loaded, JobId(turn.job), "the model's answer", "llm")
        return WaitReason(code="queued", text="queued for a worker", since=turn.since)

    def _job(self, loaded: Loaded, job: JobId, what: str, kind: str) -> WaitReason:
        with translated():
            row = self._store.client.hmget(self._keys.job(job), "state", "attempts", "since", "due", "error")
        state, attempts, since, due, error = (v.decode() if v else "" for v in row)
        if state == "started":
            text = f"running attempt {attempts}: {what}"
            return WaitReason(code=f"running_{kind}", text=text, since=int(since))
        until = int(due or 0)
        if state == "requested" and until > loaded.now:
            return WaitReason(
                code="backing_off",
                text=f"attempt {attempts} ended: {error}; trying again",
                since=int(since),
                until=until,
            )
        return WaitReason(code=f"queued_{kind}", text="queued for a free slot", since=until or None)


def _waiting_since(loaded: Loaded, agent: AgentState) -> int | None:
    """When what is owed now began to be owed."""
    if agent.turn is not None:
        return agent.turn.since
    if agent.pending:
        return agent.first_at
    return loaded.events[0].created_at if loaded.events else None
