"""How a web process is put together: the engine, the hints it publishes, the Flask application."""

from __future__ import annotations

import atexit
from collections.abc import Callable
from importlib.metadata import version

from flask import Flask

from deploy.spooling import start_spooling
from services.diagnosis.channels import channel_states
from services.engine import Engine
from services.inbound.capture import Capture
from services.settings import Settings, load_settings
from services.telemetry.process import Telemetry, start_telemetry
from tasks.celery import create_app as create_celery
from tasks.hints import CeleryHints
from web.app import WebLimits, create_app


def web_app(
    settings: Settings | None = None,
    *,
    telemetry: Telemetry | None = None,
    is_stopping: Callable[[], bool] = lambda: False,
) -> Flask:
    """The WSGI application; live streams end once `is_stopping`. Raises: ConfigurationError, Unavailable.

    Without `telemetry`, which its maker stops, there is one that ends with the process.
    """
    settings = settings or load_settings()
    if telemetry is None:
        telemetry = start_telemetry(settings.otel, "web")
        atexit.register(telemetry.stop)
    hints = CeleryHints(create_celery(), settings.namespace, telemetry.tracer)
    engine = Engine(settings, hints, telemetry=telemetry, is_stopping=is_stopping)
    engine.wake.start()
    engine.totals.start()
    for each in channel_states(settings, engine.config, engine.channels):
        say = engine.logger.warning if each.doubts else engine.logger.info
        say("channel", channel=each.name, state=each.told(), doubts=list(each.doubts))
    spooling = start_spooling(engine)
    metrics = engine.metrics(version("turnwright"), here=spooling.gauges)
    limits, sessions = engine.config.limits, engine.sessions()
    return create_app(
        lambda: sessions,
        tokens=engine.tokens(),
        readiness=engine.is_ready,
        metrics=metrics.text,
        limits=WebLimits(body_bytes=limits.max_prompt_bytes, live_requests=limits.live_streams),
        is_stopping=is_stopping,
        metrics_open=settings.metrics_open,
        trusted_proxies=settings.trusted_proxies,
        tracer=telemetry.tracer,
        baggage_keys=engine.baggage_keys,
        capture=Capture(spooling.keeper, engine.sources, telemetry.counters),
        takes_webhooks=spooling.is_ready,
    )
