"""A hint as it arrived, and the trace of what a worker does about it.

Two rules: nothing stays open while something runs outside, so that no restart tears a span; and work belongs
to the trace its event was stored with, whatever hint led to it.
"""

from __future__ import annotations

import msgspec

from services.streams.keys import Kind
from services.telemetry import conventions as names
from services.telemetry.context import Trace, cause, current
from services.telemetry.tracer import Span, Tracer


class Received(msgspec.Struct, frozen=True, kw_only=True):
    """What a hint's headers said: its trace, how long the broker had it, the id of its message."""

    trace: Trace | None = None
    waited_ms: int = 0
    message: str = ""


UNTOLD = Received()


class Footing(msgspec.Struct, frozen=True, kw_only=True):
    """Where a span of the work on some event belongs: `parent`, and what led there if that is another trace."""

    parent: Trace | None
    links: tuple[Trace, ...] = ()


def footing(stored: Trace | None) -> Footing:
    """Under what this thread follows if that is the event's own trace; else under the event, with a link."""
    here = current() or cause()
    if stored is None or here is None or here.trace_id == stored.trace_id:
        return Footing(parent=here or stored)
    return Footing(parent=stored, links=(here,))


def take_up(tracer: Tracer, kind: Kind, received: Received) -> Span | None:
    """The span of a hint that arrived; None for one that says nothing of where it comes from."""
    if received.trace is None:
        return None
    attributes: dict[str, str | int] = {
        names.MESSAGING_SYSTEM: names.CELERY,
        names.MESSAGING_OPERATION: "process",
        names.MESSAGING_OPERATION_TYPE: "process",
        names.MESSAGING_DESTINATION: f"turnwright.{kind}",
        names.BROKER_WAIT: received.waited_ms,
    }
    if received.message:
        attributes[names.MESSAGING_MESSAGE_ID] = received.message
    return tracer.begin(
        f"process turnwright.{kind}", kind="consumer", parent=received.trace, attributes=attributes
    )
