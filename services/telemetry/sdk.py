"""The tracer over the official SDK. Imported only where an exporter is configured.

Sampler, ids, resource, limits and exporters are the SDK's. A span of ours becomes an SDK span when it is exported:
made through the SDK's own `start_span` each would cost several times as much, most of it for checks of types.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import cast

from opentelemetry import context as otel
from opentelemetry import trace as api
from opentelemetry.sdk.trace import SpanLimits, TracerProvider
from opentelemetry.sdk.trace.sampling import (
    ALWAYS_OFF,
    DEFAULT_OFF,
    DEFAULT_ON,
    Decision,
    ParentBasedTraceIdRatio,
    Sampler,
    SamplingResult,
)
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from services.telemetry.context import SAMPLED, Trace, baggage_items
from services.telemetry.conventions import SpanKind
from services.telemetry.recorded import KINDS, Begun, OpenSpan, Origin, Sink, span_context
from services.telemetry.tracer import Attributes, Span, Unrecorded


class SdkTracer:
    """Makes spans as `provider` would, and gives them to `sink` when they end."""

    records = True

    def __init__(self, provider: TracerProvider, sink: Sink, version: str) -> None:
        longest = SpanLimits().max_span_attribute_length
        self.sink = sink
        self._origin = Origin(provider.resource, InstrumentationScope("turnwright", version), longest)
        self._sampler, self._ids = provider.sampler, provider.id_generator
        # Where the answer is known the sampler is not asked.
        self._begins = self._sampler is DEFAULT_ON
        self._goes_on = _follows_parents(self._sampler)
        self._leaves_out = self._goes_on or self._sampler is ALWAYS_OFF

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
        if parent is not None:
            if self._leaves_out and not parent.is_sampled:
                return Unrecorded(parent)
            baggage = parent.baggage
        trace_id = f"{self._ids.generate_trace_id():032x}" if parent is None else parent.trace_id
        trace = Trace(trace_id, span_id or f"{self._ids.generate_span_id():016x}", SAMPLED, baggage)
        state: api.TraceState | None = None
        if not (self._begins if parent is None else self._goes_on):
            sampled = self._sample(trace, parent, links, name=name, kind=kind, attributes=attributes)
            if sampled.decision is not Decision.RECORD_AND_SAMPLE:
                return Unrecorded(Trace(trace.trace_id, trace.span_id, 0, baggage))
            attributes, state = cast("Attributes", sampled.attributes or {}), sampled.trace_state
        facts = {**baggage_items(baggage), **(attributes or {})} if baggage else dict(attributes or ())
        began = time.time_ns() if start_ms is None else int(start_ms * 1_000_000)
        begun = Begun(trace, parent, name, kind, tuple(links), began, state, self._origin)
        return OpenSpan(begun, facts, self.sink)

    def _sample(
        self,
        trace: Trace,
        parent: Trace | None,
        links: Sequence[Trace],
        *,
        name: str,
        kind: SpanKind,
        attributes: Attributes | None,
    ) -> SamplingResult:
        above = otel.Context()
        if parent is not None:
            above = api.set_span_in_context(api.NonRecordingSpan(span_context(parent)), above)
        linked = [api.Link(span_context(each)) for each in links]
        return self._sampler.should_sample(
            above, int(trace.trace_id, 16), name, KINDS[kind], attributes, linked
        )


def _follows_parents(sampler: Sampler) -> bool:
    """Whether a sampler would say of every child what its parent's flag says."""
    return sampler in (DEFAULT_ON, DEFAULT_OFF) or type(sampler) is ParentBasedTraceIdRatio
