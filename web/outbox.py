"""The outbox: what is owed to others, and what a person decides about an entry."""

from __future__ import annotations

from flask import Blueprint, Response

from services.sessions.outbox import Outbox, OutboxFilter
from services.sessions.values import OutboxPage
from services.streams.event import StreamId
from web.backend import Later
from web.bodies import read_body, read_query, reply
from web.operations import Operation, command, documented
from web.requests import Nothing, OutboxQuery


def outbox_blueprint(outbox: Later[Outbox]) -> Blueprint:
    """The routes of the outbox."""
    blueprint = Blueprint("outbox", __name__, url_prefix="/api/outbox")

    @blueprint.get("")
    @documented(
        Operation(
            summary="List replies that are owed, or could not be delivered",
            query=OutboxQuery,
            answers={200: OutboxPage},
        )
    )
    def entries() -> Response:
        query = read_query(OutboxQuery)
        session = None if query.session is None else StreamId(query.session)
        wanted = OutboxFilter(state=query.state, session=session)
        return reply(outbox().page(wanted, cursor=query.cursor, limit=query.limit))

    @blueprint.post("/<entry:entry>/replay")
    @documented(command("Send an undelivered reply again"))
    def replay(entry: str) -> Response:
        read_body(Nothing, optional=True)
        return reply(outbox().replay(entry), 202)

    @blueprint.post("/<entry:entry>/discard")
    @documented(command("Deliver a reply no more"))
    def discard(entry: str) -> Response:
        read_body(Nothing, optional=True)
        return reply(outbox().discard(entry), 202)

    return blueprint
