"""What became of deliveries, read from their streams, and why those without an end wait. Bounded."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from services.diagnosis.backlog import decided_to, job_of, source_of
from services.diagnosis.delivery_wait import Owed, owed_of, why_owed
from services.diagnosis.wait import WaitReason
from services.processors.agent.state import AgentState
from services.sessions.inbound_values import Delivery
from services.sessions.inspection import Explain
from services.sessions.scans import SCAN_LIMIT, SCAN_PAGE
from services.streams.event import Event, Offset, StreamId
from services.streams.inbound_events import InboundQueued, InboundReceived, InboundSettled
from services.streams.ledger import name_of
from services.streams.log import Loaded, Log
from services.streams.store import translated

_FIELDS = ("state", "attempts", "error", "since", "due")


class Fates:
    """Tells of deliveries. `explain` says why a stream stands still, `workers` counts those that are alive."""

    def __init__(self, log: Log, explain: Explain, workers: Callable[[], int]) -> None:
        self._log, self._explain, self._workers = log, explain, workers

    def tell(self, deliveries: Sequence[tuple[StreamId, Offset]]) -> list[Delivery | None]:
        """One for each of `deliveries`, None where there is none. Raises: Unavailable."""
        wanted: dict[StreamId, set[Offset]] = {}
        for stream, offset in deliveries:
            wanted.setdefault(stream, set()).add(offset)
        told = {
            (stream, offset): one
            for stream, offsets in wanted.items()
            for offset, one in self._of_stream(stream, sorted(offsets))
        }
        return [told.get(each) for each in deliveries]

    def _of_stream(self, stream: StreamId, offsets: list[Offset]) -> Iterator[tuple[Offset, Delivery]]:
        # In this order: what the router decides meanwhile counts as decided.
        loaded = self._log.load(stream, limit=0)
        owed = self._owed(stream, offsets)
        unread = [offset for offset in offsets if offset not in owed and offset > decided_to(loaded)]
        until = {
            offset: "inbound.queued"
            if offset in owed
            else "inbound.received"
            if offset in unread
            else "inbound.settled"
            for offset in offsets
        }
        for offset, story in _stories(self._log, stream, until).items():
            if story.received is None:
                continue
            if story.settled is not None:
                yield offset, _ended(stream, story.received, story.settled)
            elif offset in owed:
                session = story.queued.session if story.queued else ""
                wait = why_owed(owed[offset], session, now=loaded.now, workers=self._workers())
                yield offset, _delivery(stream, story.received, session=session, wait=wait)
            elif offset in unread:
                yield offset, _delivery(stream, story.received, wait=self._undecided(stream, loaded))
            else:
                yield offset, _delivery(stream, story.received)

    def _owed(self, stream: StreamId, offsets: Sequence[Offset]) -> Mapping[Offset, Owed]:
        """The jobs of those that are on their way."""
        keys = self._log.keys
        jobs = [job_of(stream, offset) for offset in offsets]
        with translated():
            pipe = self._log.store.client.pipeline(transaction=False)
            for job in jobs:
                pipe.hmget(keys.job(job), *_FIELDS)
                pipe.zscore(keys.due(keys.shard(stream), "deliver"), job)
            answers = pipe.execute()
        rows = [
            owed_of(row, is_first=place is not None)
            for row, place in zip(answers[::2], answers[1::2], strict=True)
        ]
        return {offset: row for offset, row in zip(offsets, rows, strict=True) if row.is_open}

    def _undecided(self, stream: StreamId, loaded: Loaded) -> WaitReason:
        found = self._explain(stream, loaded, AgentState())
        return found or WaitReason(code="queued", text="queued for a worker")


class _Story:
    """What a stream tells of one delivery, up to the event that is the last to be known of it."""

    def __init__(self, until: str) -> None:
        self.until = until
        self.received: Event | None = None
        self.queued: InboundQueued | None = None
        self.settled: Event | None = None

    @property
    def is_told(self) -> bool:
        match self.until:
            case "inbound.received":
                return self.received is not None
            case "inbound.queued":
                return self.queued is not None or self.settled is not None
            case _:
                return self.settled is not None


def _stories(log: Log, stream: StreamId, until: Mapping[Offset, str]) -> dict[Offset, _Story]:
    """Read from each delivery on until the event that is the last to be known of it."""
    stories = {offset: _Story(last) for offset, last in until.items()}
    left, read_to = sorted(stories), 0
    while left:
        after = max(read_to, left[0] - 1)
        page = log.read(stream, after=after, limit=_page(after - left[0]))
        if not page:
            break
        for event in page:
            _note(stories, event)
        read_to = page[-1].offset
        left = [each for each in left if _is_open(stories[each], each, read_to)]
    return stories


def _page(behind: int) -> int:
    """Most deliveries end within a few events."""
    return SCAN_PAGE if behind > SCAN_PAGE else 50


def _is_open(story: _Story, offset: Offset, read_to: Offset) -> bool:
    if offset > read_to:
        return True
    return story.received is not None and not story.is_told and read_to - offset < SCAN_LIMIT


def _note(stories: Mapping[Offset, _Story], event: Event) -> None:
    match event.type:
        case "inbound.received" if event.offset in stories:
            stories[event.offset].received = event
        case "inbound.queued" if (queued := event.decode(InboundQueued)).delivery in stories:
            stories[queued.delivery].queued = queued
        case "inbound.settled" if (settled := event.decode(InboundSettled)).delivery in stories:
            stories[settled.delivery].settled = event


def _ended(stream: StreamId, received: Event, event: Event) -> Delivery:
    settled = event.decode(InboundSettled)
    return _delivery(stream, received, settled=settled, session=settled.session, ended_at=event.created_at)


def _delivery(
    stream: StreamId,
    event: Event,
    *,
    session: str = "",
    settled: InboundSettled | None = None,
    ended_at: int | None = None,
    wait: WaitReason | None = None,
) -> Delivery:
    received = event.decode(InboundReceived)
    return Delivery(
        id=name_of(stream, event.offset),
        source=source_of(stream),
        kind=received.kind,
        key=event.key or "",
        sent_at=received.sent_at,
        received_at=event.created_at,
        state=settled.state if settled else "pending" if wait else "unknown",
        reason=settled.reason if settled else "",
        session=session,
        offset=settled.offset if settled else 0,
        notice=settled.notice if settled else 0,
        ended_at=ended_at,
        wait=wait,
    )
