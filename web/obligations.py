"""The open obligations: who waits for an answer in a thread."""

from __future__ import annotations

from flask import Blueprint, Response

from services.sessions.obligations import ObligationPage, Obligations
from web.backend import Later
from web.bodies import read_query, reply
from web.operations import Operation, documented
from web.requests import ObligationsQuery


def obligations_blueprint(obligations: Later[Obligations]) -> Blueprint:
    """The route of obligations."""
    blueprint = Blueprint("obligations", __name__)

    @blueprint.get("/api/obligations")
    @documented(
        Operation(
            summary="List who waits for an answer in a thread",
            query=ObligationsQuery,
            answers={200: ObligationPage},
        )
    )
    def page() -> Response:
        query = read_query(ObligationsQuery)
        return reply(obligations().page(cursor=query.cursor, limit=query.limit))

    return blueprint
