"""Histograms over OTLP, from the buckets that a process keeps anyway.

The SDK's own histogram would be told of every time when it is measured, which costs a turn more than all its other
numbers together. Imported only where an endpoint for metrics is configured.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Histogram,
    HistogramDataPoint,
    Metric,
    MetricsData,
    NumberDataPoint,
    Sum,
)

from services.telemetry.counters import BOUNDS_S, Known

Cells = Mapping[tuple[str, ...], list[int]]


class Histograms:
    """Puts the histogram `name` in the place of the counter that holds it; `times` is `Counters.times` of it.

    Cumulative or delta as the exporter wants it of whatever is observed.
    """

    def __init__(self, name: str, known: Known, times: Callable[[], Cells]) -> None:
        self._name, self._known, self._times = name, known, times
        self._told: Cells = {}

    def put_into(self, told: MetricsData) -> MetricsData:
        """`told` with the histogram as it is now."""
        now = self._times()
        before, self._told = self._told, now
        return MetricsData(
            [
                replace(
                    resource,
                    scope_metrics=[
                        replace(scope, metrics=[self._shown(one, now, before) for one in scope.metrics])
                        for scope in resource.scope_metrics
                    ],
                )
                for resource in told.resource_metrics
            ]
        )

    def _shown(self, metric: Metric, now: Cells, before: Cells) -> Metric:
        held = metric.data
        if metric.name != self._name or not isinstance(held, Sum):
            return metric
        is_delta = held.aggregation_temporality is AggregationTemporality.DELTA
        points = [self._point(point, now, before if is_delta else {}) for point in held.data_points]
        return replace(metric, unit="s", data=Histogram(points, held.aggregation_temporality))

    def _point(self, point: NumberDataPoint, now: Cells, before: Cells) -> HistogramDataPoint:
        labels = tuple(str((point.attributes or {})[label]) for label in self._known.labels)
        cells = now[labels]
        if (old := before.get(labels)) is not None:
            cells = [n - was for n, was in zip(cells, old, strict=True)]
        return HistogramDataPoint(
            attributes=point.attributes,
            start_time_unix_nano=point.start_time_unix_nano,
            time_unix_nano=point.time_unix_nano,
            count=sum(cells[:-1]),
            sum=cells[-1] / self._known.scale,
            bucket_counts=cells[:-1],
            explicit_bounds=BOUNDS_S,
            # Nobody keeps these, and the protocol does not ask for them.
            min=None,  # type: ignore[arg-type]  # optional in OTLP, and left out when it is None
            max=None,  # type: ignore[arg-type]  # as above
        )
