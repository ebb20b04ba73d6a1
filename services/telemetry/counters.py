"""Counts of one process, and the catalogue of all there are: what `/metrics` shows and what is exported.

Labels are few and fixed: kinds, outcomes, models of the configuration. Never ids.
"""

from __future__ import annotations

import bisect
import threading
from collections.abc import Callable, Mapping

import msgspec

BOUNDS_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 2.5)
# A provider's package may invent models: what comes after so many different counts goes under "other".
MOST_FIELDS = 400
LABEL_LIMIT = 100


class Known(msgspec.Struct, frozen=True):
    """One metric. `scale`: counts are kept as whole numbers, shown divided by it."""

    about: str
    labels: tuple[str, ...] = ()
    is_histogram: bool = False
    scale: int = 1


CATALOGUE: Mapping[str, Known] = {
    "turnwright_turns_total": Known("Turns that ended.", ("outcome",)),
    "turnwright_llm_attempts_total": Known("Attempts at models by how they ended.", ("model", "outcome")),
    "turnwright_tokens_total": Known("Tokens as vendors count them.", ("model", "kind")),
    "turnwright_cost_usd_total": Known("What tokens cost by the price table.", ("model",), scale=1_000_000),
    "turnwright_tool_calls_total": Known("Tool calls by how they ended.", ("outcome",)),
    "turnwright_deliveries_total": Known("Replies by how they ended.", ("outcome",)),
    "turnwright_takes_total": Known("Members of due sets taken or claimed for work.", ("kind",)),
    "turnwright_hints_total": Known("Hints sent to the broker.", ("kind",)),
    "turnwright_relayed_hints_total": Known("Hints that a relay sent again.", ("kind",)),
    "turnwright_hints_dropped_total": Known("Hints that never reached the broker.", ("reason",)),
    "turnwright_exports_dropped_total": Known("Telemetry that no collector took.", ("signal", "reason")),
    "turnwright_store_seconds": Known(
        "Time of a store script.", ("script",), is_histogram=True, scale=1_000_000
    ),
}


class Gauge(msgspec.Struct, frozen=True):
    """A number of now, by labels."""

    name: str
    about: str
    samples: list[tuple[Mapping[str, str], float]]


class Series(msgspec.Struct, frozen=True):
    """One count: a metric of the catalogue, its labels in the catalogue's order, and a histogram's part.

    `part` is empty for a plain count, `sum`, or the index of a bucket.
    """

    name: str
    labels: tuple[str, ...]
    part: str = ""


class Counters:
    """Counts by series, since the process began. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._totals: dict[Series, int] = {}
        self._told: dict[Series, int] = {}
        self._listeners: dict[str, Callable[[float, tuple[str, ...]], None]] = {}

    def add(self, name: str, *labels: str, by: int = 1) -> None:
        """Count `by` more under the labels, in the order of the catalogue."""
        if by:
            with self._lock:
                self._add(Series(name, labels), by)

    def observe(self, name: str, seconds: float, *labels: str) -> None:
        """One more time of a histogram."""
        bucket = str(bisect.bisect_left(BOUNDS_S, seconds))
        with self._lock:
            self._add(Series(name, labels, bucket), 1)
            self._add(Series(name, labels, "sum"), int(seconds * 1_000_000))

        if heard := self._listeners.get(name):
            heard(seconds, labels)

    def also_observe(self, name: str, heard: Callable[[float, tuple[str, ...]], None]) -> None:
        """Let `heard` know of every time of a histogram, with its labels; it never raises."""
        self._listeners[name] = heard

    def _add(self, series: Series, by: int) -> None:
        old = self._totals.get(series)
        if old is None and len(self._totals) >= MOST_FIELDS:
            series = Series(series.name, ("other",) * len(series.labels), series.part)
            old = self._totals.get(series)
        self._totals[series] = (old or 0) + by

    def totals(self) -> dict[Series, int]:
        """Everything since the process began."""
        with self._lock:
            return dict(self._totals)

    def untold(self) -> dict[Series, int]:
        """What was counted since it was last `told`."""
        with self._lock:
            found = {series: n - self._told.get(series, 0) for series, n in self._totals.items()}
        return {series: n for series, n in found.items() if n}

    def told(self, counts: Mapping[Series, int]) -> None:
        """These are known elsewhere now."""
        with self._lock:
            for series, n in counts.items():
                self._told[series] = self._told.get(series, 0) + n


def field_of(series: Series) -> str:
    """A series as the field of a hash."""
    labels = (label.replace("|", "_")[:LABEL_LIMIT] for label in series.labels)
    return "|".join((series.name, series.part, *labels))


def series_of(field: str) -> Series | None:
    """The series of a field; None for one that another release wrote."""
    name, part, *labels = [*field.split("|"), "", ""][: max(2, field.count("|") + 1)]
    known = CATALOGUE.get(name)
    if known is None or len(labels) != len(known.labels):
        return None
    return Series(name, tuple(labels), part)
