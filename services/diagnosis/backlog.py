"""Which deliveries of inbound streams have no outcome yet, found where workers find them. Writes nothing.

Those on their way to a session are jobs that are owed. Those nobody decided about yet are in streams that are
due, or whose router stands still.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping

import msgspec

from services.jobs.due import DueSets
from services.outbox.listing import Shelf
from services.processors.rows import rows_of
from services.streams.event import JobId, Offset, StreamId
from services.streams.keys import INBOUND, stream_of
from services.streams.ledger import Ledger, Place, name_of, parts_of
from services.streams.log import Loaded, Log
from services.streams.store import translated

ROUTER = "router"
# Streams that are looked at, and events in each of them that nobody decided about.
MOST_STREAMS = 500
MOST_UNREAD = 1000
# So many of the newest deliveries are asked whether their router stands still.
RECENT = 1000


class Pending(msgspec.Struct, frozen=True):
    """How many deliveries wait, by source, and when (epoch ms) the oldest was received; 0 for none."""

    sources: Mapping[str, int]
    oldest: int
    now: int


class Backlog:
    """Reads what one store owes to those who sent webhooks."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._shelf = Shelf(log.store, log.keys)
        self._ledger = Ledger(log.store, log.keys)
        self._due = DueSets(log.store, log.keys, grace_s=0)

    def find(self) -> list[Place]:
        """Every delivery without an outcome, the newest first. Raises: Unavailable."""
        _, unread = self._unread()
        names = {*self._queued(), *unread}
        times = self._ledger.times(names)
        return sorted(((times.get(name, 0), name) for name in names), reverse=True)

    def sizes(self) -> Pending:
        """How much waits. Raises: Unavailable."""
        now, unread = self._unread()
        names = {*self._queued(), *unread}
        times = self._ledger.times(names)
        sources = Counter(source_of(stream_of(name)) for name in names)
        return Pending(sources, min(times.values(), default=0), now)

    def _queued(self) -> Iterator[str]:
        for shard in range(self._log.keys.shards):
            for job in self._shelf.owed(shard):
                if offset := delivery_of(job):
                    yield name_of(stream_of(job), offset)

    def _unread(self) -> tuple[int, list[str]]:
        now, due = self._due.lowest(("advance",), most=MOST_UNREAD)
        streams = {StreamId(one.id) for one in due if one.id.startswith(INBOUND)}
        names: list[str] = []
        for stream in sorted(streams | self._stopped())[:MOST_STREAMS]:
            behind = decided_to(self._log.load(stream, limit=0))
            events = self._log.read(
                stream, after=behind, limit=MOST_UNREAD, types=frozenset({"inbound.received"})
            )
            names += [name_of(stream, event.offset) for event in events]
        return now, names

    def _stopped(self) -> set[StreamId]:
        """Streams whose router was parked: nothing of them is due."""
        streams = sorted({parts_of(name)[0] for _, name in self._ledger.page(limit=RECENT)})
        return {stream for stream, row in zip(streams, self._routers(streams), strict=True) if row}

    def _routers(self, streams: Collection[StreamId]) -> list[bool]:
        field = f"p:{ROUTER}"
        with translated():
            pipe = self._log.store.client.pipeline(transaction=False)
            for stream in streams:
                pipe.hmget(self._log.keys.meta(stream), field)
            rows = [value for (value,) in pipe.execute()]
        return [value is not None and rows_of({field: value})[ROUTER].status == "parked" for value in rows]


def source_of(stream: StreamId) -> str:
    """Who sent what is in an inbound stream."""
    return stream.removeprefix(INBOUND).partition(":")[0]


def delivery_of(job: JobId) -> Offset:
    """The offset of the delivery that a job takes to its session; 0 for other jobs."""
    number = job.rpartition("@n")[2]
    return int(number) if job.startswith(INBOUND) and number.isdecimal() else 0


def job_of(stream: StreamId, offset: Offset) -> JobId:
    """The job that takes a delivery to its session."""
    return JobId(f"{stream}@n{offset}")


def decided_to(loaded: Loaded) -> Offset:
    """Up to where the router of an inbound stream has decided."""
    row = rows_of(loaded.fields).get(ROUTER)
    return loaded.at if row is None or row.offset is None else row.offset
