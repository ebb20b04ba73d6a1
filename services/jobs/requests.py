"""Finding the event that asked for a job. It is never far from the head, so the search goes backward."""

from __future__ import annotations

from typing import Protocol, TypeVar

from services.errors import Defect
from services.streams.event import StreamId
from services.streams.log import Log

PAGE = 100


class Asked(Protocol):
    """A payload that names its job."""

    @property
    def job(self) -> str:
        """The job it asked for."""


A = TypeVar("A", bound=Asked)


def find_request(log: Log, stream: StreamId, job: str, type: str, shape: type[A]) -> A:
    """The payload of the `type` event that asked for `job`. Raises: Defect when there is none."""
    before = None
    while page := log.read_back(stream, before=before, limit=PAGE):
        for event in page:
            if event.type == type:
                asked = event.decode(shape)  # type: ignore[type-var]
                if asked.job == job:
                    return asked
        before = page[-1].offset
    raise Defect(f"job {job} has no request")
