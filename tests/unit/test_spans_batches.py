"""Spans on their way out, over the official SDK and HTTP: in batches, bounded, and never waited for."""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from services.telemetry.context import Trace, new_trace
from services.telemetry.otel import Batching
from services.telemetry.tracer import within
from tests.fakes.otlp_server import Collector, GrpcCollector, Mode
from tests.worker.waiting import wait_until

pytest.importorskip("opentelemetry.sdk")

from opentelemetry import trace as api
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as OverGrpc
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter
from opentelemetry.sdk.trace.sampling import (
    ALWAYS_OFF,
    ALWAYS_ON,
    DEFAULT_OFF,
    DEFAULT_ON,
    ParentBased,
    ParentBasedTraceIdRatio,
    Sampler,
    TraceIdRatioBased,
)

from services.telemetry.batches import Batches
from services.telemetry.recorded import FinishedSpan
from services.telemetry.sdk import SdkTracer

PARENT = Trace("a" * 32, "b" * 16, 1, "gen_ai.agent.name=a%20clerk")


class Dropped:
    """Counts by reason."""

    def __init__(self) -> None:
        self.by_reason: dict[str, int] = {}

    def __call__(self, count: int, why: str) -> None:
        self.by_reason[why] = self.by_reason.get(why, 0) + count


@contextmanager
def exporting(
    exporter: SpanExporter, dropped: Dropped, sampler: Sampler | None = None, **batching: float
) -> Iterator[tuple[SdkTracer, Batches]]:
    """A tracer that exports; batches of 5, at most 20 waiting, unless `batching` says otherwise."""
    chosen = Batching(
        queue=int(batching.get("queue", 20)),
        batch=int(batching.get("batch", 5)),
        delay_s=batching.get("delay_s", 30.0),
    )
    batches = Batches(exporter, chosen, dropped)
    yield SdkTracer(TracerProvider(sampler=sampler, shutdown_on_exit=False), batches, "1"), batches
    batches.stop(0.1)


def over_http(collector: Collector, timeout_s: float = 2.0) -> SpanExporter:
    """The official exporter to `collector`."""
    return OTLPSpanExporter(endpoint=f"{collector.url}/v1/traces", timeout=timeout_s)


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as running:
        yield running


def test_a_full_batch_goes_out_at_once_and_the_rest_with_a_flush(collector: Collector) -> None:
    dropped = Dropped()
    with exporting(over_http(collector), dropped) as (tracer, batches):
        for _ in range(7):
            tracer.begin("advance", parent=PARENT).end()
        wait_until(lambda: len(collector.spans) >= 5)
        assert batches.flush(5.0)
        assert len(collector.spans) == 7
    assert dropped.by_reason == {}


def test_what_is_alone_goes_out_after_the_delay(collector: Collector) -> None:
    with exporting(over_http(collector), Dropped(), delay_s=0.05) as (tracer, _):
        tracer.begin("advance", parent=PARENT).end()
        collector.wait_for(lambda spans: len(spans) == 1)


def test_a_span_keeps_what_it_was_told(collector: Collector) -> None:
    with exporting(over_http(collector), Dropped()) as (tracer, batches):
        span = tracer.begin(
            "chat tiny",
            kind="client",
            parent=PARENT,
            links=[Trace("c" * 32, "d" * 16, 1)],
            attributes={"session.id": "app:a"},
            start_ms=1_000.0,
            span_id="00f067aa0ba902b7",
        )
        span.set({"gen_ai.usage.input_tokens": 7})
        span.fail("overloaded")
        span.end()
        span.end()
        assert batches.flush(5.0)

    [sent] = collector.spans
    assert (sent.trace, sent.id, sent.parent) == ("a" * 32, "00f067aa0ba902b7", "b" * 16)
    assert (sent.kind, sent.began, sent.is_error) == ("client", 1000.0, True)
    assert sent.links == (("c" * 32, "d" * 16),)
    assert sent.attributes == {
        "session.id": "app:a",
        "gen_ai.agent.name": "a clerk",
        "gen_ai.usage.input_tokens": 7,
        "error.type": "overloaded",
    }


