"""How a web process is put together: the engine, the hints it publishes, the Flask application."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version

from flask import Flask

from services.engine import Engine
from services.settings import Settings, load_settings
from tasks.celery import create_app as create_celery
from tasks.hints import CeleryHints
from web.app import WebLimits, create_app


def web_app(settings: Settings | None = None, *, is_stopping: Callable[[], bool] = lambda: False) -> Flask:
    """The WSGI application; live streams end once `is_stopping`. Raises: ConfigurationError, Unavailable."""
    settings = settings or load_settings()
    engine = Engine(settings, CeleryHints(create_celery(), settings.namespace), is_stopping=is_stopping)
    engine.wake.start()
    metrics = engine.metrics(version("turnwright"))
    limits = engine.config.limits
    return create_app(
        engine.sessions(),
        tokens=engine.tokens(),
        readiness=engine.is_ready,
        metrics=metrics.text,
        limits=WebLimits(body_bytes=limits.max_prompt_bytes, live_requests=limits.live_streams),
        is_stopping=is_stopping,
        metrics_open=settings.metrics_open,
        trusted_proxies=settings.trusted_proxies,
    )
