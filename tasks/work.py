"""The tasks: a name, a queue, one call. Arguments are a shard and an id, both as text."""

from __future__ import annotations

import time

from celery import Celery, Task

from services.errors import Revoked
from services.jobs.incarnation import REVOKED_EXIT
from services.jobs.received import Received
from services.streams.keys import KINDS, Kind
from services.telemetry.context import read_baggage, read_trace

ID_LIMIT = 300
# Headers of a hint: what it follows from, and when it was sent (epoch ms).
PARENT, BAGGAGE, SENT_MS = "traceparent", "baggage", "sent_ms"


def define_tasks(app: Celery) -> None:
    """Register one task per kind of work."""
    for kind in KINDS:
        _define(app, kind)


def task_name(kind: Kind) -> str:
    """The name of a kind's task on the wire."""
    return f"turnwright.{kind}"


def _define(app: Celery, kind: Kind) -> None:
    # Not shared: Celery would otherwise offer one app's tasks to every other app of the process.
    @app.task(  # type: ignore[untyped-decorator]  # Celery publishes no types
        name=task_name(kind), bind=True, ignore_result=True, typing=False, shared=False
    )
    def work(self: Task, *args: object, **kwargs: object) -> None:
        id = args[1] if len(args) == 2 else None
        if not isinstance(id, str) or not 0 < len(id) <= ID_LIMIT or not id.isascii():
            return
        engine = self.app.engine
        if engine is None:
            return
        try:
            engine.worker.handle(kind, id, _received(self, engine.baggage_keys))
        except Revoked:
            engine.telemetry.leave(REVOKED_EXIT)


def _received(task: Task, allowed: frozenset[str]) -> Received:
    """What the headers say, whoever wrote them."""
    request = task.request
    sent_ms = request.get(SENT_MS)
    waited_ms = time.time_ns() // 1_000_000 - sent_ms if isinstance(sent_ms, int) else 0
    trace = read_trace(request.get(PARENT), read_baggage(request.get(BAGGAGE), allowed))
    message = request.get("id")
    return Received(
        trace=trace,
        waited_ms=waited_ms if 0 < waited_ms < 86_400_000 else 0,
        message=message[:64] if isinstance(message, str) else "",
    )
