"""The state of the store as metrics, and the counts of all processes together."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from services.diagnosis.backlog import Pending
from services.diagnosis.totals import Totals
from services.diagnosis.wait import WorkerCensus
from services.jobs.due import DueSets
from services.streams.admission import StoreFacts, inspect_store
from services.streams.keys import Kind
from services.streams.store import Store
from services.telemetry.counters import Gauge, Series

Labels = Mapping[str, str]


class Metrics:
    """Collects what the store knows. `census` counts live workers, `inbound` deliveries that wait."""

    def __init__(
        self,
        store: Store,
        due: DueSets,
        census: Callable[[], WorkerCensus],
        totals: Totals,
        version: str,
        *,
        inbound: Callable[[], Pending],
    ) -> None:
        self._store, self._due, self._census, self._inbound = store, due, census, inbound
        self._totals, self._version = totals, version

    def gauges(self) -> list[Gauge]:
        """The state of now. Raises: Unavailable."""
        facts: StoreFacts = inspect_store(self._store)
        now, lowest = self._due.lowest()
        ages: dict[str, float] = {}
        for one in lowest:
            ages[one.kind] = max(ages.get(one.kind, 0.0), (now - one.at) / 1000)
        owed, running = self._due.owed()
        census, inbound = self._census(), self._inbound()
        return [
            Gauge(
                "turnwright_info",
                "Release and store.",
                [({"version": self._version, "store": facts.server}, 1)],
            ),
            Gauge(
                "turnwright_due",
                "Members owed work by kind, now or once their time comes, held jobs included.",
                _by_kind({kind: owed[kind] + running[kind] for kind in owed}),
            ),
            Gauge(
                "turnwright_queued",
                "Members of the due sets whose time has come, by kind.",
                _by_kind(self._due.ripe(now)),
            ),
            Gauge("turnwright_running", "Jobs that somebody holds, by kind.", _by_kind(running)),
            Gauge(
                "turnwright_due_oldest_seconds",
                "How long the earliest due member of a kind has been due.",
                [({"kind": kind}, max(0.0, age)) for kind, age in sorted(ages.items())],
            ),
            Gauge(
                "turnwright_inbound_pending",
                "Deliveries without an outcome, by sender.",
                [({"source": source}, n) for source, n in sorted(inbound.sources.items())],
            ),
            Gauge(
                "turnwright_inbound_oldest_seconds",
                "How long ago the oldest delivery without an outcome was received.",
                [({}, max(0, inbound.now - inbound.oldest) / 1000 if inbound.oldest else 0)],
            ),
            Gauge("turnwright_workers", "Live worker processes.", [({}, census.count)]),
            Gauge("turnwright_slots_free", "Free slots of all workers.", [({}, census.free)]),
            Gauge(
                "turnwright_stuck_threads",
                "Threads of tools that were given up and have not ended.",
                [({}, census.stuck)],
            ),
            Gauge(
                "turnwright_store_memory_used_ratio", "Store memory in use of its limit.", [({}, facts.used)]
            ),
        ]

    def counts(self) -> Mapping[Series, int]:
        """What all processes counted. Raises: Unavailable."""
        return self._totals.read()


def _by_kind(sizes: Mapping[Kind, int]) -> list[tuple[Labels, float]]:
    return [({"kind": kind}, n) for kind, n in sizes.items()]
