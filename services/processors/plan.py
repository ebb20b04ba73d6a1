"""What a plan starts from and what it comes to: a reading, and one commit ready to be encoded."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import msgspec

from services.processors.contract import AppendTo, CancelJob, SettleJob, StartJob
from services.processors.rows import Row
from services.streams.event import Event, EventInput, StreamId
from services.streams.vocabulary import JobStarted


class NewerVersion(Exception):
    """The stream was last folded by a newer processor than this worker has."""

    def __init__(self, name: str, version: int) -> None:
        super().__init__(f"{name} v{version}")
        self.name = name
        self.version = version


class Owner(msgspec.Struct, frozen=True):
    """Who decided something, and at which event."""

    name: str
    offset: int


class Plan(msgspec.Struct, kw_only=True):
    """One commit, ready to be encoded. `before`: fields if others appended meanwhile, `after`: if not.

    `at_ms` becomes the time of its events, so that whoever folds them again comes to the same state.
    `parked` are the processors that it parks, `owners` tell who started or settled a job.
    """

    read_to: int
    at_ms: int
    before: dict[str, bytes]
    after: dict[str, bytes]
    events: list[EventInput] = []
    jobs: list[StartJob] = []
    settles: list[SettleJob] = []
    cancels: list[CancelJob] = []
    appends: list[AppendTo] = []
    claimed: dict[str, JobStarted] = {}
    parked: list[str] = []
    owners: dict[str, Owner] = {}
    timer: int | None = None
    behind: bool = False
    pause: str = ""
    waiting: int = 0


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """What a plan starts from: the checkpoint, the new events, and what laggards have not seen.

    `lagging[name]` are events between that processor's offset and the checkpoint.
    """

    stream: StreamId
    at: int
    own: tuple[int, int]
    rows: Mapping[str, Row]
    states: Mapping[str, bytes]
    events: Sequence[Event]
    lagging: Mapping[str, Sequence[Event]]
    now_ms: int


Claimer = Callable[[StartJob], JobStarted | None]
"""Says whether a job just decided is claimed in the same commit, and as what."""


def claim_nothing(job: StartJob) -> JobStarted | None:
    """The claimer of a worker without a free slot."""
    return None
