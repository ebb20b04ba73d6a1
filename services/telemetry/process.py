"""The telemetry of one process: what is made at its start and flushed at every kind of its end."""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from typing import NoReturn

from services.errors import ConfigurationError
from services.telemetry.otel import Otel
from services.telemetry.tracer import NoTracer, Tracer

# Of what is left of a process that ends in order, and of one that must end at once.
STOP_S = 1.5
LEAVE_S = 0.7


class Telemetry:
    """`tracer` for whoever makes spans. Without an exporter nothing of the SDK is imported or started."""

    def __init__(
        self, tracer: Tracer | None = None, stop: Callable[[float], None] = lambda within_s: None
    ) -> None:
        self.tracer: Tracer = tracer or NoTracer()
        self._stop = stop

    def stop(self, within_s: float = STOP_S) -> None:
        """Export what ended, bounded in time, and nothing after that. Repeatable."""
        stop, self._stop = self._stop, lambda within_s: None
        stop(within_s)

    def leave(self, status: int) -> NoReturn:
        """End this process at once, but for what its spans need to get out."""
        try:
            self.stop(LEAVE_S)
        finally:
            os._exit(status)


def start_telemetry(otel: Otel, role: str) -> Telemetry:
    """The telemetry of a process that is a `role` (web, worker, beat). Raises: ConfigurationError."""
    if otel.traces is None:
        return Telemetry()
    from services.telemetry.exporters import resource_of, start_traces

    release = _release()
    try:
        tracer, batches = start_traces(otel, resource_of(role, release), release, lambda count, why: None)
    except (ValueError, OSError) as error:
        # Not its words: they may quote headers.
        raise ConfigurationError(f"OTEL_*: the exporter can not be set up ({type(error).__name__})") from None
    return Telemetry(tracer, batches.stop)


def _release() -> str:
    try:
        return version("turnwright")
    except PackageNotFoundError:
        return "unknown"
