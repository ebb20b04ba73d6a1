"""A collector in trouble: turns keep their speed, processes their size, losses are counted, logs stay calm."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest

from tests.fakes.otlp_server import Collector, Mode
from tests.scenarios.agent_session import Session
from tests.scenarios.platform import Platform, Setup, installed_site, running_platform
from tests.worker.waiting import wait_until

TURNS = 80
CLIENTS = 8
DROPPED = "turnwright_exports_dropped_total"
MOST_GROWTH_MB = 40

pytestmark = pytest.mark.timeout(180)


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with Collector() as running:
        yield running


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory, collector: Collector) -> Iterator[Platform]:
    setup = Setup(
        site=installed_site(tmp_path_factory),
        environment={
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
            "OTEL_EXPORTER_OTLP_TIMEOUT": "1",
            "OTEL_BSP_MAX_QUEUE_SIZE": "100",
            "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "20",
            "OTEL_BSP_SCHEDULE_DELAY": "100",
        },
    )
    with running_platform(tmp_path_factory.mktemp("trouble"), setup) as running:
        run_turns(running)  # so that what a process loads once is not taken for growth
        yield running


def run_turns(platform: Platform) -> None:
    """Many turns at once, each in a session of its own, until all are answered."""
    sessions = [Session(platform) for _ in range(TURNS)]
    with ThreadPoolExecutor(CLIENTS) as clients:
        list(clients.map(lambda session: session.say("hello"), sessions))
        settled = list(clients.map(lambda session: session.settled(within_s=40), sessions))
    assert [turns[0].outcome for turns in settled] == ["answered"] * TURNS


def memory_mb(platform: Platform) -> dict[str, float]:
    """What web and worker occupy."""
    return {
        name: psutil.Process(part.pid).memory_info().rss / 1e6
        for name, part in platform.parts.items()
        if name not in ("log", "broker")
    }


def dropped(platform: Platform) -> float:
    """How many exports went lost in all processes together."""
    return platform.gauge(DROPPED) or 0.0


@pytest.mark.parametrize("mode", ["slow", "broken", "hang_up"])
def test_turns_go_on_and_what_is_lost_is_counted(
    platform: Platform, collector: Collector, mode: Mode
) -> None:
    before, lost = memory_mb(platform), dropped(platform)
    collector.mode = mode

    run_turns(platform)

    wait_until(lambda: dropped(platform) > lost, within_s=20)
    grown = {name: mb - before[name] for name, mb in memory_mb(platform).items()}
    assert all(mb < MOST_GROWTH_MB for mb in grown.values()), grown
    collector.mode = "ok"

    def is_told_again() -> bool:
        # What ended while the queue was full is lost; sooner or later it has room again.
        session = Session(platform)
        session.say("are you there again?")
        session.settled()
        return any(each.attributes.get("session.id") == session.id for each in list(collector.spans))

    wait_until(is_told_again, within_s=30)


def test_the_logs_tell_of_it_once_a_minute(platform: Platform, collector: Collector) -> None:
    told = [json.loads(line) for line in platform.logs().splitlines() if "spans_not_exported" in line]

    assert 1 <= len(told) <= 3 * 3
    assert {line["to"] for line in told} == {collector.url.removeprefix("http://")}
    assert all(line["error"] for line in told)
    assert "opentelemetry" not in platform.logs()
