"""The web process: takes each idempotency key once and hands the prompt to Celery."""

from __future__ import annotations

import os

import redis
from flask import Flask, request
from flask.typing import ResponseReturnValue

from tests.benchmarks.baseline.work import answer

KEY_S = 7 * 86_400


def create_app() -> Flask:
    """The application, for `gunicorn -k gthread --threads 8`."""
    app = Flask(__name__)
    store = redis.Redis.from_url(os.environ["BASELINE_STORE"])

    @app.post("/api/prompts")
    def accept() -> ResponseReturnValue:
        key = request.headers["Idempotency-Key"]
        body = request.get_json()
        is_new = store.set(f"prompt:{key}", "1", nx=True, ex=KEY_S)
        if is_new:
            answer.apply_async((key, body["text"], body.get("callback", "")))
        return {"session": f"prompt:{key}", "offset": 1, "duplicate": not is_new}, 202

    return app
