"""The spans of what runs outside: an attempt at a model, a tool call, a delivery. One span per attempt.

Each is a child of its turn's span, whoever runs it and whatever hint led there; a hint of another trace, such as
a relay's after a crash, is linked.
"""

from __future__ import annotations

from services.jobs.claims import Claim
from services.processors.advance import Held
from services.streams.event import StreamId
from services.telemetry import conventions as names
from services.telemetry.context import Trace, agent_span, cause, current, work_for
from services.telemetry.conventions import SpanKind
from services.telemetry.counters import Counters
from services.telemetry.tracer import Attribute, Attributes, NoTracer, Span, Tracer


def enter_turn(stored: Trace | None, stream: StreamId, turn: int) -> None:
    """From here on this thread works inside `turn`, whose events belong to `stored`."""
    if stored is not None:
        work_for(agent_span(stored, stream, turn), stream)


class RunSpans:
    """Makes the spans of runs in this process; `counters` is for those who make them through it."""

    def __init__(self, tracer: Tracer | None = None, counters: Counters | None = None) -> None:
        self._tracer, self.counters = tracer or NoTracer(), counters or Counters()

    def begin(
        self, name: str, held: Held, claim: Claim, *, kind: SpanKind = "internal", attributes: Attributes
    ) -> Span:
        """The span of an attempt at `held`. Its waits: since it was due, and since its last holder was found dead."""
        self.counters.add("turnwright_takes_total", held.kind)
        parent, hint = current(), cause()
        is_foreign = hint is not None and parent is not None and hint.trace_id != parent.trace_id
        facts: dict[str, Attribute] = {
            names.SESSION_ID: held.stream,
            names.JOB_ID: held.id,
            names.ATTEMPT: claim.attempt,
            names.QUEUE_WAIT: max(0, claim.now - claim.due),
            **attributes,
        }
        if claim.error == "worker_lost":
            facts[names.LEASE_WAIT] = max(0, claim.now - claim.since)
        return self._tracer.begin(
            name,
            kind=kind,
            parent=parent,
            links=(hint,) if is_foreign and hint is not None else (),
            attributes=facts,
        )
