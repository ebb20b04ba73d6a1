"""Runs: the record of one, and the list of a session's."""

from __future__ import annotations

from flask import Blueprint, Response

from services.sessions.run_record import RunDetail, RunPage
from services.sessions.runs import Runs
from services.streams.event import JobId, StreamId
from web.backend import Later
from web.bodies import read_query, reply
from web.operations import Operation, documented
from web.requests import Nothing, RunsQuery


def runs_blueprint(runs: Later[Runs]) -> Blueprint:
    """The routes of runs."""
    blueprint = Blueprint("runs", __name__)

    @blueprint.get("/api/runs/<run:run>")
    @documented(
        Operation(
            summary="Show one run: attempts, phases, usage, the tools it called",
            query=Nothing,
            answers={200: RunDetail},
        )
    )
    def show(run: JobId) -> Response:
        read_query(Nothing)
        return reply(runs().show(run))

    @blueprint.get("/api/sessions/<session:session>/runs")
    @documented(
        Operation(summary="List the runs of a session, newest first", query=RunsQuery, answers={200: RunPage})
    )
    def page(session: StreamId) -> Response:
        query = read_query(RunsQuery)
        return reply(runs().page(session, cursor=query.cursor, limit=query.limit))

    return blueprint
