"""The ledger: webhooks that were received, and what became of each."""

from __future__ import annotations

from flask import Blueprint, Response

from services.sessions.inbound import DeliveryFilter, Inbound
from services.sessions.inbound_values import DeliveryDetail, DeliveryPage
from services.sessions.reconciling import Reconciled, Reconciling
from web.backend import Later
from web.bodies import read_body, read_query, reply
from web.operations import Operation, documented
from web.requests import InboundQuery, Nothing


def inbound_blueprint(inbound: Later[Inbound], reconciling: Later[Reconciling]) -> Blueprint:
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
        return reply(inbound().page(wanted, cursor=query.cursor, limit=query.limit))

    @blueprint.get("/<delivery:delivery>")
    @documented(
        Operation(summary="Show one delivery as it was sent", query=Nothing, answers={200: DeliveryDetail})
    )
    def show(delivery: str) -> Response:
        read_query(Nothing)
        return reply(inbound().show(delivery))

    @blueprint.post("/reconcile")
    @documented(
        Operation(
            summary="Have GitHub asked for what it could not deliver; a worker does it soon",
            body=Nothing,
            is_body_optional=True,
            answers={202: Reconciled},
        )
    )
    def reconcile() -> Response:
        read_body(Nothing, optional=True)
        return reply(reconciling().ask(), 202)

    @blueprint.get("/reconcile")
    @documented(Operation(summary="Show what that brought", query=Nothing, answers={200: Reconciled}))
    def reconciled() -> Response:
        read_query(Nothing)
        return reply(reconciling().state())

    return blueprint
