"""Counts of one process, and the catalogue of all there are: what `/metrics` shows and what is exported.

Labels are few and fixed: kinds, outcomes, models of the configuration. Never ids.
"""

from __future__ import annotations

import bisect
import threading
from collections.abc import Mapping

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
    "turnwright_inbound_total": Known("Webhooks by sender and what was done.", ("source", "outcome")),
    "turnwright_ticks_total": Known(
        "Ticks of triggers by what became of them; those passed over in a row count once.", ("state",)
    ),
    "turnwright_inbound_settled_total": Known("Deliveries by what became of them.", ("state",)),
    "turnwright_signs_left_total": Known(
        "Signs that a turn runs which stay in a thread, as taking them back failed too often.", ("channel",)
    ),
    "turnwright_spool_total": Known("Webhooks kept on a host while the store was away.", ("outcome",)),
    "turnwright_takes_total": Known("Members of due sets taken or claimed for work.", ("kind",)),
    "turnwright_hints_total": Known("Hints sent to the broker.", ("kind",)),
    "turnwright_relayed_hints_total": Known("Hints that a relay sent again.", ("kind",)),
    "turnwright_hints_dropped_total": Known("Hints that never reached the broker.", ("reason",)),
    "turnwright_exports_dropped_total": Known("Telemetry that no collector took.", ("signal", "reason")),
    "turnwright_tick_late_seconds": Known(
        "Time from when a tick was due to when it was in its session.", is_histogram=True, scale=1_000_000
    ),
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
        self._counts: dict[tuple[str, tuple[str, ...]], int] = {}
        # What each bucket holds, then what is above all of them, then the sum in microseconds.
        self._times: dict[tuple[str, tuple[str, ...]], list[int]] = {}
        self._told: dict[Series, int] = {}

    def add(self, name: str, *labels: str, by: int = 1) -> None:
        """Count `by` more under the labels, in the order of the catalogue."""
        if by:
            key = name, labels
            with self._lock:
                if key not in self._counts and len(self._counts) >= MOST_FIELDS:
                    key = name, ("other",) * len(labels)
                self._counts[key] = self._counts.get(key, 0) + by

    def observe(self, name: str, seconds: float, *labels: str) -> None:
        """One more time of a histogram, whose labels are few and ours."""
        key, bucket = (name, labels), bisect.bisect_left(BOUNDS_S, seconds)
        with self._lock:
            cells = self._times.get(key)
            if cells is None:
                cells = self._times[key] = [0] * (len(BOUNDS_S) + 2)
            cells[bucket] += 1
            cells[-1] += int(seconds * 1_000_000)

    def totals(self) -> dict[Series, int]:
        """Everything since the process began."""
        with self._lock:
            found = {Series(name, labels): n for (name, labels), n in self._counts.items()}
            for (name, labels), cells in self._times.items():
                parts = [*map(str, range(len(cells) - 1)), "sum"]
                found |= {Series(name, labels, part): n for part, n in zip(parts, cells, strict=True) if n}
        return found

    def times(self, name: str) -> dict[tuple[str, ...], list[int]]:
        """A histogram by labels: what each bucket holds, what is above all, and the sum in microseconds."""
        with self._lock:
            return {labels: list(cells) for (of, labels), cells in self._times.items() if of == name}

    def untold(self) -> dict[Series, int]:
        """What was counted since it was last `told`."""
        found = {series: n - self._told.get(series, 0) for series, n in self.totals().items()}
        return {series: n for series, n in found.items() if n}

    def told(self, counts: Mapping[Series, int]) -> None:
        """These are known elsewhere now."""
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
