"""The ledger: webhooks that were received, and what became of each."""

from __future__ import annotations

from flask import Blueprint, Response

from services.sessions.inbound import DeliveryFilter, Inbound
from services.sessions.inbound_values import DeliveryDetail, DeliveryPage
from web.bodies import read_query, reply
from web.operations import Operation, documented
from web.requests import InboundQuery, Nothing


def inbound_blueprint(inbound: Inbound) -> Blueprint:
    """The routes of the ledger."""
    blueprint = Blueprint("inbound", __name__, url_prefix="/api/inbound")

    @blueprint.get("")
    @documented(
        Operation(
            summary="List received deliveries, the newest first",
            query=InboundQuery,
            answers={200: DeliveryPage},
        )
    )
    def page() -> Response:
        query = read_query(InboundQuery)
        wanted = DeliveryFilter(state=query.state, source=query.source)
        return reply(inbound.page(wanted, cursor=query.cursor, limit=query.limit))

    @blueprint.get("/<delivery:delivery>")
    @documented(
        Operation(summary="Show one delivery as it was sent", query=Nothing, answers={200: DeliveryDetail})
    )
    def show(delivery: str) -> Response:
        read_query(Nothing)
        return reply(inbound.show(delivery))

    return blueprint
