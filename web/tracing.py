"""The span of a request: begun behind the gate, so that no stranger starts one, ended with the answer.

Its name is the route's template. A caller's `traceparent` becomes its parent, allow-listed baggage goes on.
"""

from __future__ import annotations

import re

from flask import Flask, Response, g

from services.telemetry import conventions as names
from services.telemetry.context import read_baggage, read_trace, work_for
from services.telemetry.tracer import Span, Tracer
from web.here import this_request

_PARAMETER = re.compile(r"<(?:[^:>]*:)?([^>]+)>")


def register(app: Flask, tracer: Tracer, *, baggage_keys: frozenset[str]) -> None:
    """Trace the requests of `app`, but for health and metrics."""

    def begin() -> None:
        here = this_request()
        if here.endpoint is None or here.endpoint.startswith("health."):
            return
        baggage = read_baggage(here.headers.get("baggage"), baggage_keys)
        trace = read_trace(here.headers.get("traceparent"), baggage)
        route = _PARAMETER.sub(r"{\1}", here.url_rule.rule if here.url_rule else "")
        session = str((here.view_args or {}).get("session", ""))
        span = tracer.begin(
            f"{here.method} {route}",
            kind="server",
            parent=trace,
            baggage=baggage,
            attributes={
                names.HTTP_METHOD: here.method,
                names.HTTP_ROUTE: route,
                **({names.SESSION_ID: session} if session else {}),
            },
        )
        g.span = span
        work_for(span.trace, session)

    def answer(response: Response) -> Response:
        span: Span | None = g.get("span")
        if span is not None:
            span.set({names.HTTP_STATUS: response.status_code})
            if response.status_code >= 500:
                span.fail(str(response.status_code))
        return response

    def end(error: BaseException | None) -> None:
        span: Span | None = g.pop("span", None)
        if span is not None:
            work_for(None)
            span.end()

    app.before_request(begin)
    app.after_request(answer)
    app.teardown_request(end)
