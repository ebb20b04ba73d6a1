"""Pending inputs of a session: list, replace, withdraw."""

from __future__ import annotations

from flask import Blueprint, Response

from services.sessions.controls import Controls
from services.sessions.values import Commanded, PendingInputs
from services.streams.event import Offset, StreamId
from web.backend import Later
from web.bodies import read_body, read_query, reply
from web.operations import Operation, documented
from web.requests import InputBody, Nothing


def inputs_blueprint(controls: Later[Controls]) -> Blueprint:
    """The routes of pending inputs."""
    blueprint = Blueprint("inputs", __name__, url_prefix="/api/sessions/<session:session>/inputs")

    @blueprint.get("")
    @documented(Operation(summary="List pending inputs", query=Nothing, answers={200: PendingInputs}))
    def pending(session: StreamId) -> Response:
        read_query(Nothing)
        return reply(controls().pending(session))

    @blueprint.patch("/<offset:offset>")
    @documented(
        Operation(summary="Replace the text of a pending input", body=InputBody, answers={200: Commanded})
    )
    def replace(session: StreamId, offset: Offset) -> Response:
        return reply(controls().replace(session, offset, read_body(InputBody).text))

    @blueprint.delete("/<offset:offset>")
    @documented(Operation(summary="Withdraw a pending input", answers={200: Commanded}))
    def withdraw(session: StreamId, offset: Offset) -> Response:
        return reply(controls().withdraw(session, offset))

    return blueprint
