"""The tracer over the official SDK. Imported only where an exporter is configured.

Sampler, ids, resource, limits and exporters are the SDK's. A span of ours becomes an SDK span when it ends: made
through the SDK's own `start_span` each would cost three times as much, most of it for checks of types.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import cast

from opentelemetry import context as otel
from opentelemetry import trace as api
from opentelemetry.sdk.trace import ReadableSpan, SpanLimits, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.sampling import Decision
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace.status import Status

from services.telemetry.context import SAMPLED, Trace, baggage_items
from services.telemetry.conventions import ERROR_TYPE, SpanKind
from services.telemetry.tracer import Attribute, Attributes, Span, Unrecorded

KINDS: dict[SpanKind, api.SpanKind] = {
    "internal": api.SpanKind.INTERNAL,
    "server": api.SpanKind.SERVER,
    "client": api.SpanKind.CLIENT,
    "producer": api.SpanKind.PRODUCER,
    "consumer": api.SpanKind.CONSUMER,
}
_FAILED, _UNSET = Status(api.StatusCode.ERROR), Status(api.StatusCode.UNSET)


class SdkTracer:
    """Makes spans as `provider` would, and gives them to `sink` when they end."""

    records = True

    def __init__(self, provider: TracerProvider, sink: SpanProcessor, version: str) -> None:
        self.sink, self.resource = sink, provider.resource
        self.scope = InstrumentationScope("turnwright", version)
        self.longest = SpanLimits().max_span_attribute_length
        self._sampler, self._ids = provider.sampler, provider.id_generator

    def begin(
        self,
        name: str,
        *,
        kind: SpanKind = "internal",
        parent: Trace | None = None,
        links: Sequence[Trace] = (),
        attributes: Attributes | None = None,
        start_ms: float | None = None,
        span_id: str = "",
        baggage: str = "",
    ) -> Span:
        """See `tracer.Tracer`."""
        above = None if parent is None else _span_context(parent)
        baggage = parent.baggage if parent else baggage
        linked = [api.Link(_span_context(each)) for each in links]
        trace_id = self._ids.generate_trace_id() if above is None else above.trace_id
        sampled = self._sampler.should_sample(
            _context(above), trace_id, name, KINDS[kind], attributes, linked
        )
        ids = api.SpanContext(
            trace_id,
            int(span_id, 16) if span_id else self._ids.generate_span_id(),
            is_remote=False,
            trace_flags=api.TraceFlags(SAMPLED if sampled.decision is Decision.RECORD_AND_SAMPLE else 0),
            trace_state=sampled.trace_state,
        )
        trace = Trace(f"{ids.trace_id:032x}", f"{ids.span_id:016x}", int(ids.trace_flags), baggage)
        if not trace.is_sampled:
            return Unrecorded(trace)
        made = _Recorded(self, trace, ids, above)
        made.name, made.kind, made.links = name, KINDS[kind], linked
        made.began = time.time_ns() if start_ms is None else int(start_ms * 1_000_000)
        facts = cast("Attributes", sampled.attributes or {})
        made.attributes = {**baggage_items(baggage), **facts} if baggage else dict(facts)
        return made


class _Recorded:
    __slots__ = (
        "_above",
        "_ids",
        "_tracer",
        "attributes",
        "began",
        "is_ended",
        "kind",
        "links",
        "name",
        "status",
        "trace",
    )

    name: str
    kind: api.SpanKind
    links: list[api.Link]
    attributes: dict[str, Attribute]
    began: int

    def __init__(
        self, tracer: SdkTracer, trace: Trace, ids: api.SpanContext, above: api.SpanContext | None
    ) -> None:
        self._tracer, self.trace, self._ids, self._above = tracer, trace, ids, above
        self.status, self.is_ended = _UNSET, False

    def set(self, attributes: Attributes) -> None:
        if not self.is_ended:
            self.attributes.update(attributes)

    def fail(self, error_type: str) -> None:
        if not self.is_ended:
            self.attributes[ERROR_TYPE] = error_type
            self.status = _FAILED

    def enter(self) -> Callable[[], None]:
        token = otel.attach(api.set_span_in_context(api.NonRecordingSpan(self._ids)))
        return lambda: otel.detach(token)

    def end(self) -> None:
        if self.is_ended:
            return
        self.is_ended = True
        tracer = self._tracer
        if tracer.longest is not None:
            self.attributes = {key: _cut(value, tracer.longest) for key, value in self.attributes.items()}
        span = ReadableSpan(
            name=self.name,
            context=self._ids,
            parent=self._above,
            resource=tracer.resource,
            attributes=self.attributes,
            links=self.links,
            kind=self.kind,
            status=self.status,
            start_time=self.began,
            end_time=max(self.began, time.time_ns()),
            instrumentation_scope=tracer.scope,
        )
        tracer.sink.on_end(span)


def _cut(value: Attribute, longest: int) -> Attribute:
    return value[:longest] if isinstance(value, str) else value


def _context(above: api.SpanContext | None) -> otel.Context:
    if above is None:
        return otel.Context()
    return api.set_span_in_context(api.NonRecordingSpan(above), otel.Context())


def _span_context(trace: Trace) -> api.SpanContext:
    return api.SpanContext(
        int(trace.trace_id, 16),
        int(trace.span_id, 16),
        is_remote=True,
        trace_flags=api.TraceFlags(trace.flags),
    )
