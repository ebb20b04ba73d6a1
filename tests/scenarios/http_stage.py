"""The HTTP API over a real store of its own, without workers: what a turn needs is done step by step."""

from __future__ import annotations

import atexit
import hashlib
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path
from typing import Any, Literal

import httpx2
import msgspec
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.serving import make_server
from werkzeug.test import TestResponse

from deploy.embedded import EmbeddedStore, run_store
from services.config import AgentConfig, load_config
from services.diagnosis.wait import WaitReason
from services.inbound.capture import Capture
from services.inbound.contract import Sources
from services.inbound.router import Router
from services.processors.advance import Advancer
from services.processors.agent.processor import Agent
from services.processors.agent.rules import Rules
from services.processors.agent.state import AgentState
from services.processors.registry import ProcessorRegistry
from services.processors.unit import AnyProcessor
from services.schedule.processor import Schedule
from services.sessions.facade import Sessions
from services.spool.entry import Appender
from services.spool.file import SpoolFile
from services.spool.keeping import InLog
from services.spool.refused import RefusedWebhooks
from services.spool_settings import SpoolSettings
from services.streams.event import Event, EventInput, StreamId
from services.streams.keys import INBOUND, SCHEDULE, Keys
from services.streams.log import Loaded, Log
from services.streams.store import Store
from services.streams.vocabulary import LLMRequested, LLMSettled, Usage
from services.telemetry.counters import Counters
from services.tokens import TokenRecord, Tokens
from web.app import WebLimits, create_app

TOKEN = "tw_token-of-the-tests"
DEADLINE_S = 10.0
LIMITS = WebLimits()
NO_SOURCES: Sources = {}


class Stage:
    """One empty name space, the application over it, and a caller with a token."""

    def __init__(
        self,
        url: str,
        folder: Path,
        *,
        limits: WebLimits = LIMITS,
        plugins: tuple[AnyProcessor, ...] = (),
        sources: Sources = NO_SOURCES,
    ) -> None:
        keys = Keys(namespace=f"t{uuid.uuid4().hex[:12]}")
        self.store = Store(url)
        self.log = Log(self.store, keys)
        self.tokens = Tokens(self.store, keys.tokens, cache_s=0)
        self.tokens.ensure_first(configured=TOKEN, copy=folder / "token")
        registry = ProcessorRegistry(
            [Agent(lambda name: Rules())],
            {p.contract.name: p for p in plugins},
            apart={INBOUND: [Router(sources)], SCHEDULE: [Schedule()]},
        )
        self.capture = Capture(InLog(lambda: Appender(self.log)), sources, Counters())
        self.advancer = Advancer(self.log, registry, "stage")
        self.agents = {**load_config(None).agents, "poet": AgentConfig(policy="collect")}
        self.spool = SpoolFile(folder / "spool")
        self.refused = RefusedWebhooks(SpoolSettings(folder=folder / "spool"), self.spool, Counters())
        self.ready, self.workers = True, 1
        self.stopping = threading.Event()
        self.sessions = Sessions(
            self.log,
            agents=self.agents,
            processors={name: each.contract for name, each in registry.all().items()},
            explain=_explain,
            workers=lambda: self.workers,
        )
        self.app = self.build(limits)
        self.client = self.app.test_client()

    def build(self, limits: WebLimits, *, metrics_open: bool = False) -> Flask:
        """The application over this stage."""
        return create_app(
            lambda: self.sessions,
            tokens=self.tokens,
            readiness=lambda: self.ready,
            metrics=lambda: "turnwright_due 0\n",
            limits=limits,
            is_stopping=self.stopping.is_set,
            metrics_open=metrics_open,
            capture=self.capture,
            refused=self.refused,
        )

    def call(self, method: str, path: str, *, token: str | None = TOKEN, **more: object) -> TestResponse:
        """Send one request with the token."""
        return call(self.client, method, path, token=token, **more)

    def get(self, path: str) -> dict[str, Any]:
        """Read one JSON document."""
        answer = self.call("GET", path)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json or {}
        return found

    def add_token(self, token: str) -> str:
        """Make another token known."""
        record = TokenRecord(id=uuid.uuid4().hex[:12], name="other", created_at=0)
        digest = hashlib.sha256(token.encode()).hexdigest()
        self.store.client.hset(self.log.keys.tokens, digest, msgspec.json.encode(record))
        return token

    def prompt(self, text: str = "hello", *, key: str | None = None, **fields: object) -> dict[str, object]:
        """Send a prompt and return what was accepted."""
        headers = {} if key is None else {"Idempotency-Key": key}
        answer = self.call("POST", "/api/prompts", json={"text": text, **fields}, headers=headers)
        assert answer.status_code == 202, answer.text
        accepted: dict[str, object] = answer.json or {}
        return accepted

    def advance(self, session: str) -> None:
        """Let the processors follow what is new."""
        self.advancer.advance(StreamId(session))

    def answer(self, session: str, text: str) -> None:
        """Let the model answer what it was asked last."""
        self._settle(session, outcome="succeeded", text=text, usage=Usage(input=3, output=2))

    def fail(self, session: str, error: str) -> None:
        """Let the model fail with what it was asked last."""
        self._settle(session, outcome="failed", error=error)

    def _settle(
        self,
        session: str,
        *,
        outcome: Literal["succeeded", "failed"],
        text: str = "",
        error: str = "",
        usage: Usage | None = None,
    ) -> None:
        self.advance(session)
        stream = StreamId(session)
        asked = self.log.read_back(stream, types=frozenset({"llm.requested"}), limit=1)[0]
        job = asked.decode(LLMRequested).job
        settled = LLMSettled(job=job, outcome=outcome, text=text, error=error, usage=usage or Usage())
        self.log.append(stream, [EventInput.of("llm.settled", settled)])
        self.advance(session)

    def types(self, session: str) -> list[str]:
        """The types of all events of a session."""
        return [event.type for event in self.events(session)]

    def events(self, session: str) -> list[Event]:
        """All events of a session."""
        return self.log.read(StreamId(session), limit=500)

    def live(self) -> int:
        """How many live readers there are."""
        return int(self.store.client.pubsub_numsub(self.log.keys.tail_channel(StreamId("app:x")))[0][1])

    def events_from(self, session: str, offset: int) -> list[Event]:
        """The events of a session from `offset` on."""
        return self.log.read(StreamId(session), after=offset - 1, limit=500)

    @contextmanager
    def served(self, port: int = 0) -> Iterator[str]:
        """Serve the application on a real socket; yields its address."""
        server = make_server("127.0.0.1", port, self.app, threaded=True)
        server.daemon_threads = False  # type: ignore[attr-defined]  # so that closing waits for streams
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            self.stopping.set()
            server.shutdown()
            thread.join()
            server.server_close()
            self.stopping.clear()

    @contextmanager
    def follow(self, url: str, session: str, *, after: int = 0, query: str = "") -> Iterator[Live]:
        """Follow a session live over `url`; returns once the stream is open."""
        headers = {
            "Authorization": f"Bearer {TOKEN}",
            "Accept": "text/event-stream",
            "Last-Event-ID": str(after),
        }
        path = f"{url}/api/sessions/{session}/events{query}"
        with httpx2.stream("GET", path, headers=headers, timeout=DEADLINE_S, trust_env=False) as response:
            yield Live(response)


