"""Finding the event that asked for a job. It is never far from the head, so the search goes backward.

On its way it meets the attempts at the job that ended without an outcome.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from services.errors import Defect
from services.streams.event import Event, StreamId
from services.streams.near import Past, newest_first
from services.streams.vocabulary import AttemptEnded
from services.telemetry.context import Trace


class Asked(Protocol):
    """A payload that names its job."""

    @property
    def job(self) -> str:
        """The job it asked for."""


A = TypeVar("A", bound=Asked)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found(Generic[A]):
    """What asked for a job, the trace it belongs to, and attempts that `ended`: oldest first, each with its
    time (epoch ms)."""

    asked: A
    trace: Trace | None
    ended: list[tuple[int, AttemptEnded]]


def find_request(log: Past, stream: StreamId, job: str, type: str, shape: type[A]) -> A:
    """The payload of the `type` event that asked for `job`. Raises: Defect when there is none."""
    return find_attempts(log, stream, job, type, shape).asked


def find_attempts(
    log: Past, stream: StreamId, job: str, type: str, shape: type[A], *, ended: str = ""
) -> Found[A]:
    """The `type` event that asked for `job`, and its `ended` events. Raises: Defect when nothing asked for it."""
    attempts: list[tuple[int, AttemptEnded]] = []
    for event in newest_first(log, stream):
        if event.type == type and (asked := _named(event, job, shape)) is not None:
            return Found(asked=asked, trace=event.context, ended=attempts[::-1])
        if event.type == ended and (failed := _named(event, job, AttemptEnded)) is not None:
            attempts.append((event.created_at, failed))
    raise Defect(f"job {job} has no request")


def _named(event: Event, job: str, shape: type[A]) -> A | None:
    payload = event.decode(shape)  # type: ignore[type-var]  # a protocol can not ask for a struct
    return payload if payload.job == job else None
