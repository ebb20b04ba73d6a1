"""The telemetry of one process: what is made at its start and flushed at every kind of its end."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from typing import NoReturn

from services.errors import ConfigurationError
from services.telemetry.counters import Counters, Gauge
from services.telemetry.otel import Otel
from services.telemetry.tracer import NoTracer, Tracer

# Of what is left of a process that ends in order, and of one that must end at once.
STOP_S = 1.5
LEAVE_S = 0.7


class Telemetry:
    """`tracer` for whoever makes spans, `counters` for whoever counts, `watch` for whoever sees the store.

    Without an exporter nothing of the SDK is imported or started.
    """

    def __init__(
        self,
        tracer: Tracer | None = None,
        counters: Counters | None = None,
        *,
        watch: Callable[[Callable[[], Sequence[Gauge]]], None] = lambda gauges: None,
        stops: Sequence[Callable[[float], None]] = (),
    ) -> None:
        self.tracer: Tracer = tracer or NoTracer()
        self.counters = counters or Counters()
        self.watch = watch
        self._stops = tuple(stops)

    def stop(self, within_s: float = STOP_S) -> None:
        """Export what ended, bounded in time, and nothing after that. Repeatable."""
        stops, self._stops = self._stops, ()
        for stop in stops:
            stop(within_s / len(stops))

    def leave(self, status: int) -> NoReturn:
        """End this process at once, but for what its spans need to get out."""
        try:
            self.stop(LEAVE_S)
        finally:
            os._exit(status)


def start_telemetry(otel: Otel, role: str) -> Telemetry:
    """The telemetry of a process that is a `role` (web, worker, beat). Raises: ConfigurationError."""
    if otel.traces is None and otel.metrics is None:
        return Telemetry()
    try:
        return _started(otel, role)
    except (ValueError, OSError) as error:
        # Not its words: they may quote headers.
        raise ConfigurationError(f"OTEL_*: the exporter can not be set up ({type(error).__name__})") from None


def _started(otel: Otel, role: str) -> Telemetry:
    from services.telemetry.exporters import resource_of, start_traces

    release, counters = _release(), Counters()
    resource = resource_of(role, release)
    tracer: Tracer | None = None
    watch: Callable[[Callable[[], Sequence[Gauge]]], None] = _watch_nothing
    stops: list[Callable[[float], None]] = []
    if otel.traces is not None:
        tracer, batches = start_traces(otel, resource, release, partial(_drop, counters))
        stops.append(batches.stop)
    if otel.metrics is not None:
        from services.telemetry.meters import Meters

        meters = Meters(otel, resource, release, counters)
        watch = meters.watch
        stops.append(meters.stop)
    return Telemetry(tracer, counters, watch=watch, stops=stops)


def _watch_nothing(gauges: Callable[[], Sequence[Gauge]]) -> None:
    """Where no metrics are exported."""


def _drop(counters: Counters, count: int, why: str) -> None:
    counters.add("turnwright_exports_dropped_total", "spans", why, by=count)


def _release() -> str:
    try:
        return version("turnwright")
    except PackageNotFoundError:
        return "unknown"
