"""Finding runs in the log of their session, however far back, and reading their part of it.

The log is their only source. A session's runs are numbered in the order of the log and never overlap, so a run is
found by halving: some ten reads for a million events, and one more for every page in a row without any run.
"""

from __future__ import annotations

from services.errors import NotFound, TooLarge
from services.processors.late import late_results
from services.sessions.run_record import Record, RunDetail, RunLine, RunPage
from services.streams.event import Event, JobId, Offset, StreamId
from services.streams.keys import stream_of
from services.streams.log import Log
from services.streams.vocabulary import JobStarted, LLMRequested

PAGE = 200
# Of the search, and of what belongs to one run: 200,000 events of which none is of the run that is looked for.
MOST_PAGES = 1_000
NUMBERED = frozenset({"llm.requested", "llm.started"})
OF_A_RUN = frozenset(
    {
        "llm.requested",
        "llm.started",
        "llm.attempt_failed",
        "llm.settled",
        "tool.requested",
        "tool.started",
        "tool.settled",
    }
)
REQUESTED = frozenset({"llm.requested"})


class Runs:
    """The runs of the sessions of one store."""

    def __init__(self, log: Log) -> None:
        self._log = log

    def show(self, run: JobId) -> RunDetail:
        """One run. Raises: NotFound, TooLarge (the log around it is too long to be searched), Unavailable."""
        stream = stream_of(run)
        loaded = self._log.load(stream, limit=0)
        offset = _Search(self._log, stream, loaded.head).find(number_of(run)) if loaded.head else None
        if offset is None:
            raise NotFound(f"run {run}")
        record = Record(self._part(stream, offset, loaded.head), loaded.now)
        return record.detail(stream, late_results(self._log, run))

    def page(self, stream: StreamId, *, cursor: Offset | None = None, limit: int = 20) -> RunPage:
        """The runs of a session that were requested before the offset `cursor`, newest first. Looks a bounded
        way back, so that a page may be short, or empty, and still have a cursor. Raises: NotFound, Unavailable."""
        loaded = self._log.load(stream, limit=0)
        if not loaded.head:
            raise NotFound(f"session {stream}")
        lines: list[RunLine] = []
        upto = min(loaded.head, cursor - 1 if cursor is not None else loaded.head)
        for _ in range(MOST_PAGES):
            first = max(1, upto - PAGE + 1)
            for asked in reversed(self._page(stream, first, upto, REQUESTED)):
                lines.append(Record(self._part(stream, asked.offset, loaded.head), loaded.now).line())
                if len(lines) == limit:
                    return RunPage(runs=tuple(lines), cursor=asked.offset if asked.offset > 1 else None)
            upto = first - 1
            if not upto:
                return RunPage(runs=tuple(lines), cursor=None)
        return RunPage(runs=tuple(lines), cursor=upto + 1)

    def _part(self, stream: StreamId, offset: Offset, head: Offset) -> list[Event]:
        """The events of the run requested at `offset`, up to the next request."""
        events: list[Event] = []
        first = offset
        for _ in range(MOST_PAGES):
            last = min(head, first + PAGE - 1)
            for event in self._page(stream, first, last, OF_A_RUN):
                if event.type == "llm.requested" and event.offset > offset:
                    return events
                events.append(event)
            if last == head:
                return events
            first = last + 1
        raise TooLarge("the part of the log that belongs to the run", MOST_PAGES * PAGE, "events")

    def _page(self, stream: StreamId, first: Offset, last: Offset, types: frozenset[str]) -> list[Event]:
        return self._log.read(stream, after=first - 1, upto=last, limit=last - first + 1, types=types)


class _Search:
    """Finds the request of a run between the first event and `head`."""

    def __init__(self, log: Log, stream: StreamId, head: Offset) -> None:
        self._log, self._stream, self._head = log, stream, head
        self._pages = 0

    def find(self, number: int) -> Offset | None:
        """The offset of the request with this number; None when there is none. Raises: TooLarge."""
        low, high = 1, self._head
        while low <= high:
            middle = low if high - low < PAGE else (low + high) // 2
            seen = self._first(middle, high, number)
            if seen is None:
                high = middle - 1
                continue
            offset, found, is_it = seen
            if is_it:
                return offset
            if found < number:
                low = offset + 1
            else:
                high = middle - 1
        return None

    def _first(self, start: Offset, high: Offset, number: int) -> tuple[Offset, int, bool] | None:
        """Offset and number of the first event of any run from `start` on, and whether it is the request that is
        looked for, which counts as first on its page."""
        while start <= high:
            last = min(high, start + PAGE - 1)
            events = self._read(start, last)
            for event in events:
                if event.type == "llm.requested" and _number(event) == number:
                    return event.offset, number, True
            if events:
                return events[0].offset, _number(events[0]), False
            start = last + 1
        return None

    def _read(self, first: Offset, last: Offset) -> list[Event]:
        self._pages += 1
        if self._pages > MOST_PAGES:
            raise TooLarge("the part of the log without runs", MOST_PAGES * PAGE, "events")
        return self._log.read(
            self._stream, after=first - 1, upto=last, limit=last - first + 1, types=NUMBERED
        )


def number_of(run: JobId) -> int:
    """The number of a run in its session."""
    return int(run.partition("@")[2])


def _number(event: Event) -> int:
    if event.type == "llm.requested":
        return number_of(JobId(event.decode(LLMRequested).job))
    return number_of(JobId(event.decode(JobStarted).job))
