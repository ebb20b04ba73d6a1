"""Metrics in Prometheus text format, read from the store at scrape time: true across all processes."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from services.diagnosis.wait import WorkerCensus
from services.jobs.due import DueSets
from services.streams.admission import StoreFacts, inspect_store
from services.streams.store import Store

Sample = tuple[Mapping[str, str], float]


class Metrics:
    """Collects what `/metrics` shows. `census` counts live workers."""

    def __init__(self, store: Store, due: DueSets, census: Callable[[], WorkerCensus], version: str) -> None:
        self._store, self._due, self._census, self._version = store, due, census, version

    def text(self) -> str:
        """One scrape. Raises: Unavailable."""
        facts: StoreFacts = inspect_store(self._store)
        now, lowest = self._due.lowest()
        ages: dict[str, float] = {}
        for one in lowest:
            ages[one.kind] = max(ages.get(one.kind, 0.0), (now - one.at) / 1000)
        lines: list[str] = []
        lines += _metric(
            "turnwright_info",
            "gauge",
            "Release and store.",
            [({"version": self._version, "store": facts.server}, 1)],
        )
        lines += _metric(
            "turnwright_due",
            "gauge",
            "Members owed work by kind, held jobs included.",
            [({"kind": kind}, size) for kind, size in self._due.sizes().items()],
        )
        lines += _metric(
            "turnwright_due_oldest_seconds",
            "gauge",
            "How long the earliest due member of a kind has been due.",
            [({"kind": kind}, max(0.0, age)) for kind, age in sorted(ages.items())],
        )
        census = self._census()
        lines += _metric("turnwright_workers", "gauge", "Live worker processes.", [({}, census.count)])
        lines += _metric("turnwright_slots_free", "gauge", "Free slots of all workers.", [({}, census.free)])
        stuck = "Threads of tools that were given up and have not ended."
        lines += _metric("turnwright_stuck_threads", "gauge", stuck, [({}, census.stuck)])
        lines += _metric(
            "turnwright_store_memory_used_ratio",
            "gauge",
            "Store memory in use of its limit.",
            [({}, facts.used)],
        )
        return "\n".join(lines) + "\n"


def _metric(name: str, kind: str, about: str, samples: list[Sample]) -> list[str]:
    lines = [f"# HELP {name} {about}", f"# TYPE {name} {kind}"]
    for labels, value in samples:
        shown = ",".join(f'{key}="{_escape(text)}"' for key, text in labels.items())
        lines.append(f"{name}{{{shown}}} {value}" if shown else f"{name} {value}")
    return lines


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
