"""Every route needs a token, unless it is on the short open list."""

from __future__ import annotations

import logging

import pytest
from flask import Flask

from tests.unit.web_bare import TOKEN, authorized, bare_app
from web.problems import TYPE_PREFIX

OPEN = {"/healthz", "/readyz", "/readyz/webhooks"}
FILLED = {"<session:session>": "app:x", "<offset:offset>": "2", "<processor:name>": "agent"}


def _calls(app: Flask) -> list[tuple[str, str]]:
    calls = []
    for rule in app.url_map.iter_rules():
        path = rule.rule
        for placeholder, value in FILLED.items():
            path = path.replace(placeholder, value)
        calls += [(method, path) for method in rule.methods or ()]
    return calls


def test_without_a_token_only_the_open_routes_answer() -> None:
    app = bare_app()
    client = app.test_client()

    for method, path in [*_calls(app), ("GET", "/nothing"), ("OPTIONS", "/api/prompts")]:
        answer = client.open(path, method=method)

        assert (answer.status_code == 401) == (path not in OPEN), (method, path)


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Bearer",
        "Bearer ",
        f"Basic {TOKEN}",
        TOKEN,
        "Bearer wrong",
        f"Bearer {TOKEN}x",
        f"Bearer {TOKEN} {TOKEN}",
        "Bearer ÿþ",
        "Bearer " + "x" * 8000,
        f"Token {TOKEN}",
        "\x01",
    ],
)
def test_anything_but_the_known_token_is_refused_with_a_challenge(header: str) -> None:
    answer = bare_app().test_client().get("/api/processors", headers={"Authorization": header})

    assert answer.status_code == 401
    assert (answer.json or {})["type"] == TYPE_PREFIX + "unauthorized"
    assert answer.headers["WWW-Authenticate"].startswith("Bearer ")


def test_the_known_token_opens_the_rest() -> None:
    for header in (f"Bearer {TOKEN}", f"bearer {TOKEN}", f"BEARER   {TOKEN} "):
        answer = bare_app().test_client().get("/api/processors", headers={"Authorization": header})

        assert answer.status_code == 200


def test_metrics_are_open_only_when_configured() -> None:
    assert bare_app().test_client().get("/metrics").status_code == 401
    opened = bare_app(metrics_open=True).test_client().get("/metrics")

    assert (opened.status_code, opened.text) == (200, "turnwright_due 0\n")


def test_readiness_says_no_detail() -> None:
    assert bare_app().test_client().get("/readyz").json == {"status": "ready"}
    refused = bare_app(is_ready=False).test_client().get("/readyz")

    assert refused.status_code == 503
    assert "detail" not in (refused.json or {})


def test_an_unexpected_error_is_a_bare_500_logged_by_kind_and_place(caplog: pytest.LogCaptureFixture) -> None:
    app = bare_app()

    @app.get("/broken")
    def broken() -> str:
        raise ValueError("the text somebody wrote")

    with caplog.at_level(logging.ERROR):
        answer = authorized(app).get("/broken")

    assert (answer.status_code, (answer.json or {})["type"]) == (500, TYPE_PREFIX + "defect")
    assert "somebody" not in answer.text + caplog.text
    assert "ValueError" in caplog.text
    assert "test_web_gate.py" in caplog.text