def test_a_given_id_is_used_once(collector: Collector) -> None:
    with exporting(over_http(collector), Dropped()) as (tracer, _):
        first = tracer.begin("invoke_agent a", parent=PARENT, span_id="00f067aa0ba902b7")
        second = tracer.begin("advance", parent=PARENT)
    assert first.trace.span_id == "00f067aa0ba902b7"
    assert second.trace.span_id != first.trace.span_id


def test_what_nobody_records_upstream_is_not_exported(collector: Collector) -> None:
    with exporting(over_http(collector), Dropped()) as (tracer, batches):
        span = tracer.begin("advance", parent=new_trace())
        span.end()
        assert batches.flush(5.0)
    assert not span.trace.is_sampled
    assert collector.spans == []


def test_what_does_not_fit_is_dropped_and_counted(collector: Collector) -> None:
    collector.mode = "slow"
    dropped = Dropped()
    with exporting(over_http(collector, timeout_s=30), dropped) as (tracer, batches):
        began = time.monotonic()
        for _ in range(5):
            tracer.begin("advance", parent=PARENT).end()
        wait_until(lambda: collector.requests == 1)
        for _ in range(100):
            tracer.begin("advance", parent=PARENT).end()
        assert dropped.by_reason == {"queue_full": 80}
        assert not batches.flush(0.2)
        assert time.monotonic() - began < 10


@pytest.mark.parametrize("mode", ["broken", "garbage", "hang_up"])
def test_what_a_collector_does_not_take_is_counted_and_later_spans_go_out(
    collector: Collector, mode: Mode
) -> None:
    collector.mode = mode
    dropped = Dropped()
    with exporting(over_http(collector, timeout_s=0.5), dropped) as (tracer, batches):
        tracer.begin("advance", parent=PARENT).end()
        assert batches.flush(10.0)
        is_taken = mode == "garbage"  # a 2xx is a yes, whatever it says
        assert dropped.by_reason == ({} if is_taken else {"export_failed": 1})
        collector.mode = "ok"
        tracer.begin("append", parent=PARENT).end()
        assert batches.flush(10.0)
        assert [each.name for each in collector.spans] == ["append"]


def test_a_collector_that_is_not_there_costs_no_caller_anything() -> None:
    dropped = Dropped()
    exporter = OTLPSpanExporter(endpoint="http://127.0.0.1:9/v1/traces", timeout=0.3)
    with exporting(exporter, dropped, queue=2048, batch=512) as (tracer, batches):
        took = []
        for _ in range(2000):
            began = time.perf_counter()
            tracer.begin("advance", parent=PARENT, attributes={"session.id": "app:a"}).end()
            took.append(time.perf_counter() - began)
        assert sorted(took)[len(took) // 2] < 0.001
        assert batches.flush(20.0)
    assert sum(dropped.by_reason.values()) == 2000


def test_many_threads_lose_no_span(collector: Collector) -> None:
    dropped = Dropped()
    with exporting(over_http(collector), dropped, queue=2048, batch=64) as (tracer, batches):

        def work() -> None:
            for _ in range(100):
                tracer.begin("advance", parent=PARENT).end()

        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert batches.flush(10.0)
    assert len({each.id for each in collector.spans}) == 800
    assert dropped.by_reason == {}


def test_spans_go_out_over_grpc_too() -> None:
    with GrpcCollector() as collector:
        exporter = OverGrpc(endpoint=collector.grpc_url, timeout=5)
        with exporting(exporter, Dropped()) as (tracer, batches):
            tracer.begin("advance", parent=PARENT).end()
            assert batches.flush(10.0)
        assert [each.name for each in collector.spans] == ["advance"]
        exporter.shutdown()


def test_a_span_of_ours_is_exported_like_one_that_the_sdk_made(collector: Collector) -> None:
    facts: dict[str, str | bool | int | float | tuple[str, ...]] = {
        "session.id": "app:a",
        "n": 3,
        "is": True,
        "s": 0.5,
        "many": ("a", "b"),
    }
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(over_http(collector)))
    with provider.get_tracer("turnwright", "1").start_as_current_span(
        "advance", kind=api.SpanKind.CONSUMER, attributes=facts
    ):
        pass
    with exporting(over_http(collector), Dropped()) as (tracer, batches):
        tracer.begin("advance", kind="consumer", attributes=facts).end()
        assert batches.flush(5.0)

    theirs, ours = collector.spans
    assert (ours.name, ours.kind, ours.attributes) == (theirs.name, theirs.kind, theirs.attributes)
    assert (ours.parent, ours.is_error) == (theirs.parent, theirs.is_error)
    assert ours.trace != theirs.trace


