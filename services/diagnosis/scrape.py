"""One scrape of `/metrics`: what the store and all processes know, or what this process knows while it is away.

Counts of one process have names of their own: who adds up must not take them for those of all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from services.diagnosis.metrics import Metrics
from services.errors import Overloaded, Unavailable
from services.telemetry.counters import BOUNDS_S, CATALOGUE, Counters, Gauge, Series

Labels = Mapping[str, str]
PREFIX = "turnwright_"
ALONE = "turnwright_process_"


class Scrape:
    """Writes scrapes. `shared` raises Unavailable while the store is away; `here` is what this host alone knows."""

    def __init__(
        self,
        shared: Callable[[], Metrics],
        counters: Counters,
        version: str,
        *,
        here: Callable[[], list[Gauge]] = list,
    ) -> None:
        self._shared, self._counters, self._version, self._here = shared, counters, version, here

    def text(self) -> str:
        """Prometheus text format."""
        try:
            metrics = self._shared()
            gauges, counts, prefix = metrics.gauges(), metrics.counts(), PREFIX
        except (Unavailable, Overloaded):
            gauges, counts, prefix = [_info(self._version)], self._counters.totals(), ALONE
        is_up = Gauge("turnwright_store_up", "Whether the log store answers.", [({}, int(prefix == PREFIX))])
        lines: list[str] = []
        for gauge in [*gauges, is_up, *self._here()]:
            lines += _head(gauge.name, "gauge", gauge.about)
            lines += [_line(gauge.name, labels, value) for labels, value in gauge.samples]
        return "\n".join([*lines, *_counted(counts, prefix)]) + "\n"


def _info(version: str) -> Gauge:
    return Gauge("turnwright_info", "Release and store.", [({"version": version, "store": ""}, 1)])


def _counted(counts: Mapping[Series, int], prefix: str) -> Iterable[str]:
    for known_as, known in CATALOGUE.items():
        name = prefix + known_as.removeprefix(PREFIX)
        rows: dict[tuple[str, ...], dict[str, int]] = {}
        for series, n in sorted(counts.items(), key=lambda row: row[0].labels):
            if series.name == known_as:
                rows.setdefault(series.labels, {})[series.part] = n
        if prefix == PREFIX or rows:
            yield from _head(name, "histogram" if known.is_histogram else "counter", known.about)
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
