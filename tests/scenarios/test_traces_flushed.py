"""What a process still has to tell gets out before it ends, however it ends, and a deaf collector delays nothing."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.fakes.otlp_server import Collector
from tests.scenarios.agent_session import Session
from tests.scenarios.platform import Platform, Setup, installed_site, running_platform
from tests.scenarios.test_traces import ask
from tests.worker.waiting import wait_until

# Longer than a test: nothing goes out but by a flush.
NEVER_MS = "3600000"

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with Collector() as running:
        yield running


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory, collector: Collector) -> Iterator[Platform]:
    setup = Setup(
        site=installed_site(tmp_path_factory),
        with_beat=True,
        workers_may_die=True,
        environment={
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
            "OTEL_BSP_SCHEDULE_DELAY": NEVER_MS,
            "OTEL_METRIC_EXPORT_INTERVAL": NEVER_MS,
        },
    )
    with running_platform(tmp_path_factory.mktemp("flushed"), setup) as running:
        yield running


def told(collector: Collector, role: str, trace: str) -> set[str]:
    """The names of spans that a role told of a trace."""
    return {each.name for each in list(collector.spans) if each.role == role and each.trace == trace}


def measured(collector: Collector, role: str) -> set[str]:
    """The names of metrics that a role exported."""
    return {
        metric.name
        for asked in collector.metrics
        for resource in asked.resource_metrics
        if any(each.value.string_value == role for each in resource.resource.attributes)
        for scope in resource.scope_metrics
        for metric in scope.metrics
    }


def test_a_worker_that_is_told_to_stop_tells_what_it_did(platform: Platform, collector: Collector) -> None:
    session = Session(platform)
    trace = ask(session, "before the stop")
    session.settled()
    assert told(collector, "worker", trace) == set()

    assert platform.parts["worker-1"].stop() == 0

    assert {"advance", "chat tiny", "invoke_agent default"} <= told(collector, "worker", trace)
    counted = {"turnwright.turns", "turnwright.llm_attempts", "turnwright.tokens", "turnwright.store_seconds"}
    assert counted <= measured(collector, "worker")
    platform.start_worker()
    platform.wait_ready(workers=1)


def test_a_web_process_that_is_told_to_stop_tells_what_it_did(
    platform: Platform, collector: Collector
) -> None:
    session = Session(platform)
    trace = ask(session, "before the stop")
    session.settled()
    assert told(collector, "web", trace) == set()

    assert platform.parts["web"].stop() == 0

    assert {"POST /api/prompts", "append", "send turnwright.advance"} <= told(collector, "web", trace)
    platform.start_web()
    platform.wait_ready(workers=1)


def test_a_beat_that_is_told_to_stop_tells_what_it_saw(platform: Platform, collector: Collector) -> None:
    platform.parts["beat"].stop()

    seen = {"turnwright.due", "turnwright.queued", "turnwright.running", "turnwright.workers"}
    assert seen <= measured(collector, "beat")
    platform.start_beat()


def test_a_worker_whose_lease_ended_tells_what_it_did(platform: Platform, collector: Collector) -> None:
    session = Session(platform)
    trace = ask(session, "before the end")
    session.settled()
    worker = platform.parts["worker-1"]

    platform.move_clock(60_000)

    wait_until(lambda: not worker.is_running(), within_s=30)
    assert {"advance", "chat tiny", "invoke_agent default"} <= told(collector, "worker", trace)
    platform.revive()
    platform.wait_ready(workers=1)


@pytest.mark.parametrize("name", ["worker-1", "web"])
def test_a_collector_that_does_not_answer_holds_no_process_up(
    platform: Platform, collector: Collector, name: str
) -> None:
    session = Session(platform)
    ask(session, "nobody hears of this")
    session.settled()
    collector.mode = "slow"
    try:
        began = time.monotonic()
        assert platform.parts[name].stop() == 0
        assert time.monotonic() - began < 8
    finally:
        collector.mode = "ok"
    if name == "web":
        platform.start_web()
    else:
        platform.start_worker()
    platform.wait_ready(workers=1)
