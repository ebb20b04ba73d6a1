"""The HTTP application over a store that is not there: whatever reaches for it answers 503."""

from __future__ import annotations

from flask import Flask
from flask.testing import FlaskClient

from services.config import load_config
from services.diagnosis.wait import WaitReason
from services.processors.agent.state import AgentState
from services.sessions.facade import Sessions
from services.streams.event import StreamId
from services.streams.keys import Keys
from services.streams.log import Loaded, Log
from services.streams.store import Store
from services.tokens import TokenId
from web.app import WebLimits, create_app

TOKEN = "tw_known"


class OneToken:
    """Knows `TOKEN` only."""

    def verify(self, token: str) -> TokenId | None:
        return TokenId("t1") if token == TOKEN else None


def bare_app(*, metrics_open: bool = False, is_ready: bool = True) -> Flask:
    """An application whose store can not be reached."""
    log = Log(Store("unix:///nonexistent/store", retries=0), Keys())
    sessions = Sessions(log, agents=load_config(None).agents, processors={}, explain=_explain)
    return create_app(
        lambda: sessions,
        tokens=OneToken(),
        readiness=lambda: is_ready,
        metrics=lambda: "turnwright_due 0\n",
        limits=WebLimits(body_bytes=4096),
        metrics_open=metrics_open,
    )


def authorized(app: Flask) -> FlaskClient:
    """A client that sends the token."""
    client = app.test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {TOKEN}"
    return client


def _explain(stream: StreamId, loaded: Loaded, agent: AgentState) -> WaitReason | None:
    return None
