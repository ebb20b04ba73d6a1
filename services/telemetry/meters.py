"""Counts over OTLP: what this process counted, and what whoever watches the store sees there.

Imported only where an endpoint for metrics is configured.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial

from opentelemetry.metrics import CallbackOptions, Observation
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import (
    MetricExporter,
    MetricExportResult,
    MetricsData,
    PeriodicExportingMetricReader,
)
from opentelemetry.sdk.resources import Resource

from services.errors import TurnwrightError
from services.telemetry.counters import CATALOGUE, Counters, Gauge, Known
from services.telemetry.histograms import Histograms
from services.telemetry.otel import Otel

FRESH_S = 1.0


class Meters:
    """Exports the counts of `counters` every `otel.metrics_s`."""

    def __init__(self, otel: Otel, resource: Resource, version: str, counters: Counters) -> None:
        reader = PeriodicExportingMetricReader(
            _Counted(_exporter(otel), counters), export_interval_millis=otel.metrics_s * 1000
        )
        self._provider = MeterProvider([reader], resource=resource, shutdown_on_exit=False)
        self._meter = self._provider.get_meter("turnwright", version)
        for name, known in CATALOGUE.items():
            read = _timing if known.is_histogram else _reading
            self._meter.create_observable_counter(
                _dotted(name), [read(name, known, counters)], description=known.about
            )

    def watch(self, gauges: Callable[[], Sequence[Gauge]]) -> None:
        """Export what `gauges` sees too; it may raise TurnwrightError."""
        seen = _Fresh(gauges)
        for gauge in seen():
            self._meter.create_observable_gauge(
                _dotted(gauge.name), [seen.reading(gauge.name)], description=gauge.about
            )

    def flush(self) -> None:
        """Export now."""
        self._provider.force_flush()

    def stop(self, within_s: float) -> None:
        """Export a last time, bounded in time."""
        millis = within_s * 1000
        # The SDK's own limit ends between exports only.
        last = threading.Thread(target=lambda: self._provider.shutdown(millis), daemon=True)
        last.start()
        last.join(within_s)


class _Fresh:
    """What was seen at most a second ago, so that one export looks once."""

    def __init__(self, gauges: Callable[[], Sequence[Gauge]]) -> None:
        self._gauges, self._at = gauges, -FRESH_S
        self._seen: Sequence[Gauge] = ()

    def __call__(self) -> Sequence[Gauge]:
        if time.monotonic() - self._at >= FRESH_S:
            self._at = time.monotonic()
            try:
                self._seen = self._gauges()
            except TurnwrightError:
                self._seen = ()
        return self._seen

    def reading(self, name: str) -> Callable[[CallbackOptions], Iterable[Observation]]:
        def read(options: CallbackOptions) -> Iterable[Observation]:
            for gauge in self():
                if gauge.name == name:
                    yield from (Observation(value, dict(labels)) for labels, value in gauge.samples)

        return read


class _Counted(MetricExporter):
    """Puts histograms in their places, and counts what could not be exported."""

    def __init__(self, inner: MetricExporter, counters: Counters) -> None:
        super().__init__(inner._preferred_temporality, inner._preferred_aggregation)
        self._inner, self._counters = inner, counters
        self._histograms = [
            Histograms(_dotted(name), known, partial(counters.times, name))
            for name, known in CATALOGUE.items()
            if known.is_histogram
        ]

    def export(
        self, metrics_data: MetricsData, timeout_millis: float = 10_000, **options: object
    ) -> MetricExportResult:
        try:
            for histograms in self._histograms:
                metrics_data = histograms.put_into(metrics_data)
            result = self._inner.export(metrics_data, timeout_millis)
        except Exception:
            # The edge to a foreign exporter.
            result = MetricExportResult.FAILURE
        if result is not MetricExportResult.SUCCESS:
            self._counters.add("turnwright_exports_dropped_total", "metrics", "export_failed")
        return result

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        return self._inner.force_flush(timeout_millis)

    def shutdown(self, timeout_millis: float = 30_000, **options: object) -> None:
        self._inner.shutdown(timeout_millis)


def _reading(
    name: str, known: Known, counters: Counters
) -> Callable[[CallbackOptions], Iterable[Observation]]:
    def read(options: CallbackOptions) -> Iterable[Observation]:
        for series, n in counters.totals().items():
            if series.name == name:
                value = n if known.scale == 1 else n / known.scale
                yield Observation(value, dict(zip(known.labels, series.labels, strict=True)))

    return read


def _timing(
    name: str, known: Known, counters: Counters
) -> Callable[[CallbackOptions], Iterable[Observation]]:
    """The SDK has no histogram that is asked: a counter of the same name holds its place until it is exported."""

    def read(options: CallbackOptions) -> Iterable[Observation]:
        for labels, cells in counters.times(name).items():
            yield Observation(sum(cells[:-1]), dict(zip(known.labels, labels, strict=True)))

    return read


def _dotted(name: str) -> str:
    return name.removesuffix("_total").replace("turnwright_", "turnwright.", 1)


def _exporter(otel: Otel) -> MetricExporter:
    if otel.metrics == "grpc":
        from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter as OverGrpc

        return OverGrpc(timeout=otel.timeout_s)
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter

    return OTLPMetricExporter(timeout=otel.timeout_s)
