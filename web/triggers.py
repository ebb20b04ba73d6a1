"""Triggers: defined, listed, removed, done now; what became of their ticks; when an expression is due."""

from __future__ import annotations

from flask import Blueprint, Response

from services.cron.moments import moment_of
from services.sessions.ticks import Ticks
from services.sessions.trigger_values import Defined, Fired, Preview, TickPage, TriggerPage, TriggerView
from services.sessions.triggers import Triggers
from services.streams.schedule_events import Definition
from web.backend import Later
from web.bodies import read_body, read_key, read_query, reply
from web.gate import caller
from web.operations import Operation, documented
from web.requests import Nothing, PreviewQuery, TicksQuery, TriggerBody, TriggersQuery


def triggers_blueprint(triggers: Later[Triggers], ticks: Later[Ticks]) -> Blueprint:
    """The routes of triggers."""
    blueprint = Blueprint("triggers", __name__)

    @blueprint.get("/api/triggers")
    @documented(Operation(summary="List triggers", query=TriggersQuery, answers={200: TriggerPage}))
    def page() -> Response:
        query = read_query(TriggersQuery)
        return reply(triggers().page(cursor=query.cursor, limit=query.limit))

    @blueprint.get("/api/triggers/<trigger:trigger>")
    @documented(Operation(summary="Show one trigger", query=Nothing, answers={200: TriggerView}))
    def show(trigger: str) -> Response:
        read_query(Nothing)
        return reply(triggers().show(trigger))

    @blueprint.put("/api/triggers/<trigger:trigger>")
    @documented(Operation(summary="Define a trigger, or change it", body=TriggerBody, answers={200: Defined}))
    def define(trigger: str) -> Response:
        return reply(triggers().define(trigger, _definition(read_body(TriggerBody))))

    @blueprint.delete("/api/triggers/<trigger:trigger>")
    @documented(
        Operation(
            summary="Remove a trigger; what became of its ticks can still be read", answers={200: TriggerView}
        )
    )
    def remove(trigger: str) -> Response:
        return reply(triggers().remove(trigger))

    @blueprint.post("/api/triggers/<trigger:trigger>/fire")
    @documented(
        Operation(
            summary="Do it now, whatever the time",
            body=Nothing,
            is_body_optional=True,
            headers={"Idempotency-Key": "Repeats with the same key find the first one"},
            answers={202: Fired},
        )
    )
    def fire(trigger: str) -> Response:
        read_body(Nothing, optional=True)
        return reply(triggers().fire(trigger, token=caller(), key=read_key()), 202)

    _ledger(blueprint, triggers, ticks)
    return blueprint


def _ledger(blueprint: Blueprint, triggers: Later[Triggers], ticks: Later[Ticks]) -> None:
    @blueprint.get("/api/triggers/<trigger:trigger>/ticks")
    @documented(
        Operation(
            summary="Say what became of each due time, the newest first",
            query=TicksQuery,
            answers={200: TickPage},
        )
    )
    def came_to(trigger: str) -> Response:
        query = read_query(TicksQuery)
        return reply(
            ticks().page(
                trigger, since=query.since, cursor=query.cursor, state=query.state, limit=query.limit
            )
        )

    @blueprint.get("/api/schedule/preview")
    @documented(
        Operation(summary="Say when an expression is due next", query=PreviewQuery, answers={200: Preview})
    )
    def preview() -> Response:
        query = read_query(PreviewQuery)
        return reply(triggers().preview(query.expr, query.tz, after=query.after, count=query.count))


def _definition(body: TriggerBody) -> Definition:
    return Definition(
        agent=body.agent,
        prompt=body.prompt,
        cron=body.cron or "",
        at=0 if body.at is None else moment_of(body.at, body.tz),
        tz=body.tz,
        session=body.session,
        answer_in=body.answer_in or "",
        misfire=body.misfire,
        catch_up_s=body.catch_up_s,
        overlap=body.overlap,
        paused=body.paused,
    )
