"""The ledger of received deliveries for people: each webhook that was kept, and what became of it.

Every page looks at a bounded number of deliveries, and of each at a bounded part of its stream.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import islice

import msgspec

from services.diagnosis.backlog import Backlog, source_of
from services.errors import Invalid, NotFound
from services.sessions.inbound_fates import Fates
from services.sessions.inbound_values import (
    DELIVERY_ID,
    Delivery,
    DeliveryDetail,
    DeliveryPage,
    DeliveryState,
)
from services.sessions.inspection import Explain
from services.streams.inbound_events import InboundReceived
from services.streams.ledger import Ledger, Place, parts_of
from services.streams.log import Log

# Deliveries that one page looks at; a page may be short, or empty, and still have a cursor.
INSPECTED = 300
# Deliveries that one page passes by because another sent them.
PASSED = 5000
_CHUNK = 100

_cursor = re.compile(rf"(\d{{1,15}})@({DELIVERY_ID})")
_delivery_id = re.compile(DELIVERY_ID)


class DeliveryFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which deliveries a list shows."""

    state: DeliveryState | None = None
    source: str | None = None


class Inbound:
    """Reads the deliveries of one store. `workers` counts those that are alive."""

    def __init__(self, log: Log, explain: Explain, workers: Callable[[], int] = lambda: 1) -> None:
        self._log = log
        self._ledger = Ledger(log.store, log.keys)
        self._backlog = Backlog(log)
        self._fates = Fates(log, explain, workers)

    def page(self, wanted: DeliveryFilter, *, cursor: str | None = None, limit: int = 50) -> DeliveryPage:
        """Deliveries of the last 14 days, the newest first. Raises: Invalid (cursor), Unavailable."""
        after = _place(cursor) if cursor else None
        places = self._pending(after) if wanted.state == "pending" else self._all(after)
        is_plain = wanted.state is None and wanted.source is None
        found: list[Delivery] = []
        looked = passed = 0
        while chunk := list(islice(places, min(_CHUNK, limit) if is_plain else _CHUNK)):
            fit = [place for place in chunk if wanted.source in (None, _source(place))]
            looked, passed = looked + len(fit), passed + len(chunk)
            told = self._fates.tell([parts_of(name) for _, name in fit])
            for place, one in zip(fit, told, strict=True):
                found += [one] if one is not None and wanted.state in (None, one.state) else []
                if len(found) == limit:
                    return DeliveryPage(deliveries=tuple(found), cursor=_name(place))
            if looked >= INSPECTED or passed >= PASSED:
                return DeliveryPage(deliveries=tuple(found), cursor=_name(chunk[-1]))
        return DeliveryPage(deliveries=tuple(found), cursor=None)

    def show(self, delivery: str) -> DeliveryDetail:
        """One delivery, as it was sent. Raises: NotFound, Unavailable."""
        if not _delivery_id.fullmatch(delivery):
            raise NotFound(f"delivery {delivery}")
        stream, offset = parts_of(delivery)
        event = self._log.get(stream, offset)
        (told,) = self._fates.tell([(stream, offset)])
        if event is None or told is None:
            raise NotFound(f"delivery {delivery}")
        received = event.decode(InboundReceived)
        return DeliveryDetail(delivery=told, headers=received.headers, body=received.body)

    def _pending(self, after: Place | None) -> Iterator[Place]:
        return (place for place in self._backlog.find() if after is None or place < after)

    def _all(self, after: Place | None) -> Iterator[Place]:
        while page := self._ledger.page(before=after, limit=_CHUNK):
            yield from page
            after = page[-1]


def _source(place: Place) -> str:
    return source_of(parts_of(place[1])[0])


def _name(place: Place) -> str:
    return f"{place[0]}@{place[1]}"


def _place(cursor: str) -> Place:
    found = _cursor.fullmatch(cursor)
    if found is None:
        raise Invalid("cursor", "is not one that a page gave")
    return int(found.group(1)), found.group(2)
