"""POST /api/prompts: accept a prompt durably, and wait for its answer if the caller prefers."""

from __future__ import annotations

from flask import Blueprint, Response

from services.sessions.prompts import Prompt, Prompts
from services.sessions.values import Accepted, Answered
from web.backend import Later
from web.bodies import read_body, read_key, read_wait_s, reply
from web.gate import caller
from web.live import LiveRequests
from web.operations import Operation, documented
from web.requests import PromptBody


def prompts_blueprint(prompts: Later[Prompts], live: LiveRequests, *, longest_wait_s: float) -> Blueprint:
    """The route that takes prompts."""
    blueprint = Blueprint("prompts", __name__)

    @blueprint.post("/api/prompts")
    @documented(
        Operation(
            summary="Send a prompt",
            body=PromptBody,
            headers={
                "Idempotency-Key": "Repeats with the same key and content find the first one",
                "Prefer": "wait=<seconds>, up to 60: answer when the turn is settled",
            },
            answers={200: Answered, 202: Accepted},
        )
    )
    def send() -> Response:
        body = read_body(PromptBody)
        wait_s = read_wait_s(longest_wait_s)
        prompt = Prompt(
            text=body.text,
            session=body.session,
            agent=body.agent,
            policy=body.policy,
            callback=body.callback,
            deliver=body.deliver,
        )
        accepted = prompts().accept(prompt, token=caller(), key=read_key())
        answered = None
        if wait_s and live.enter():
            try:
                answered = _wait(prompts(), accepted, wait_s, live)
            finally:
                live.leave()
        response = reply(answered) if answered else reply(accepted, 202)
        response.headers["Location"] = f"/api/sessions/{accepted.session}"
        return response

    return blueprint


def _wait(prompts: Prompts, accepted: Accepted, wait_s: float, live: LiveRequests) -> Answered | None:
    settled = prompts.wait(accepted.session, accepted.offset, timeout_s=wait_s, is_stopping=live.is_stopping)
    if settled is None:
        return None
    return Answered(
        session=accepted.session,
        offset=accepted.offset,
        duplicate=accepted.duplicate,
        outcome=settled.outcome,
        text=settled.text,
        reason=settled.reason,
        usage=settled.usage,
    )
