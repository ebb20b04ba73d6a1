"""Beside every Celery worker: its engine, started before the first task and stopped after the last.

On SIGTERM nothing new is taken at once; shortly before the grace ends, what still runs is cut and handed on.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from celery import bootsteps, signals
from celery.exceptions import WorkerShutdown
from celery.worker import state

from services.errors import ConfigurationError, TurnwrightError
from services.foundation import Foundation
from services.heap import spare_collections
from services.logs import configure_logging, get_logger
from services.settings import load_settings
from services.telemetry.process import start_telemetry
from services.worker_engine import WorkerEngine
from tasks.hints import CeleryHints

if TYPE_CHECKING:
    from celery import Celery

CUT_BEFORE_END_S = 3.0


class EngineStep(bootsteps.StartStopStep):  # type: ignore[misc]  # Celery publishes no types
    """Starts the worker's engine before the consumer brings the first task."""

    requires = frozenset({"celery.worker.components:Pool"})

    def start(self, worker: object) -> None:
        """Put the engine together and take the lease."""
        app = worker.app  # type: ignore[attr-defined]  # Celery publishes no types
        try:
            settings = load_settings()
            telemetry = start_telemetry(settings.otel, "worker")
            hints = CeleryHints(app, settings.namespace, telemetry.tracer)
            foundation = Foundation(settings, telemetry=telemetry)
            app.engine = WorkerEngine(foundation, hints, is_stopping=_is_told_to_stop)
            app.engine.start()
            spare_collections()
        except TurnwrightError as error:
            state.maybe_shutdown()
            get_logger("worker").error("can_not_start", reason=str(error))
            raise WorkerShutdown(2 if isinstance(error, ConfigurationError) else 1) from None


def _is_told_to_stop() -> bool:
    return any(flag not in (None, False) for flag in (state.should_stop, state.should_terminate))


def add_lifecycle(app: Celery) -> None:
    """Hook the engine and the logging into Celery's life."""
    app.steps["worker"].add(EngineStep)

    def begin_to_stop(**kwargs: object) -> None:
        engine: WorkerEngine | None = app.engine
        if engine is None:
            return
        engine.worker.stopping.set()
        after = max(0.5, engine.settings.timings.shutdown_grace_s - CUT_BEFORE_END_S)
        cut = threading.Timer(after, engine.running.cancel_all, args=("deploy",))
        cut.daemon = True
        cut.start()

    def end(**kwargs: object) -> None:
        # After the pool: tasks that still run need the lease and the store.
        engine: WorkerEngine | None = app.engine
        app.engine = None
        if engine is not None:
            engine.stop()

    def set_up_logging(**kwargs: object) -> None:
        configure_logging(load_settings(), "worker")

    def set_up_logging_of_beat(**kwargs: object) -> None:
        # Celery does not say which of both it sets logging up for; a beat inside a worker does not come here.
        configure_logging(load_settings(), "beat")

    signals.worker_shutting_down.connect(begin_to_stop, weak=False)
    signals.worker_shutdown.connect(end, weak=False)
    signals.setup_logging.connect(set_up_logging, weak=False)
    signals.beat_init.connect(set_up_logging_of_beat, weak=False)
