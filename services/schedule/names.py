"""What triggers, their ticks and their sessions are called. A trigger `nightly` is the stream `schedule:nightly`."""

from __future__ import annotations

from datetime import UTC, datetime

from services.streams.event import JobId, Offset, StreamId
from services.streams.keys import SCHEDULE

TRIGGER_ID = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"
SESSION = "trigger:"


def stream_of(trigger: str) -> StreamId:
    """The stream of a trigger."""
    return StreamId(f"{SCHEDULE}{trigger}")


def trigger_of(stream: StreamId) -> str:
    """The trigger that a stream is of."""
    return stream.removeprefix(SCHEDULE)


def tick_name(due: int) -> str:
    """The tick due at `due` (epoch ms, whole seconds): 20261120T090000Z."""
    return datetime.fromtimestamp(due / 1000, UTC).strftime("%Y%m%dT%H%M%SZ")


def manual_name(fired: Offset) -> str:
    """The tick that a person asked for with the event at `fired`."""
    return f"manual-{fired}"


def session_of(trigger: str, tick: str, *, is_one: bool) -> StreamId:
    """Where a tick goes: a session of its own, or the one of all."""
    return StreamId(f"{SESSION}{trigger}" if is_one else f"{SESSION}{trigger}:{tick}")


def trigger_of_session(session: StreamId) -> str:
    """The trigger whose ticks go to a session."""
    return session.removeprefix(SESSION).partition(":")[0]


def is_one(session: str) -> bool:
    """Whether a trigger's session is the one of all its ticks."""
    return session.count(":") == 1


def job_of(stream: StreamId, tick: str) -> JobId:
    """The job that takes a tick to its session."""
    return JobId(f"{stream}@{tick}")


def tick_of(job: str) -> str:
    """The tick that a job takes."""
    return job.rpartition("@")[2]


def key_of(trigger: str, tick: str) -> str:
    """The idempotency key of what a tick says."""
    return f"tick:{trigger}:{tick}"


def mark_of(trigger: str, tick: str) -> str:
    """How an input names the tick it comes from."""
    return f"{trigger}@{tick}"


def marked(mark: str) -> tuple[str, str]:
    """The trigger and the tick that a mark names."""
    trigger, _, tick = mark.partition("@")
    return trigger, tick
