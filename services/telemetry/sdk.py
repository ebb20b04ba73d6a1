"""The tracer over the official SDK. Imported only where an exporter is configured."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from opentelemetry import context as otel
from opentelemetry import trace as api
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator

from services.telemetry.context import Trace, baggage_items
from services.telemetry.conventions import ERROR_TYPE, SpanKind
from services.telemetry.tracer import Attributes, Span

KINDS: dict[SpanKind, api.SpanKind] = {
    "internal": api.SpanKind.INTERNAL,
    "server": api.SpanKind.SERVER,
    "client": api.SpanKind.CLIENT,
    "producer": api.SpanKind.PRODUCER,
    "consumer": api.SpanKind.CONSUMER,
}


class GivenIds(RandomIdGenerator):
    """Random ids, except where the next span's id is already known to others."""

    def __init__(self) -> None:
        self._next = threading.local()

    def give(self, span_id: str) -> None:
        """The next span of this thread has this id."""
        self._next.id = int(span_id, 16)

    def generate_span_id(self) -> int:
        """See the SDK."""
        given: int = getattr(self._next, "id", 0)
        if not given:
            return super().generate_span_id()
        self._next.id = 0
        return given


class SdkTracer:
    """Makes spans of `provider`, whose ids come from `ids`."""

    records = True

    def __init__(self, provider: TracerProvider, ids: GivenIds, version: str) -> None:
        self._tracer = provider.get_tracer("turnwright", version)
        self._ids = ids

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
        baggage = parent.baggage if parent else baggage
        if span_id:
            self._ids.give(span_id)
        made = self._tracer.start_span(
            name,
            context=_context(parent),
            kind=KINDS[kind],
            links=[api.Link(_span_context(each)) for each in links],
            attributes={**baggage_items(baggage), **(attributes or {})} if baggage else attributes,
            start_time=None if start_ms is None else int(start_ms * 1_000_000),
        )
        return _Recorded(made, baggage)


class _Recorded:
    __slots__ = ("_span", "trace")

    def __init__(self, span: api.Span, baggage: str) -> None:
        self._span = span
        ids = span.get_span_context()
        flags = 1 if ids.trace_flags.sampled else 0
        self.trace = Trace(f"{ids.trace_id:032x}", f"{ids.span_id:016x}", flags, baggage)

    def set(self, attributes: Attributes) -> None:
        self._span.set_attributes(attributes)

    def fail(self, error_type: str) -> None:
        self._span.set_attribute(ERROR_TYPE, error_type)
        self._span.set_status(api.StatusCode.ERROR)

    def enter(self) -> Callable[[], None]:
        token = otel.attach(api.set_span_in_context(self._span))
        return lambda: otel.detach(token)

    def end(self) -> None:
        if self._span.is_recording():
            self._span.end()


def _context(parent: Trace | None) -> otel.Context:
    if parent is None:
        return otel.Context()
    return api.set_span_in_context(api.NonRecordingSpan(_span_context(parent)), otel.Context())


def _span_context(trace: Trace) -> api.SpanContext:
    return api.SpanContext(
        int(trace.trace_id, 16),
        int(trace.span_id, 16),
        is_remote=True,
        trace_flags=api.TraceFlags(trace.flags),
    )
