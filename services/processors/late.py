"""Outcomes that came too late to count: noted for the record of their run, and nowhere else.

Writes the list `run`, bounded in length and time. Noting is best effort: it never fails a run.
"""

from __future__ import annotations

import time

import msgspec

from services.errors import TurnwrightError
from services.streams.event import EventInput, JobId
from services.streams.log import Log
from services.streams.store import translated
from services.streams.vocabulary import LLMSettled, ToolSettled, Usage

MOST = 32
KEEP_S = 30 * 86_400
SETTLED: dict[str, type[LLMSettled] | type[ToolSettled]] = {
    "llm.settled": LLMSettled,
    "tool.settled": ToolSettled,
}


class LateResult(msgspec.Struct, frozen=True, kw_only=True):
    """How attempt `attempt` at `job` ended, after the job was settled or taken over. `at` is epoch milliseconds of the
    host it ran on.
    """

    job: str
    attempt: int
    incarnation: str
    at: int
    outcome: str
    error: str = ""
    model: str = ""
    phase: str = ""
    spent_ms: int = 0
    usage: Usage = Usage()


def run_of(job: JobId) -> JobId:
    """The request a job belongs to: itself, or of a tool call the one whose answer asked for it."""
    stream, _, name = job.partition("@")
    return JobId(f"{stream}@{name.partition('.')[0]}")


def note_late(log: Log, job: JobId, incarnation: str, outcome: EventInput, *, attempt: int) -> None:
    """Note the settlement of `job` that was refused as late."""
    key = log.keys.run(run_of(job))
    try:
        late = _late(job, incarnation, outcome, attempt)
        if late is None:
            return
        with translated():
            pipe = log.store.client.pipeline(transaction=False)
            pipe.lpush(key, msgspec.json.encode(late))
            pipe.ltrim(key, 0, MOST - 1)
            pipe.expire(key, KEEP_S)
            pipe.execute()
    except (TurnwrightError, msgspec.DecodeError):
        return


def late_results(log: Log, run: JobId) -> tuple[LateResult, ...]:
    """What is noted of a run, oldest first. Raises: Unavailable."""
    with translated():
        noted = log.store.client.lrange(log.keys.run(run), 0, -1)
    found = []
    for each in reversed(noted):
        try:
            found.append(msgspec.json.decode(each, type=LateResult))
        except msgspec.DecodeError:
            continue
    return tuple(found)


def _late(job: JobId, incarnation: str, outcome: EventInput, attempt: int) -> LateResult | None:
    """No text of it: whoever may read a run need not read the conversation."""
    if outcome.type not in SETTLED:
        return None
    settled = msgspec.json.decode(outcome.payload, type=SETTLED[outcome.type])
    late = LateResult(
        job=job,
        attempt=attempt,
        incarnation=incarnation,
        at=time.time_ns() // 1_000_000,
        outcome=settled.outcome,
        error=settled.error,
    )
    if not isinstance(settled, LLMSettled):
        return late
    return msgspec.structs.replace(
        late, model=settled.asked, phase=settled.phase, spent_ms=settled.spent_ms, usage=settled.usage
    )
