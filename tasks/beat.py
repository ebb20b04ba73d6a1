"""Celery's beat with a scheduler of our own: it runs the relay, and any number of beats may run.

Keeps no file and leads nobody: what is due stands in the store, and whoever looks first wakes a worker.
"""

from __future__ import annotations

from importlib.metadata import version

from celery.beat import Scheduler

from services.engine import Engine, attacher_of, declared_of, relay_of
from services.errors import TurnwrightError
from services.foundation import Foundation
from services.settings import load_settings
from services.telemetry.process import start_telemetry
from tasks.hints import CeleryHints


class RelayScheduler(Scheduler):  # type: ignore[misc]  # Celery publishes no types
    """Called by beat in a loop; every call is one round of the relay."""

    def setup_schedule(self) -> None:
        """Put the engine together."""
        settings = load_settings()
        telemetry = start_telemetry(settings.otel, "beat")
        hints = CeleryHints(self.app, settings.namespace, telemetry.tracer)
        self._engine = Engine(Foundation(settings, telemetry=telemetry), hints)
        self._relay = relay_of(self._engine)
        self._attacher = attacher_of(self._engine)
        self._declared = declared_of(self._engine)
        # One of all roles tells of the store: with several beats each says the same.
        telemetry.watch(self._engine.metrics(version("turnwright")).gauges)
        self._engine.totals.start()
        self._engine.wake.start()
        self._attacher.start()
        self._declared.start()

    def tick(self, *args: object, **kwargs: object) -> float:
        """One round; seconds until the next."""
        try:
            self._relay.round()
        except TurnwrightError as error:
            self._engine.logger.warning("relay_round_failed", error=type(error).__name__)
        return self._engine.settings.timings.relay_s

    def close(self) -> None:
        """Beat ends."""
        self._attacher.stop()
        self._declared.stop()
        self._engine.wake.stop()
        self._engine.totals.stop()
        self._engine.store.close()
        self._engine.telemetry.stop()

    @property
    def info(self) -> str:
        """One line for beat's banner."""
        return "    . relay over the due sets"
