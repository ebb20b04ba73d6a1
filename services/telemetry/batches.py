"""FinishedSpan spans on their way out: a bounded queue and one thread that exports them in batches.

What does not fit, or what a collector does not take, is dropped and counted; nobody ever waits for it.
In the place of the SDK's own processor, whose flush has no time limit (open-telemetry/opentelemetry-python#4568).
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping

from opentelemetry import context as otel
from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from services.logs import get_logger
from services.telemetry.otel import Batching
from services.telemetry.recorded import FinishedSpan

WARN_EVERY_S = 60.0


class Batches(SpanProcessor):
    """Exports at most `batching.batch` spans at once, `batching.delay_s` after the first at the latest.

    `dropped` hears how many spans went lost and why (`queue_full`, `export_failed`). `trouble` says of an export that
    failed what may be logged: where it went to and of what kind the error was.
    """

    def __init__(
        self,
        exporter: SpanExporter,
        batching: Batching,
        dropped: Callable[[int, str], None],
        trouble: Callable[[], Mapping[str, str]] = dict,
    ) -> None:
        self._exporter, self._batching, self._dropped = exporter, batching, dropped
        self._trouble = trouble
        self._queue: deque[FinishedSpan | ReadableSpan] = deque()
        self._changed = threading.Condition()
        self._taken = self._done = 0
        self._is_flushing = self._is_stopped = False
        self._warned_at = -WARN_EVERY_S
        self._thread = threading.Thread(target=self._run, name="spans", daemon=True)
        self._thread.start()

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Nothing happens until a span ends."""

    def on_end(self, span: ReadableSpan) -> None:
        """Take a finished span of the SDK's, such as a user's tool makes; returns at once."""
        ids = span.get_span_context()
        if ids is not None and ids.trace_flags.sampled:
            self.take(span)

    def take(self, span: FinishedSpan | ReadableSpan) -> None:
        """Take a finished span; returns at once."""
        queue = self._queue
        if self._is_stopped or len(queue) >= self._batching.queue:
            self._dropped(1, "queue_full")
            return
        queue.append(span)
        if len(queue) == self._batching.batch:
            with self._changed:
                self._changed.notify_all()

    def flush(self, within_s: float) -> bool:
        """Export what ended before now, or give up after `within_s`; whether all of it went out."""
        ends = time.monotonic() + within_s
        with self._changed:
            wanted = self._taken + len(self._queue)
            self._is_flushing = True
            self._changed.notify_all()
            while self._done < wanted:
                if not self._changed.wait(max(0.0, ends - time.monotonic())) and time.monotonic() >= ends:
                    return False
        return True

    def stop(self, within_s: float) -> None:
        """Flush and take nothing more. What is left then is dropped."""
        if not self.flush(within_s):
            self._dropped(len(self._queue), "shutdown")
        self._is_stopped = True

    def shutdown(self) -> None:
        """See the SDK."""
        self.stop(0.0)

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """See the SDK."""
        return self.flush(timeout_millis / 1000)

    def _run(self) -> None:
        # Exporters speak HTTP: were a library instrumented, every export would make spans to export.
        otel.attach(otel.set_value(otel._SUPPRESS_INSTRUMENTATION_KEY, True))
        while not self._is_stopped:
            batch = self._next()
            if batch:
                self._export(batch)

    def _next(self) -> list[FinishedSpan | ReadableSpan]:
        with self._changed:
            if not self._is_flushing and len(self._queue) < self._batching.batch:
                self._changed.wait(self._batching.delay_s)
            batch = [self._queue.popleft() for _ in range(min(len(self._queue), self._batching.batch))]
            self._taken += len(batch)
            self._is_flushing = self._is_flushing and bool(self._queue)
            return batch

    def _export(self, batch: list[FinishedSpan | ReadableSpan]) -> None:
        try:
            result = self._exporter.export(
                [span.readable() if isinstance(span, FinishedSpan) else span for span in batch]
            )
        except Exception:
            # The edge to a foreign exporter: its thread must go on whatever it does.
            result = SpanExportResult.FAILURE
        if result is not SpanExportResult.SUCCESS:
            self._dropped(len(batch), "export_failed")
            self._warn(len(batch))
        with self._changed:
            self._done += len(batch)
            self._changed.notify_all()

    def _warn(self, count: int) -> None:
        now = time.monotonic()
        if now - self._warned_at >= WARN_EVERY_S:
            self._warned_at = now
            get_logger("telemetry").warning(
                "spans_not_exported", spans=count, **self._trouble(), again_in_s=int(WARN_EVERY_S)
            )