class Live:
    """An open live stream, read frame by frame."""

    def __init__(self, response: httpx2.Response) -> None:
        self.status = response.status_code
        self.response = response
        self._lines = response.iter_lines() if response.is_success else iter(())

    def frame(self) -> dict[str, str]:
        """The next frame by field; a comment is the field `""`. Raises: StopIteration at the end."""
        fields: dict[str, str] = {}
        while line := next(self._lines):
            name, _, value = line.partition(":")
            fields[name] = value.strip()
        return fields

    def rest(self) -> Iterator[str]:
        """What is left but heartbeats, up to the end of the stream."""
        return (line for line in self._lines if line and not line.startswith(":"))

    def event(self) -> dict[str, Any]:
        """The data of the next committed event."""
        while "id" not in (frame := self.frame()):
            pass
        found: dict[str, Any] = msgspec.json.decode(frame["data"])
        assert frame["id"] == str(found["offset"])
        return found


def call(
    client: FlaskClient, method: str, path: str, *, token: str | None = TOKEN, **more: object
) -> TestResponse:
    """Send one request through `client`."""
    given = more.pop("headers", {})
    headers = dict(given) if isinstance(given, dict) else {}
    if token is not None:
        headers.setdefault("Authorization", f"Bearer {token}")
    return client.open(path, method=method, headers=headers, **more)  # type: ignore[arg-type]  # werkzeug's many options


@contextmanager
def opened_stage(
    *,
    limits: WebLimits = LIMITS,
    plugins: tuple[AnyProcessor, ...] = (),
    sources: Sources = NO_SOURCES,
) -> Iterator[Stage]:
    """A stage for one test."""
    with tempfile.TemporaryDirectory(prefix="tw-stage-") as folder:
        stage = Stage(store_url(), Path(folder), limits=limits, plugins=plugins, sources=sources)
        try:
            yield stage
        finally:
            stage.stopping.set()
            stage.store.close()


@cache
def store_url() -> str:
    """Start the bundled server once per test process, on a unix socket, keeping nothing."""
    held = ExitStack()
    atexit.register(held.close)
    folder = Path(held.enter_context(tempfile.TemporaryDirectory(prefix="tw-store-")))
    store = EmbeddedStore(kind="broker", socket=folder / "s", folder=folder)
    return held.enter_context(run_store(store)).url


def wait_until(condition: object, *, deadline_s: float = DEADLINE_S) -> None:
    """Wait for `condition()` to hold; fail after `deadline_s`."""
    assert callable(condition)
    ends = time.monotonic() + deadline_s
    pause = threading.Event()
    while not condition():
        assert time.monotonic() < ends, "the condition did not come true in time"
        pause.wait(0.01)


def _explain(stream: StreamId, loaded: Loaded, agent: AgentState) -> WaitReason | None:
    if loaded.paused is not None:
        return WaitReason(code="paused", text=f"paused: {loaded.paused}")
    if agent.turn is not None:
        return WaitReason(code="running", text="a request is running", since=agent.turn.since)
    if agent.pending:
        return WaitReason(code="queued", text="queued")
    return None
