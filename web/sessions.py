"""Sessions: the list, one session, its events (a page or live), why it waits, cancel, pause, resume."""

from __future__ import annotations

from flask import Blueprint, Response, request

from services.errors import Invalid
from services.sessions.controls import Controls
from services.sessions.pages import Filter, Pages
from services.sessions.values import EventPage, SessionDetail, SessionPage, Why
from services.streams.event import StreamId
from web.backend import Later
from web.bodies import read_body, read_query, reply
from web.live import LiveRequests
from web.operations import Operation, command, documented
from web.requests import CancelBody, EventsQuery, Nothing, PauseBody, SessionQuery, SessionsQuery


def sessions_blueprint(pages: Later[Pages], live: LiveRequests) -> Blueprint:
    """The routes under /api/sessions that read sessions."""
    blueprint = Blueprint("sessions", __name__, url_prefix="/api/sessions")

    @blueprint.get("")
    @documented(
        Operation(summary="List sessions, newest first", query=SessionsQuery, answers={200: SessionPage})
    )
    def newest() -> Response:
        query = read_query(SessionsQuery)
        wanted = Filter(status=query.status, source=query.source, q=query.q)
        return reply(pages().newest(wanted, cursor=query.cursor, limit=query.limit))

    @blueprint.get("/<session:session>")
    @documented(
        Operation(
            summary="Show one session and its conversation", query=SessionQuery, answers={200: SessionDetail}
        )
    )
    def show(session: StreamId) -> Response:
        query = read_query(SessionQuery)
        return reply(pages().show(session, before=query.before, limit=query.limit))

    @blueprint.get("/<session:session>/why")
    @documented(Operation(summary="Say why a session is not idle", query=Nothing, answers={200: Why}))
    def why(session: StreamId) -> Response:
        read_query(Nothing)
        return reply(pages().why(session))

    @blueprint.get("/<session:session>/events")
    @documented(
        Operation(
            summary="Read events, oldest first, or follow them live",
            query=EventsQuery,
            headers={"Last-Event-ID": "Resume a live stream after this offset"},
            answers={200: EventPage},
            streams=True,
        )
    )
    def events(session: StreamId) -> Response:
        query = read_query(EventsQuery)
        types = frozenset(query.type) or None
        if request.method == "GET" and request.accept_mimetypes.best == "text/event-stream":
            return live.follow(pages().tail(session, after=_resume_after(query.after)), types)
        return reply(pages().events(session, after=query.after, limit=query.limit, types=types))

    return blueprint


def controls_blueprint(controls: Later[Controls]) -> Blueprint:
    """The routes under /api/sessions that command a session."""
    blueprint = Blueprint("controls", __name__, url_prefix="/api/sessions")

    @blueprint.post("/<session:session>/cancel")
    @documented(command("Cancel the running turn", CancelBody))
    def cancel(session: StreamId) -> Response:
        body = read_body(CancelBody, optional=True)
        return reply(controls().cancel(session, queued=body.queued), 202)

    @blueprint.post("/<session:session>/pause")
    @documented(command("Pause a session", PauseBody))
    def pause(session: StreamId) -> Response:
        body = read_body(PauseBody, optional=True)
        return reply(controls().pause(session, reason=body.reason), 202)

    @blueprint.post("/<session:session>/resume")
    @documented(command("Resume a session"))
    def resume(session: StreamId) -> Response:
        read_body(Nothing, optional=True)
        return reply(controls().resume(session), 202)

    return blueprint


def _resume_after(after: int) -> int:
    given = request.headers.get("Last-Event-ID", "").strip()
    if not given:
        return after
    if not (given.isascii() and given.isdigit() and len(given) < 16):
        raise Invalid("Last-Event-ID", "must be the offset of an event")
    return int(given)
