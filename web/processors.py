"""Processors: which there are, and what a person decides about them in one session."""

from __future__ import annotations

from flask import Blueprint, Response

from services.sessions.controls import Controls
from services.sessions.values import Commanded, InstalledProcessors
from services.streams.event import StreamId
from web.bodies import read_body, read_query, reply
from web.operations import Operation, documented
from web.requests import Nothing

_ONE = "/api/sessions/<session:session>/processors/<processor:name>"


def processors_blueprint(controls: Controls) -> Blueprint:
    """The routes of processors."""
    blueprint = Blueprint("processors", __name__)

    @blueprint.get("/api/processors")
    @documented(
        Operation(summary="List installed processors", query=Nothing, answers={200: InstalledProcessors})
    )
    def installed() -> Response:
        read_query(Nothing)
        return reply(controls.installed())

    @blueprint.post(f"{_ONE}/attach")
    @documented(
        Operation(
            summary="Attach a processor to a session",
            body=Nothing,
            is_body_optional=True,
            answers={202: Commanded},
        )
    )
    def attach(session: StreamId, name: str) -> Response:
        read_body(Nothing, optional=True)
        return reply(controls.attach(session, name), 202)

    @blueprint.post(f"{_ONE}/resume")
    @documented(
        Operation(
            summary="Let a parked processor try again",
            body=Nothing,
            is_body_optional=True,
            answers={202: Commanded},
        )
    )
    def resume(session: StreamId, name: str) -> Response:
        read_body(Nothing, optional=True)
        return reply(controls.unpark(session, name, skip=False), 202)

    @blueprint.post(f"{_ONE}/skip")
    @documented(
        Operation(
            summary="Let a parked processor pass by the event it stumbled over",
            body=Nothing,
            is_body_optional=True,
            answers={202: Commanded},
        )
    )
    def skip(session: StreamId, name: str) -> Response:
        read_body(Nothing, optional=True)
        return reply(controls.unpark(session, name, skip=True), 202)

    return blueprint
