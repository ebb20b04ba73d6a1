"""How a web process is put together: what serves at once, and what joins it when the log store was reached."""

from __future__ import annotations

import atexit
from collections.abc import Callable
from importlib.metadata import version

from flask import Flask

from deploy.backend import Backend
from deploy.spooling import start_spooling
from services.diagnosis.channels import channel_states
from services.diagnosis.scrape import Scrape
from services.foundation import Foundation
from services.inbound.capture import Capture
from services.logs import get_logger
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

    Serves also while the log store is away: webhooks go to the spool, all else is refused with the reason, and
    it completes itself when the store answers. Without `telemetry`, which its maker stops, there is one that
    ends with the process.
    """
    settings = settings or load_settings()
    if telemetry is None:
        telemetry = start_telemetry(settings.otel, "web")
        atexit.register(telemetry.stop)
    foundation = Foundation(settings, telemetry=telemetry)
    _say_channels(foundation)
    backend = Backend(foundation, CeleryHints(create_celery(), settings.namespace, telemetry.tracer))
    backend.start()
    spooling = start_spooling(foundation, backend)
    scrape = Scrape(backend.metrics, telemetry.counters, version("turnwright"), here=spooling.gauges)
    limits = foundation.config.limits
    return create_app(
        backend.sessions,
        tokens=backend,
        verify_here=backend.verify_here,
        readiness=backend.is_ready,
        metrics=scrape.text,
        limits=WebLimits(body_bytes=limits.max_prompt_bytes, live_requests=limits.live_streams),
        is_stopping=is_stopping,
        metrics_open=settings.metrics_open,
        trusted_proxies=settings.trusted_proxies,
        tracer=telemetry.tracer,
        baggage_keys=foundation.baggage_keys,
        capture=Capture(spooling.keeper, foundation.sources(backend.answering), telemetry.counters),
        takes_webhooks=spooling.is_ready,
        refused=spooling.refused,
    )


def _say_channels(foundation: Foundation) -> None:
    logger = get_logger("engine")
    for each in channel_states(foundation.settings, foundation.config, foundation.plugins.channels):
        if each.doubts:
            logger.warning("channel", channel=each.name, state=each.told(), doubts=list(each.doubts))
        else:
            # Who did not begin to set one up need not hear of it at every start.
            (logger.debug if each.off else logger.info)("channel", channel=each.name, state=each.told())
