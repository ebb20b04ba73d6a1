"""The port spans are made through, and its form without an exporter: ids travel on, nothing is recorded."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Protocol

from services.telemetry.context import Trace, current, new_trace, session, work_for
from services.telemetry.conventions import SpanKind

Attribute = str | bool | int | float | tuple[str, ...]
Attributes = Mapping[str, Attribute]


class Span(Protocol):
    """One operation. `trace` is its own context; after `end` nothing changes it."""

    trace: Trace

    def set(self, attributes: Attributes) -> None:
        """Add facts: ids, counts, codes; never what people wrote."""

    def fail(self, error_type: str) -> None:
        """It did not end well; `error_type` is a safe, low-cardinality code."""

    def enter(self) -> Callable[[], None]:
        """Let spans that libraries make in this thread be its children; returns how to leave."""

    def end(self) -> None:
        """It is over, now. Ending it again changes nothing."""


class Tracer(Protocol):
    """Makes spans. Thread-safe; never raises and never waits for a collector."""

    records: bool

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
        """A span that began now, or at `start_ms` (epoch); without `parent` it begins a trace.

        A `name` holds no ids. `span_id` is given where other processes already named it as their parent.
        What the parent's baggage says, or `baggage` of a trace that begins, becomes attributes, where
        `attributes` do not say otherwise.
        """


class Unrecorded:
    """A span nobody records."""

    __slots__ = ("trace",)

    def __init__(self, trace: Trace) -> None:
        self.trace = trace

    def set(self, attributes: Attributes) -> None:
        """See `Span`."""

    def fail(self, error_type: str) -> None:
        """See `Span`."""

    def enter(self) -> Callable[[], None]:
        """See `Span`."""
        return _nothing

    def end(self) -> None:
        """See `Span`."""


def _nothing() -> None:
    pass


class NoTracer:
    """Records nothing. A trace that came in goes on as it came, a new one is marked as recorded by nobody."""

    records = False

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
        """See `Tracer`."""
        return Unrecorded(parent or new_trace(baggage))


def _type_of(error: BaseException) -> str:
    """A safe, low-cardinality name: some errors of ours tell more of themselves than their class."""
    kind = getattr(error, "kind", None)
    return kind if isinstance(kind, str) else type(error).__name__


@contextmanager
def within(span: Span, stream: str = "", *, lets_in: bool = False) -> Iterator[Span]:
    """Work inside `span`: what this thread logs, appends and hints belongs to it. Ends it.

    `lets_in`: code of others runs inside, whose own spans become its children.
    An exception fails the span by its type and passes on.
    """
    outer, outer_session = current(), session()
    work_for(span.trace, stream or outer_session)
    leave = span.enter() if lets_in else _nothing
    try:
        yield span
    except BaseException as error:
        span.fail(_type_of(error))
        raise
    finally:
        leave()
        work_for(outer, outer_session)
        span.end()
