"""The Flask application, put together from its parts. Makes no connection and starts nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from ipaddress import IPv4Network, IPv6Network
from typing import Any, TypeVar

import msgspec
from flask import Flask
from werkzeug.routing import BaseConverter

from services.inbound.capture import Capture
from services.schedule.names import TRIGGER_ID
from services.sessions.facade import Sessions
from services.sessions.inbound_values import DELIVERY_ID
from services.sessions.outbox import ENTRY_ID
from services.sessions.values import SESSION_ID
from services.spool.refused import REFUSED_ID, RefusedWebhooks
from services.telemetry.tracer import NoTracer, Tracer
from web import connections, gate, problems, tracing
from web.answers import Guarded
from web.backend import Later
from web.gate import TokenBook, Verify
from web.health import Metrics, Readiness, health_blueprint
from web.inbound import inbound_blueprint
from web.inputs import inputs_blueprint
from web.live import LiveRequests
from web.obligations import obligations_blueprint
from web.outbox import outbox_blueprint
from web.processors import processors_blueprint
from web.prompts import prompts_blueprint
from web.proxies import TrustedProxies
from web.runs import runs_blueprint
from web.sessions import controls_blueprint, sessions_blueprint
from web.spool import spool_blueprint
from web.triggers import triggers_blueprint
from web.webhooks import webhooks_blueprint

F = TypeVar("F", bound=Callable[..., Any])  # as Flask types its functions
SCRAPE = "health.scrape"
OF_THIS_HOST = (SCRAPE, "spool.page", "spool.show")
OPEN = frozenset({"health.healthz", "health.readyz", "health.readyz_webhooks"})


class WebLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds of one web process."""

    body_bytes: int = 262_144
    live_requests: int = 64
    longest_wait_s: float = 60.0
    heartbeat_s: float = 10.0


def create_app(
    sessions: Later[Sessions],
    *,
    tokens: TokenBook,
    readiness: Readiness,
    metrics: Metrics,
    limits: WebLimits,
    is_stopping: Callable[[], bool] = lambda: False,
    metrics_open: bool = False,
    verify_here: Verify | None = None,
    trusted_proxies: Sequence[IPv4Network | IPv6Network] = (),
    tracer: Tracer | None = None,
    baggage_keys: frozenset[str] = frozenset(),
    capture: Capture | None = None,
    takes_webhooks: Readiness | None = None,
    refused: RefusedWebhooks | None = None,
) -> Flask:
    """Build the application.

    It serves at once, whatever `sessions` still wait for. `readiness` says whether prompts can be accepted,
    `takes_webhooks` whether webhooks can; `metrics` is the Prometheus text. Once `is_stopping` turns true, live
    streams and waiting prompts end within a second. Peers in `trusted_proxies` may set X-Forwarded-For and -Proto.
    Of a caller's baggage `baggage_keys` travel on. `verify_here` knows whose token it is as far as
    this host can tell alone, for what is about this host.
    """
    app = _App(__name__, static_folder=None)
    app.config.update(MAX_CONTENT_LENGTH=limits.body_bytes, PROVIDE_AUTOMATIC_OPTIONS=False)
    app.url_map.merge_slashes = False
    app.url_map.converters |= {
        "session": _Session,
        "offset": _Offset,
        "processor": _Processor,
        "entry": _Entry,
        "run": _Run,
        "refused": _Refused,
        "delivery": _Delivery,
        "slack": _SlackPath,
        "source": _Source,
        "trigger": _Trigger,
    }
    live = LiveRequests(limits.live_requests, heartbeat_s=limits.heartbeat_s, is_stopping=is_stopping)
    problems.register(app)
    gate.register(
        app,
        tokens,
        open_endpoints=OPEN | ({SCRAPE} if metrics_open else frozenset()),
        others=dict.fromkeys(OF_THIS_HOST, verify_here) if verify_here else {},
    )
    tracing.register(app, tracer or NoTracer(), baggage_keys=baggage_keys)
    connections.register(app)
    _serve(app, sessions, live, longest_wait_s=limits.longest_wait_s)
    if capture is not None:
        app.register_blueprint(webhooks_blueprint(capture))
    if refused is not None:
        app.register_blueprint(spool_blueprint(refused))
    app.register_blueprint(health_blueprint(readiness, takes_webhooks or readiness, metrics))
    app.wsgi_app = Guarded(app.wsgi_app)  # type: ignore[method-assign]  # how Flask wants it wrapped
    if trusted_proxies:
        app.wsgi_app = TrustedProxies(app.wsgi_app, trusted_proxies)  # type: ignore[method-assign]  # as above
    return app


def _serve(app: Flask, sessions: Later[Sessions], live: LiveRequests, *, longest_wait_s: float) -> None:
    app.register_blueprint(prompts_blueprint(lambda: sessions().prompts, live, longest_wait_s=longest_wait_s))
    app.register_blueprint(sessions_blueprint(lambda: sessions().pages, live))
    app.register_blueprint(controls_blueprint(lambda: sessions().controls))
    app.register_blueprint(inputs_blueprint(lambda: sessions().controls))
    app.register_blueprint(processors_blueprint(lambda: sessions().controls))
    app.register_blueprint(outbox_blueprint(lambda: sessions().outbox))
    app.register_blueprint(obligations_blueprint(lambda: sessions().obligations))
    app.register_blueprint(runs_blueprint(lambda: sessions().runs))
    app.register_blueprint(inbound_blueprint(lambda: sessions().inbound, lambda: sessions().reconciling))
    app.register_blueprint(triggers_blueprint(lambda: sessions().triggers, lambda: sessions().ticks))


class _App(Flask):
    def ensure_sync(self, func: F) -> F:
        """Nothing here is a coroutine; Flask would ask that of every function for every request."""
        return func


class _Session(BaseConverter):
    regex = SESSION_ID


class _Entry(BaseConverter):
    regex = ENTRY_ID


class _Offset(BaseConverter):
    regex = "[1-9][0-9]{0,14}"

    def to_python(self, value: str) -> int:
        return int(value)


class _Run(BaseConverter):
    regex = f"{SESSION_ID}@[1-9][0-9]{{0,8}}"


class _Delivery(BaseConverter):
    regex = DELIVERY_ID


class _Refused(BaseConverter):
    regex = f"all|{REFUSED_ID}"


class _SlackPath(BaseConverter):
    regex = "events|interactions|commands"


class _Source(BaseConverter):
    regex = "[a-z][a-z0-9-]{0,31}"


class _Trigger(BaseConverter):
    regex = TRIGGER_ID


class _Processor(BaseConverter):
    regex = "[A-Za-z0-9][A-Za-z0-9._-]{0,63}"
