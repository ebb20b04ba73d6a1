"""What becomes visible of a commit: the span of the reduction, the span of a turn that ended, the counts.

A turn's span is made when the turn is settled, by whoever settled it, with the id that everything within the
turn already named as its parent: it is open in no process, so no restart tears it.
"""

from __future__ import annotations

from typing import TypeVar

import msgspec

from services.jobs.received import footing
from services.processors.advance import Committed
from services.streams.event import Event, EventInput
from services.streams.inbound_events import InboundSettled
from services.streams.schedule_events import TickEnded
from services.streams.vocabulary import TurnSettled, TurnStarted
from services.telemetry import conventions as names
from services.telemetry.context import Trace, agent_span, current, read_trace, work_for
from services.telemetry.counters import Counters
from services.telemetry.tracer import Attribute, Tracer

P = TypeVar("P", bound=msgspec.Struct)


class Observer:
    """Hears of commits (`processors.advance.Advancer`); never raises for what it is told."""

    def __init__(self, tracer: Tracer, counters: Counters) -> None:
        self._tracer, self._counters = tracer, counters

    def committed(self, done: Committed) -> None:
        """Make the spans of `done`. What this thread does next belongs to them."""
        if done.began_s:
            self._reduced(done)
        else:
            _go_on(done)
        for one in done.written:
            match one.type:
                case "turn.settled":
                    self._settled(done, one)
                case "inbound.settled":
                    self._counters.add("turnwright_inbound_settled_total", _read(one, InboundSettled).state)
                case "tick.dispatched" | "tick.burned" | "tick.skipped" | "tick.expired":
                    self._counters.add("turnwright_ticks_total", one.type.removeprefix("tick."))
                    if one.type == "tick.dispatched" and (due := _read(one, TickEnded).due):
                        self._counters.observe("turnwright_tick_late_seconds", (done.now - due) / 1000)
                case "ticks.skipped" | "ticks.expired":
                    self._counters.add("turnwright_ticks_total", one.type.removeprefix("ticks."))
                case "reply.delivered" | "reply.uncertain" | "reply.failed":
                    self._counters.add("turnwright_deliveries_total", one.type.removeprefix("reply."))

    def _reduced(self, done: Committed) -> None:
        self._counters.add("turnwright_takes_total", "advance")
        stored = _stored(done)
        if not self._tracer.records:
            work_for(stored or current(), done.stream)
            return
        facts: dict[str, Attribute] = {
            names.SESSION_ID: done.stream,
            names.EVENTS: len(done.written),
            names.QUEUE_WAIT: done.late_ms,
        }
        for one in done.written:
            if one.type == "turn.started" and (waited := _read(one, TurnStarted).debounced_ms):
                facts[names.DEBOUNCE_WAIT] = waited
        foot = footing(stored)
        span = self._tracer.begin(
            "advance",
            parent=foot.parent,
            links=foot.links,
            attributes=facts,
            start_ms=done.began_s * 1000,
        )
        span.end()
        work_for(span.trace, done.stream)

    def _settled(self, done: Committed, event: EventInput) -> None:
        trace = read_trace(event.trace, event.baggage)
        turn = _read(event, TurnSettled)
        self._counters.add("turnwright_turns_total", turn.outcome)
        if trace is None or not turn.started_at or not self._tracer.records:
            return
        span = self._tracer.begin(
            f"{names.INVOKE_AGENT} {turn.agent}",
            parent=trace,
            span_id=agent_span(trace, done.stream, turn.turn).span_id,
            start_ms=turn.started_at,
            attributes={
                names.OPERATION: names.INVOKE_AGENT,
                names.AGENT_NAME: turn.agent,
                names.SESSION_ID: done.stream,
                names.CONVERSATION_ID: done.stream,
                names.TURN: turn.turn,
                names.OUTCOME: turn.outcome,
                names.INPUT_TOKENS: turn.usage.input,
                names.OUTPUT_TOKENS: turn.usage.output,
            },
        )
        if turn.outcome in ("failed", "limited"):
            span.fail(turn.reason or turn.outcome)
        span.end()


def _read(event: EventInput, shape: type[P]) -> P:
    return msgspec.json.decode(event.payload, type=shape)


def _stored(done: Committed) -> Trace | None:
    """The trace that what was read, or a timer, belongs to."""
    told: list[Event | EventInput] = [*done.read, *done.written]
    for one in told:
        if one.trace and (trace := read_trace(one.trace, one.baggage)) is not None:
            return trace
    return None


def _go_on(done: Committed) -> None:
    """A settlement led on: to another turn, maybe, of another trace."""
    here = current()
    last = next((one for one in reversed(done.written) if one.trace), None)
    trace = read_trace(last.trace, last.baggage) if last else None
    if trace is not None and (here is None or here.trace_id != trace.trace_id):
        work_for(trace, done.stream)
