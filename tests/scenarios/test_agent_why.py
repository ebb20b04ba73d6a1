"""Whoever is not idle has exactly one reason, with since and, where it is known, until."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.fakes.llm_scripts import Status
from tests.scenarios.agent_session import Session
from tests.scenarios.platform import Platform, Setup, installed_site, running_platform
from tests.scenarios.vendor import calls, said


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    # Of eleven slots eight are kept free of outside work and one for tools: two may wait for models.
    setup = Setup(site=installed_site(tmp_path_factory), environment={"TURNWRIGHT_SLOTS": "11"})
    with running_platform(tmp_path_factory.mktemp("why"), setup) as running:
        yield running


def test_a_running_request_names_its_attempt(platform: Platform) -> None:
    session = Session(platform)
    gate = platform.vendor.hold(session.id)
    session.say("hello")
    gate.wait_entered()
    why = session.wait_why("running_llm")
    assert why.status == "running"
    assert why.wait is not None
    assert why.wait.text == "running attempt 1: the model's answer"
    assert why.wait.since == session.events("llm.started")[0].created_at
    gate.open()
    session.settled()
    session.wait_idle()


def test_a_running_tool_says_so(platform: Platform) -> None:
    session = Session(platform)
    platform.vendor.will(session.id, calls(("wait", '{"seconds": 60}')))
    session.say("hello")
    why = session.wait_why("running_tool")
    assert why.wait is not None
    assert why.wait.since == session.events("tool.started")[0].created_at
    session.command("cancel")
    session.settled()
    session.wait_idle()


def test_without_a_free_slot_a_request_is_queued_until_there_is_one(platform: Platform) -> None:
    busy = [Session(platform) for _ in range(2)]
    gates = [platform.vendor.hold(session.id) for session in busy]
    for session, gate in zip(busy, gates, strict=True):
        session.say("hello")
        gate.wait_entered()
    waiting = Session(platform)
    waiting.say("me too")
    why = waiting.wait_why("queued_llm")
    assert why.wait is not None
    assert why.wait.since == waiting.events("llm.requested")[0].created_at
    for gate in gates:
        gate.open()
    for session in (*busy, waiting):
        assert session.settled()[0].outcome == "answered"
        session.wait_idle()


def test_while_attempts_wait_their_time_a_request_backs_off(platform: Platform) -> None:
    session = Session(platform)
    platform.vendor.will(session.id, Status(status=429, retry_after="1"), said("now"))
    session.say("hello")
    why = session.wait_why("backing_off")
    failed = session.events("llm.attempt_failed")[0].created_at
    assert why.wait is not None
    assert (why.wait.since, why.wait.until) == (failed, failed + 1_000)
    assert session.settled()[0].text == "now"


def test_without_any_worker_a_session_says_since_when_it_waits_for_one(platform: Platform) -> None:
    assert platform.parts["worker-1"].stop() == 0
    platform.wait_ready(workers=0)
    session = Session(platform)
    session.say("anybody there?")
    why = session.wait_why("no_worker")
    assert why.status == "waiting"
    assert why.wait is not None
    assert why.wait.since == session.events("input.received")[0].created_at
    platform.start_worker()
    assert session.settled()[0].outcome == "answered"
    platform.wait_ready(workers=1)
    session.wait_idle()
