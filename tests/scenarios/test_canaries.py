"""What people wrote and what must stay secret is in no log, span, metric, broker byte or error text."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress

import pytest
import redis

from services.llm.provider import TextDelta
from tests.fakes.callback_server import CallbackServer, HangUp
from tests.fakes.callback_server import Status as CallbackStatus
from tests.fakes.llm_scripts import Cut, Garbage, Script, Status
from tests.fakes.otlp_server import Collector
from tests.scenarios.agent_session import Session
from tests.scenarios.platform import TOKEN, Platform, Setup, installed_site, running_platform
from tests.scenarios.vendor import Responder, calls, said
from tests.worker.waiting import wait_until

CANARY = "kanarienvogel"
SECRET = "whsec_" + "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with Collector() as running:
        yield running


@pytest.fixture(scope="module")
def callback() -> Iterator[CallbackServer]:
    with CallbackServer() as running:
        yield running


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory, collector: Collector) -> Iterator[Platform]:
    setup = Setup(
        site=installed_site(tmp_path_factory),
        environment={
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
            "OTEL_EXPORTER_OTLP_HEADERS": f"x-key={CANARY}-in-a-header",
            "OTEL_BSP_SCHEDULE_DELAY": "100",
            "OTEL_METRIC_EXPORT_INTERVAL": "500",
            "TURNWRIGHT_CALLBACK_ALLOW": "127.0.0.1",
            "TURNWRIGHT_CALLBACK_SECRET": SECRET,
            "TURNWRIGHT_LOG_LEVEL": "debug",
        },
    )
    with running_platform(tmp_path_factory.mktemp("canaries"), setup) as running:
        yield running


@contextmanager
def heard(platform: Platform) -> Iterator[list[bytes]]:
    """Every command that reaches the broker."""
    commands: list[bytes] = []
    with closing(redis.Redis.from_url(platform.broker.url)) as client, client.monitor() as monitor:  # type: ignore[no-untyped-call]  # as redis-py has it

        def listen() -> None:
            with suppress(redis.RedisError, OSError, ValueError, TypeError, AttributeError):
                while True:
                    commands.append(str(monitor.next_command()).encode())

        thread = threading.Thread(target=listen, daemon=True)
        thread.start()
        yield commands
        client.ping()
        wait_until(lambda: any(b"PING" in command for command in commands))


def scripts() -> list[list[Script | Responder]]:
    """Ways in which a model speaks of the canary, well and badly."""
    canary = TextDelta(CANARY)
    return [
        [said(f"an answer with a {CANARY}")],
        [calls(("look_up", f'{{"country": "{CANARY}"}}')), said("no")],
        [calls(("append_note", f'{{"text": "{CANARY}"}}')), said("noted")],
        [calls((CANARY, f'{{"{CANARY}": "{CANARY}"}}')), said("made up")],
        [calls(("look_up", f"{{{CANARY}")), said("broken")],
        [Status(status=400, reason=CANARY)],
        [Cut(pieces=(canary, canary, canary), after=2), said("again")],
        [Garbage(pieces=(canary,), after=1, body=CANARY.encode()), said("again")],
    ]


def test_canaries_are_seen_nowhere(
    platform: Platform, collector: Collector, callback: CallbackServer
) -> None:
    callback.will(HangUp(), CallbackStatus(status=400, body=CANARY.encode()), CallbackStatus(status=410))
    problems: list[str] = []
    sessions: list[Session] = []
    with heard(platform) as broker:
        for script in scripts():
            session = Session(platform)
            sessions.append(session)
            platform.vendor.will(session.id, *script)
            answer = platform.http.post(
                "/api/prompts",
                json={
                    "text": f"tell me of the {CANARY}",
                    "session": session.id,
                    "callback": f"{callback.url}/{CANARY}?key={CANARY}",
                },
                headers={"Idempotency-Key": f"{CANARY}-{session.id}", "baggage": f"user={CANARY}"},
            )
            assert answer.status_code == 202, answer.text
        bad_url = {"text": CANARY, "callback": f"ftp://{CANARY}/"}
        for body in (bad_url, {"text": [CANARY]}, {"text": CANARY, "agent": 7}, CANARY):
            problems.append(platform.http.post("/api/prompts", json=body).text)
        for session in sessions:
            session.settled(within_s=30)
        wait_until(lambda: len(callback.received) >= len(sessions))
        wait_until(lambda: platform.gauge("turnwright_turns_total") == len(sessions), within_s=15)
        wait_until(lambda: len(collector.metrics) > 2)
        metrics = platform.http.get("/metrics").text
        whys = [platform.http.get(f"{session.path}/why").text for session in sessions]
    collector.wait_for(
        lambda spans: len([s for s in spans if s.name.startswith("invoke_agent")]) >= len(sessions)
    )

    with closing(platform.broker_client()) as client:
        left = [client.dump(key) or b"" for key in client.keys("*")]
    assert any(b"traceparent" in command for command in broker)
    seen = {
        "logs": platform.logs().encode(),
        "spans and metrics": b"".join(collector.raw),
        "metrics": metrics.encode(),
        "the broker": b"".join([*broker, *left]),
        "wait reasons": "".join(whys).encode(),
        "errors": "".join(problems).encode(),
    }
    for place, content in seen.items():
        for secret in (TOKEN, SECRET, CANARY):
            assert secret.encode() not in content, f"{secret} in {place}"
