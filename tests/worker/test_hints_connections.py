"""Connections that go silent, a log store that dies, a deploy in the middle of a call: all pass within seconds."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator

import httpx2
import pytest

from services.streams.vocabulary import AttemptEnded
from tests.scenarios.agent_session import Session
from tests.scenarios.platform import Platform, Setup, installed_site, running_platform
from tests.scenarios.vendor import calls, said
from tests.worker.waiting import wait_until

RECOVERED_S = 15.0
# As in life: a lease must outlast a store that hangs for a while.
TIMINGS = {"lease_ttl_s": 15.0, "lease_renew_s": 3.0, "shutdown_grace_s": 5.0}


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    setup = Setup(
        site=installed_site(tmp_path_factory),
        workers=2,
        with_beat=True,
        with_proxies=True,
        workers_may_die=True,
        timings=TIMINGS,
    )
    with running_platform(tmp_path_factory.mktemp("connections"), setup) as running:
        yield running


def ask_until_accepted(session: Session, text: str, *, within_s: float = RECOVERED_S) -> None:
    """Send one prompt as a patient client does: with one key, again after a 503."""
    headers = {"Idempotency-Key": uuid.uuid4().hex}
    body = {"text": text, "session": session.id}

    def is_accepted() -> bool:
        try:
            answer = session.platform.http.post("/api/prompts", json=body, headers=headers)
        except httpx2.HTTPError:
            return False
        assert answer.status_code in (202, 503), answer.text
        return answer.status_code == 202

    wait_until(is_accepted, within_s=within_s)


def revived_until_settled(platform: Platform, session: Session, *, within_s: float) -> None:
    def settled() -> bool:
        platform.revive()
        return bool(session.events("turn.settled"))

    wait_until(settled, within_s=within_s)


def test_silent_broker_connections_are_given_up(platform: Platform) -> None:
    platform.proxies["broker"].swallow_open_connections()
    began = time.monotonic()
    session = Session(platform)
    session.say("can you hear me?")
    session.settled(within_s=RECOVERED_S)
    # Hints flow again too: what is found by a relay only would take longer than this.
    wait_until(lambda: _is_quick(platform), within_s=RECOVERED_S)
    assert time.monotonic() - began < RECOVERED_S
    for part in platform.parts.values():
        assert part.is_running(), part.name


def test_silent_store_connections_are_given_up_and_a_running_call_keeps_its_answer(
    platform: Platform,
) -> None:
    running = Session(platform)
    gate = platform.vendor.hold(running.id)
    running.say("I was there before")
    gate.wait_entered()
    platform.proxies["log"].swallow_open_connections()
    began = time.monotonic()
    gate.open()
    session = Session(platform)
    ask_until_accepted(session, "can you hear me?")
    revived_until_settled(platform, session, within_s=RECOVERED_S)
    revived_until_settled(platform, running, within_s=RECOVERED_S)
    assert time.monotonic() - began < RECOVERED_S
    assert [turn.text for turn in running.settled()] == ["echo: I was there before "]
    assert len(platform.vendor.asked(running.id)) == 1
    session.check_log()
    running.check_log()


def test_answers_that_come_while_the_log_store_is_down_are_recorded_when_it_is_back(
    platform: Platform,
) -> None:
    sessions = [Session(platform) for _ in range(6)]
    gates = {}
    for n, session in enumerate(sessions):
        then = calls(("append_note", '{"text": "once"}')) if n % 2 else None
        gates[session.id] = platform.vendor.hold(session.id, then)
        session.say("hold on")
        gates[session.id].wait_entered()
    platform.parts["log"].kill()
    for gate in gates.values():
        gate.open()
    (platform.sockets / "log.sock").unlink(missing_ok=True)
    platform.start_store(platform.log_store)
    for n, session in enumerate(sessions):
        revived_until_settled(platform, session, within_s=30)
        assert session.settled()[0].outcome == "answered"
        assert len(platform.vendor.asked(session.id)) == (2 if n % 2 else 1)
        session.check_log()
    for session in sessions[1::2]:
        assert platform.notes.read_text().count(f"{session.id}\t") == 1
    platform.wait_ready(workers=2)


def test_a_deploy_hands_a_long_call_over_at_no_cost(platform: Platform) -> None:
    session = Session(platform)
    gate = platform.vendor.hold(session.id)
    platform.vendor.will(session.id, said("from the next worker"))
    session.say("think hard")
    gate.wait_entered()
    pid = int(
        bytes(session.events("llm.started")[0].payload).decode().split('"incarnation":"')[1].split("-")[1]
    )
    [holder] = [part for part in platform.parts.values() if part.pid == pid]
    began = time.monotonic()
    assert holder.stop() == 0
    assert time.monotonic() - began < TIMINGS["shutdown_grace_s"] + 2
    [settled] = session.settled()
    assert (settled.outcome, settled.text) == ("answered", "from the next worker")
    [ended] = session.all("llm.attempt_failed", AttemptEnded)
    assert (ended.error, ended.free) == ("deploy", True)
    session.check_log()
    platform.start_worker(holder.name)
    platform.wait_ready(workers=2)


def _is_quick(platform: Platform) -> bool:
    session = Session(platform)
    began = time.monotonic()
    session.say("quick?")
    session.settled()
    return time.monotonic() - began < 0.2
