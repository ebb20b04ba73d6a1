"""A host's spool over a real log, step by step: no thread, and a store that tests take away."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from services.faults import Faults
from services.spool.database import current_file
from services.spool.drainer import Drainer
from services.spool.entry import Appender, Entry
from services.spool.file import Bounds, SpoolFile
from services.spool.keeping import OrSpooled
from services.spool.reach import Reach
from services.spool.spool import COUNT, Spool
from services.streams.event import EventInput, StreamId
from services.streams.inbound_events import InboundReceived
from services.streams.log import Log
from services.streams.vocabulary import StreamCreated
from services.telemetry.counters import Counters

RECEIVED_MS = 1_700_000_000_000


def entry(stream: str = "inbound:slack:T1:C1", key: str = "slack:1", body: str = "{}", at: int = 0) -> Entry:
    """A webhook that is to be kept."""
    received = InboundReceived(source="slack", kind="mention", body=body, sent_at=RECEIVED_MS + at)
    return Entry(
        stream=StreamId(stream),
        event=EventInput.of("inbound.received", received, key=key),
        beginning=EventInput.of("stream.created", StreamCreated(source="slack")),
        received_ms=RECEIVED_MS + at,
    )


class Host:
    """What one process of a host has. Several share a `folder`; `log` may be out of reach."""

    def __init__(self, folder: Path, log: Log, *, bounds: Bounds | None = None) -> None:
        self.log, self.counters = log, Counters()
        self.file = SpoolFile(folder, bounds)
        self.spool = Spool(self.file, self.counters)
        self.reach = Reach(lambda: self._ask())
        self.beside: list[str] = []
        appender = Appender(log, lambda entry: self.beside.append(entry.answer_at))
        self.keeper = OrSpooled(lambda: appender, self.spool, self.reach, Faults(None))
        self.drainer = Drainer(lambda: appender, self.spool, self.file, self.reach, faults=Faults(None))

    def keep(self, *entries: Entry) -> list[str]:
        """Where each of them went."""
        return [self.keeper.keep(each) for each in entries]

    def counted(self, outcome: str) -> int:
        """How often something happened in this process."""
        found = {series.labels: n for series, n in self.counters.totals().items() if series.name == COUNT}
        return found.get((outcome,), 0)

    def kept(self, stream: str = "inbound:slack:T1:C1") -> list[str]:
        """The keys of what a stream has, in order."""
        events = self.log.read(StreamId(stream), after=0)
        return [each.key or "" for each in events if each.type == "inbound.received"]

    def close(self) -> None:
        """End the process."""
        self.drainer.stop()

    def _ask(self) -> None:
        self.log.head(StreamId("inbound:nothing"))


def sql(folder: Path, statement: str) -> list[tuple[object, ...]]:
    """Look at the file, or change it, as no product code does."""
    path = current_file(folder)
    assert path is not None
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        return db.execute(statement).fetchall()
