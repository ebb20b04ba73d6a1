"""What machines ask: alive, ready, metrics, the OpenAPI document, the event types."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import msgspec
from flask import Blueprint, Response, current_app

from services.errors import StoreAway, TurnwrightError
from services.streams.event_types import SHAPES
from web.bodies import reply
from web.openapi import openapi_document
from web.operations import Operation, documented
from web.problems import Failure

Readiness = Callable[[], bool]
Metrics = Callable[[], str]


class Health(msgspec.Struct, frozen=True):
    """Alive, or ready; no detail."""

    status: str


class EventType(msgspec.Struct, frozen=True, kw_only=True):
    """A type of event: the version of its payload and its JSON Schema (2020-12)."""

    v: int
    schema: msgspec.Raw


class EventTypes(msgspec.Struct, frozen=True, kw_only=True):
    """Every event type by name."""

    types: dict[str, EventType]


def health_blueprint(readiness: Readiness, takes_webhooks: Readiness, metrics: Metrics) -> Blueprint:
    """The routes for machines."""
    blueprint = Blueprint("health", __name__)

    @blueprint.get("/healthz")
    @documented(Operation(summary="Say that the process is alive", answers={200: Health}))
    def healthz() -> Response:
        return reply(Health("alive"))

    @blueprint.get("/readyz")
    @documented(Operation(summary="Say whether prompts are accepted", answers={200: Health}))
    def readyz() -> Response:
        _check(readiness)
        return reply(Health("ready"))

    @blueprint.get("/readyz/webhooks")
    @documented(
        Operation(
            summary="Say whether webhooks are kept, if not by the store then here", answers={200: Health}
        )
    )
    def readyz_webhooks() -> Response:
        _check(takes_webhooks)
        return reply(Health("ready"))

    @blueprint.get("/metrics")
    @documented(Operation(summary="Metrics in Prometheus text format", answers={200: "text/plain"}))
    def scrape() -> Response:
        return Response(metrics(), content_type="text/plain; version=0.0.4; charset=utf-8")

    @blueprint.get("/openapi.json")
    @documented(Operation(summary="This document", answers={200: "application/json"}))
    def openapi() -> Response:
        return Response(openapi_document(current_app), mimetype="application/json")

    @blueprint.get("/api/event-types")
    @documented(Operation(summary="The schema of every event type", answers={200: EventTypes}))
    def event_types() -> Response:
        return reply(_event_types())

    return blueprint


def _check(readiness: Readiness) -> None:
    reason = ""
    try:
        if readiness():
            return
    except StoreAway:
        # Why it is away is told to nobody who shows no token.
        reason = "store_away"
    except TurnwrightError:
        pass
    raise Failure("unavailable", reason=reason, headers={"Retry-After": "1"})


@cache
def _event_types() -> EventTypes:
    return EventTypes(
        types={
            name: EventType(v=1, schema=msgspec.Raw(msgspec.json.encode(msgspec.json.schema(shape))))
            for name, shape in sorted(SHAPES.items())
        }
    )
