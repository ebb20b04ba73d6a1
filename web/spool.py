"""The spool of the host that is asked: what waits there, what the log refused, what a person decides about it."""

from __future__ import annotations

from collections.abc import Callable

from flask import Blueprint, Response

from services.spool.refused import Decided, Refused, RefusedWebhooks, SpoolPage
from web.bodies import read_body, read_query, reply
from web.operations import Operation, documented
from web.requests import Nothing, SpoolQuery


def spool_blueprint(refused: RefusedWebhooks) -> Blueprint:
    """The routes of the spool."""
    blueprint = Blueprint("spool", __name__, url_prefix="/api/spool")

    @blueprint.get("")
    @documented(
        Operation(
            summary="Say what waits on this host for the log store, and list what that refused for good",
            query=SpoolQuery,
            answers={200: SpoolPage},
        )
    )
    def page() -> Response:
        query = read_query(SpoolQuery)
        return reply(refused.page(after=query.cursor, limit=query.limit))

    @blueprint.get("/<refused:id>")
    @documented(
        Operation(summary="Show one refused webhook with its body", query=Nothing, answers={200: Refused})
    )
    def show(id: str) -> Response:
        read_query(Nothing)
        return reply(refused.show(id))

    def decision(verb: str, summary: str, decide: Callable[[str], Decided]) -> None:
        @blueprint.post(f"/<refused:id>/{verb}", endpoint=verb)
        @documented(Operation(summary=summary, body=Nothing, is_body_optional=True, answers={200: Decided}))
        def decided(id: str) -> Response:
            read_body(Nothing, optional=True)
            return reply(decide(id))

    decision("retry", "Let the log have a refused webhook again, or `all`", refused.retry)
    decision("discard", "Take a refused webhook away for good, or `all`", refused.discard)
    return blueprint