@pytest.mark.parametrize(
    "sampler", [ParentBased(ALWAYS_OFF), ParentBased(TraceIdRatioBased(0.0)), ALWAYS_OFF]
)
def test_what_the_sampler_leaves_out_goes_on_as_not_recorded(collector: Collector, sampler: Sampler) -> None:
    with exporting(over_http(collector), Dropped(), sampler) as (tracer, batches):
        root = tracer.begin("POST /api/prompts")
        child = tracer.begin("append", parent=root.trace)
        for span in (child, root):
            span.end()
        assert batches.flush(5.0)

    assert child.trace.trace_id == root.trace.trace_id
    assert not root.trace.is_sampled
    assert not child.trace.is_sampled
    assert collector.spans == []


def test_spans_of_a_tools_own_become_children(collector: Collector) -> None:
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(over_http(collector)))
    with exporting(over_http(collector), Dropped()) as (tracer, batches):
        with within(tracer.begin("execute_tool look_up", parent=PARENT), lets_in=True) as span:
            provider.get_tracer("theirs").start_span("query").end()
        assert batches.flush(5.0)

    theirs = next(each for each in collector.spans if each.name == "query")
    assert (theirs.trace, theirs.parent) == (span.trace.trace_id, span.trace.span_id)


@pytest.mark.parametrize(
    ("sampler", "caller_records", "is_recorded"),
    [
        (DEFAULT_ON, True, True),
        (DEFAULT_ON, False, False),
        (DEFAULT_OFF, True, True),
        (ParentBasedTraceIdRatio(0.0), True, True),
        (ParentBasedTraceIdRatio(1.0), False, False),
        (ALWAYS_ON, False, True),
        (ALWAYS_OFF, True, False),
        (TraceIdRatioBased(0.0), True, False),
        (TraceIdRatioBased(1.0), False, True),
        (ParentBased(ALWAYS_ON, remote_parent_sampled=ALWAYS_OFF), True, False),
        (ParentBased(ALWAYS_ON, remote_parent_not_sampled=ALWAYS_ON), False, True),
    ],
)
def test_within_a_callers_trace_it_is_as_the_sampler_says(
    collector: Collector, sampler: Sampler, caller_records: bool, is_recorded: bool
) -> None:
    caller = Trace("a" * 32, "b" * 16, int(caller_records))
    with exporting(over_http(collector), Dropped(), sampler) as (tracer, batches):
        span = tracer.begin("append", parent=caller)
        span.end()
        assert batches.flush(5.0)

    assert span.trace.trace_id == caller.trace_id
    assert span.trace.is_sampled is is_recorded
    assert [each.parent for each in collector.spans] == ([caller.span_id] if is_recorded else [])


def test_texts_longer_than_the_sdk_is_told_to_keep_are_cut(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "4")
    with exporting(over_http(collector), Dropped()) as (tracer, batches):
        tracer.begin("append", attributes={"session.id": "app:abc", "turnwright.events": 12345}).end()
        assert batches.flush(5.0)

    assert collector.spans[0].attributes == {"session.id": "app:", "turnwright.events": 12345}


def test_spans_that_wait_are_nothing_for_the_garbage_collector(collector: Collector) -> None:
    """Those that wait a while would otherwise have it look through the whole process again and again."""
    taken: list[FinishedSpan] = []

    class Kept:
        def take(self, span: FinishedSpan) -> None:
            taken.append(span)

    tracer = SdkTracer(TracerProvider(shutdown_on_exit=False), Kept(), "1")
    span = tracer.begin("append", parent=PARENT, attributes={"session.id": "app:a"})
    span.set({"turnwright.events": 2, "turnwright.cost_usd": 0.5})
    span.end()

    [kept] = taken
    assert not any(map(gc.is_tracked, (kept, kept.begun, kept.begun.trace, kept.attributes)))
