"""What a process counted, as a collector gets it from the official SDK and exporter over HTTP."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from services.telemetry.counters import BOUNDS_S, Counters
from services.telemetry.otel import Otel
from tests.fakes.otlp_server import Collector

pytest.importorskip("opentelemetry.sdk")

from opentelemetry.proto.metrics.v1.metrics_pb2 import AggregationTemporality, Histogram, Metric

from services.telemetry.exporters import resource_of
from services.telemetry.meters import Meters

STORE = "turnwright_store_seconds"
HOUR_S = 3600.0


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    with Collector() as running:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", running.url)
        yield running


def counting(counters: Counters) -> Meters:
    """Exports when it is told to."""
    otel = Otel(metrics="http/protobuf", metrics_s=HOUR_S, timeout_s=5.0)
    return Meters(otel, resource_of("worker", "1"), "1", counters)


def exported(collector: Collector, name: str) -> list[Metric]:
    """What was told of a metric, export by export."""
    return [
        metric
        for asked in collector.metrics
        for resource in asked.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
        if metric.name == name
    ]


def buckets(histogram: Histogram) -> dict[str, list[int]]:
    """The counts of a histogram's buckets by script."""
    return {
        point.attributes[0].value.string_value: list(point.bucket_counts) for point in histogram.data_points
    }


def expected(*seconds: float) -> list[int]:
    """The buckets of some times."""
    above = [sum(each > bound for each in seconds) for bound in BOUNDS_S]
    return [before - after for before, after in zip([len(seconds), *above], [*above, 0], strict=True)]


def test_times_of_the_store_are_told_as_a_histogram(collector: Collector) -> None:
    counters = Counters()
    meters = counting(counters)
    for seconds in (0.0004, 0.003, 9.0):
        counters.observe(STORE, seconds, "append")
    counters.observe(STORE, 0.02, "commit")

    meters.stop(5.0)

    [metric] = exported(collector, "turnwright.store_seconds")
    assert (metric.unit, metric.WhichOneof("data")) == ("s", "histogram")
    assert buckets(metric.histogram) == {"append": expected(0.0004, 0.003, 9.0), "commit": expected(0.02)}
    [append] = [p for p in metric.histogram.data_points if p.attributes[0].value.string_value == "append"]
    assert (append.count, round(append.sum, 4), list(append.explicit_bounds)) == (3, 9.0034, list(BOUNDS_S))
    assert 0 < append.start_time_unix_nano <= append.time_unix_nano
    assert not append.HasField("min")


@pytest.mark.parametrize(
    ("preferred", "temporality", "second"),
    [
        (
            "cumulative",
            AggregationTemporality.AGGREGATION_TEMPORALITY_CUMULATIVE,
            expected(0.003, 0.02, 0.02),
        ),
        ("delta", AggregationTemporality.AGGREGATION_TEMPORALITY_DELTA, expected(0.02, 0.02)),
    ],
)
def test_a_histogram_is_told_anew_or_as_what_was_added_as_the_backend_wants_it(
    collector: Collector,
    monkeypatch: pytest.MonkeyPatch,
    preferred: str,
    temporality: int,
    second: list[int],
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", preferred)
    counters = Counters()
    meters = counting(counters)
    counters.observe(STORE, 0.003, "append")
    meters.flush()
    counters.observe(STORE, 0.02, "append")
    counters.observe(STORE, 0.02, "append")

    meters.stop(5.0)

    one, other = exported(collector, "turnwright.store_seconds")
    assert [int(each.histogram.aggregation_temporality) for each in (one, other)] == [temporality] * 2
    assert buckets(one.histogram) == {"append": expected(0.003)}
    assert buckets(other.histogram) == {"append": second}
    assert other.histogram.data_points[0].count == sum(second)


def test_counts_are_told_by_their_labels(collector: Collector) -> None:
    counters = Counters()
    meters = counting(counters)
    counters.add("turnwright_turns_total", "answered", by=3)
    counters.add("turnwright_cost_usd_total", "acme:tiny", by=1_250_000)

    meters.stop(5.0)

    [turns] = exported(collector, "turnwright.turns")
    [cost] = exported(collector, "turnwright.cost_usd")
    assert [(p.as_int, p.attributes[0].value.string_value) for p in turns.sum.data_points] == [
        (3, "answered")
    ]
    assert cost.sum.data_points[0].as_double == 1.25
    assert turns.sum.is_monotonic


def test_what_no_collector_takes_is_counted(collector: Collector) -> None:
    collector.mode = "hang_up"
    counters = Counters()
    meters = counting(counters)
    counters.observe(STORE, 0.003, "append")

    meters.flush()

    lost = {series.labels: n for series, n in counters.totals().items() if "dropped" in series.name}
    assert lost == {("metrics", "export_failed"): 1}
