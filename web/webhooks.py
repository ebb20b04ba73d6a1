"""Webhooks: Slack, GitHub and other senders. Signed instead of carrying a token; kept, then answered at once."""

from __future__ import annotations

import time

from flask import Blueprint, Response, request

from services.inbound.capture import Capture
from services.inbound.contract import Request
from web.answers import Document
from web.bodies import read_raw
from web.operations import documented, signed


def webhooks_blueprint(capture: Capture) -> Blueprint:
    """The routes that take webhooks."""
    blueprint = Blueprint("webhooks", __name__)

    def take(name: str, path: str) -> Response:
        source = capture.source(name)
        body = read_raw(source.most_bytes)
        taken = Request(path=path, headers=list(request.headers), body=body, received_s=time.time())
        answer = capture.take(source, taken)
        return Document(answer.body if answer else b"", 200, mimetype="application/json")

    @blueprint.post("/webhooks/slack/<slack:path>")
    @documented(signed("What Slack sends, with its v0 signature"))
    def slack(path: str) -> Response:
        return take("slack", path)

    @blueprint.post("/webhooks/github")
    @documented(signed("What GitHub sends, with X-Hub-Signature-256"))
    def github() -> Response:
        return take("github", "")

    @blueprint.post("/webhooks/in/<source:name>")
    @documented(
        signed("What a source of the configuration sends, as Standard Webhooks signs, or a plugin's channel")
    )
    def other(name: str) -> Response:
        return take(name, "")

    return blueprint
