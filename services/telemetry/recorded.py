"""Spans that are recorded: what is noted while one runs, and the SDK's form of it, made when it is exported.

On a turn's path only plain values are noted, which the garbage collector need not follow while they wait. What the
SDK wants around them is made by the thread that exports, for a whole batch at once: that costs a third.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

import msgspec
from opentelemetry import context as otel
from opentelemetry import trace as api
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace.status import Status

from services.telemetry.context import Trace
from services.telemetry.conventions import ERROR_TYPE, SpanKind
from services.telemetry.tracer import Attribute, Attributes

KINDS: dict[SpanKind, api.SpanKind] = {
    "internal": api.SpanKind.INTERNAL,
    "server": api.SpanKind.SERVER,
    "client": api.SpanKind.CLIENT,
    "producer": api.SpanKind.PRODUCER,
    "consumer": api.SpanKind.CONSUMER,
}
_FAILED, _UNSET = Status(api.StatusCode.ERROR), Status(api.StatusCode.UNSET)


class Origin(msgspec.Struct, frozen=True):
    """What all spans of a process have in common; texts longer than `longest` are cut."""

    resource: Resource
    scope: InstrumentationScope
    longest: int | None = None


class Begun(msgspec.Struct, frozen=True, gc=False):
    """What is known when a span begins. `began` in epoch ns; `state` is what the sampler wants to travel on."""

    trace: Trace
    parent: Trace | None
    name: str
    kind: SpanKind
    links: tuple[Trace, ...]
    began: int
    state: api.TraceState | None
    origin: Origin


class FinishedSpan(msgspec.Struct, frozen=True, gc=False):
    """A span that is over. `ended` in epoch ns."""

    begun: Begun
    attributes: dict[str, Attribute]
    ended: int
    has_failed: bool

    def readable(self) -> ReadableSpan:
        """The span as the SDK's exporters take it."""
        begun, attributes = self.begun, self.attributes
        if (longest := begun.origin.longest) is not None:
            attributes = {key: _cut(value, longest) for key, value in attributes.items()}
        return ReadableSpan(
            name=begun.name,
            context=span_context(begun.trace, is_remote=False, state=begun.state),
            parent=None if begun.parent is None else span_context(begun.parent),
            resource=begun.origin.resource,
            attributes=attributes,
            links=[api.Link(span_context(each)) for each in begun.links] if begun.links else (),
            kind=KINDS[begun.kind],
            status=_FAILED if self.has_failed else _UNSET,
            start_time=begun.began,
            end_time=self.ended,
            instrumentation_scope=begun.origin.scope,
        )


class Sink(Protocol):
    """Where spans go when they end."""

    def take(self, span: FinishedSpan) -> None:
        """Take it; returns at once."""


class OpenSpan:
    """A span that is not over yet: see `tracer.Span`."""

    __slots__ = ("_attributes", "_begun", "_has_failed", "_sink", "trace")

    def __init__(self, begun: Begun, attributes: dict[str, Attribute], sink: Sink) -> None:
        self.trace = begun.trace
        self._begun, self._attributes = begun, attributes
        self._has_failed = False
        self._sink: Sink | None = sink

    def set(self, attributes: Attributes) -> None:
        """See `tracer.Span`."""
        if self._sink is not None:
            self._attributes.update(attributes)

    def fail(self, error_type: str) -> None:
        """See `tracer.Span`."""
        if self._sink is not None:
            self._attributes[ERROR_TYPE] = error_type
            self._has_failed = True

    def enter(self) -> Callable[[], None]:
        """See `tracer.Span`."""
        here = span_context(self.trace, is_remote=False, state=self._begun.state)
        token = otel.attach(api.set_span_in_context(api.NonRecordingSpan(here)))
        return lambda: otel.detach(token)

    def end(self) -> None:
        """See `tracer.Span`."""
        sink, self._sink = self._sink, None
        if sink is not None:
            ended = max(self._begun.began, time.time_ns())
            sink.take(FinishedSpan(self._begun, self._attributes, ended, self._has_failed))


def span_context(
    trace: Trace, *, is_remote: bool = True, state: api.TraceState | None = None
) -> api.SpanContext:
    """A context as the SDK has it."""
    flags = api.TraceFlags(trace.flags)
    return api.SpanContext(int(trace.trace_id, 16), int(trace.span_id, 16), is_remote, flags, state)


def _cut(value: Attribute, longest: int) -> Attribute:
    return value[:longest] if isinstance(value, str) else value
