"""Processors: which there are, and what a person decides about them in one session."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from flask import Blueprint, Response

from services.sessions.controls import Controls
from services.sessions.values import Commanded, InstalledProcessors
from services.streams.event import StreamId
from web.backend import Later
from web.bodies import read_body, read_query, reply
from web.operations import Operation, command, documented
from web.requests import Nothing

_ONE = "/api/sessions/<session:session>/processors/<processor:name>"


def processors_blueprint(controls: Later[Controls]) -> Blueprint:
    """The routes of processors."""
    blueprint = Blueprint("processors", __name__)

    @blueprint.get("/api/processors")
    @documented(
        Operation(summary="List installed processors", query=Nothing, answers={200: InstalledProcessors})
    )
    def installed() -> Response:
        read_query(Nothing)
        return reply(controls().installed())

    def decision(verb: str, summary: str, decide: Callable[[Controls, StreamId, str], Commanded]) -> None:
        @blueprint.post(f"{_ONE}/{verb}", endpoint=verb)
        @documented(command(summary))
        def decided(session: StreamId, name: str) -> Response:
            read_body(Nothing, optional=True)
            return reply(decide(controls(), session, name), 202)

    decision("attach", "Attach a processor to a session", Controls.attach)
    decision("resume", "Let a parked processor try again", partial(Controls.unpark, skip=False))
    decision(
        "skip",
        "Let a parked processor pass by the event it stumbled over",
        partial(Controls.unpark, skip=True),
    )
    return blueprint
