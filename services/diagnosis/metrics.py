"""What `/metrics` shows: the state of the store at scrape time, and the counts of all processes together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from services.diagnosis.backlog import Pending
from services.diagnosis.totals import Totals
from services.diagnosis.wait import WorkerCensus
from services.jobs.due import DueSets
from services.streams.admission import StoreFacts, inspect_store
from services.streams.keys import Kind
from services.streams.store import Store
from services.telemetry.counters import BOUNDS_S, CATALOGUE, Gauge, Series

Labels = Mapping[str, str]


class Metrics:
    """Collects what `/metrics` shows.

    `census` counts live workers, `inbound` deliveries that wait; `here` is what this host alone knows.
    """

    def __init__(
        self,
        store: Store,
        due: DueSets,
        census: Callable[[], WorkerCensus],
        totals: Totals,
        version: str,
        *,
        inbound: Callable[[], Pending],
        here: Callable[[], list[Gauge]] = list,
    ) -> None:
        self._store, self._due, self._census, self._inbound = store, due, census, inbound
        self._totals, self._version, self._here = totals, version, here

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
                "Members owed work by kind, held jobs included.",
                _by_kind({kind: owed[kind] + running[kind] for kind in owed}),
            ),
            Gauge("turnwright_queued", "Members of the due sets by kind.", _by_kind(owed)),
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
            *self._here(),
        ]

    def text(self) -> str:
        """One scrape in Prometheus text format. Raises: Unavailable."""
        lines: list[str] = []
        for gauge in self.gauges():
            lines += _head(gauge.name, "gauge", gauge.about)
            lines += [_line(gauge.name, labels, value) for labels, value in gauge.samples]
        return "\n".join([*lines, *_counted(self._totals.read())]) + "\n"


def _by_kind(sizes: Mapping[Kind, int]) -> list[tuple[Labels, float]]:
    return [({"kind": kind}, n) for kind, n in sizes.items()]


def _counted(counts: Mapping[Series, int]) -> Iterable[str]:
    for name, known in CATALOGUE.items():
        yield from _head(name, "histogram" if known.is_histogram else "counter", known.about)
        rows: dict[tuple[str, ...], dict[str, int]] = {}
        for series, n in sorted(counts.items(), key=lambda row: row[0].labels):
            if series.name == name:
                rows.setdefault(series.labels, {})[series.part] = n
        for values, parts in rows.items():
            labels = dict(zip(known.labels, values, strict=True))
            if known.is_histogram:
                yield from _histogram(name, labels, parts, known.scale)
            else:
                yield _line(name, labels, parts.get("", 0) / known.scale)


def _histogram(name: str, labels: Labels, parts: Mapping[str, int], scale: int) -> Iterable[str]:
    seen = 0
    for i, bound in enumerate([*map(str, BOUNDS_S), "+Inf"]):
        seen += parts.get(str(i), 0)
        yield _line(f"{name}_bucket", {**labels, "le": bound}, seen)
    yield _line(f"{name}_sum", labels, parts.get("sum", 0) / scale)
    yield _line(f"{name}_count", labels, seen)


def _head(name: str, kind: str, about: str) -> list[str]:
    return [f"# HELP {name} {about}", f"# TYPE {name} {kind}"]


def _line(name: str, labels: Labels, value: float) -> str:
    shown = ",".join(f'{key}="{_escape(text)}"' for key, text in labels.items())
    number = int(value) if float(value).is_integer() else value
    return f"{name}{{{shown}}} {number}" if shown else f"{name} {number}"


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
