"""Hints that never arrive cost time, never work: shortcuts off, the broker emptied, killed, or gone for a while."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from services.streams.vocabulary import ToolSettled, TurnSettled
from tests.fakes.llm_scripts import Stall
from tests.scenarios.agent_session import Session
from tests.scenarios.platform import Platform, Setup, installed_site, running_platform
from tests.scenarios.vendor import calls, said
from tests.worker.forger import Forger
from tests.worker.waiting import wait_until


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    setup = Setup(site=installed_site(tmp_path_factory), workers=2, with_beat=True)
    with running_platform(tmp_path_factory.mktemp("lost"), setup) as running:
        yield running


@pytest.fixture(scope="module")
def relayed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """A platform without shortcuts: nothing but the relays finds work."""
    off = {"TURNWRIGHT_TEST_SHORTCUTS": "0"}
    setup = Setup(site=installed_site(tmp_path_factory), workers=2, environment=off, timings={"relay_s": 0.1})
    with running_platform(tmp_path_factory.mktemp("relayed"), setup) as running:
        yield running


def test_the_relays_alone_bring_turns_with_tools_to_their_end(relayed: Platform) -> None:
    sessions = [Session(relayed) for _ in range(5)]
    for session in sessions:
        both = calls(("append_note", '{"text": "once"}'), ("look_up", '{"country": "France"}'))
        relayed.vendor.will(session.id, both, said("Paris"))
        session.say("capital of France?")
        session.say("and again?")
    for session in sessions:
        assert [turn.outcome for turn in session.settled(2, within_s=30)] == ["answered", "answered"]
        assert len(relayed.vendor.asked(session.id)) == 3
        assert [each.outcome for each in session.all("tool.settled", ToolSettled)] == ["succeeded"] * 2
        session.check_log()


def test_the_relays_alone_steer_and_cancel_within_their_patience(relayed: Platform) -> None:
    steered, cancelled = Session(relayed), Session(relayed)
    for session in (steered, cancelled):
        relayed.vendor.will(session.id, Stall(), said("done"))
        session.say("hello")
        relayed.vendor.wait_asked(session.id)
    steered.say("other way", policy="steer")
    cancelled.command("cancel")
    assert [turn.outcome for turn in steered.settled(2)] == ["superseded", "answered"]
    assert cancelled.settled()[0].outcome == "cancelled"


def test_an_emptied_broker_loses_no_turn(platform: Platform) -> None:
    done = threading.Event()

    def empty_it_again_and_again() -> None:
        with Forger(platform.broker.url) as forger:
            while not done.wait(0.002):
                forger.empty()

    sessions = [Session(platform) for _ in range(20)]
    emptier = threading.Thread(target=empty_it_again_and_again)
    emptier.start()
    try:
        for session in sessions:
            platform.vendor.will(session.id, calls(("append_note", '{"text": "once"}')), said("done"))
            session.say("work")
        for session in sessions[:10]:
            session.settled(within_s=30)
    finally:
        done.set()
        emptier.join()
    for session in sessions:
        assert [turn.text for turn in session.settled(within_s=30)] == ["done"]
        assert platform.notes.read_text().count(f"{session.id}\t") == 1
        session.check_log()


def test_turns_go_on_when_a_killed_broker_is_back(platform: Platform) -> None:
    running = Session(platform)
    gate = platform.vendor.hold(running.id)
    running.say("I was there before")
    gate.wait_entered()
    platform.parts["broker"].kill()
    waiting = [Session(platform) for _ in range(5)]
    for session in waiting:
        session.say("accepted although the broker is gone")
    gate.open()
    assert running.settled()[0].outcome == "answered"
    (platform.sockets / "broker.sock").unlink(missing_ok=True)
    platform.start_store(platform.broker)
    for session in (*waiting, Session(platform)):
        session.say("and now?")
        session.wait_idle(within_s=15)
        assert {turn.outcome for turn in session.all("turn.settled", TurnSettled)} == {"answered"}
        session.check_log()
    for part in platform.parts.values():
        assert part.is_running(), part.name


def test_a_worker_that_starts_before_its_broker_waits_for_it(platform: Platform) -> None:
    platform.parts["broker"].kill()
    platform.parts["worker-1"].stop()
    (platform.sockets / "broker.sock").unlink(missing_ok=True)
    late = platform.start_worker()
    platform.wait_ready(workers=2)
    platform.start_store(platform.broker)
    session = Session(platform)
    session.say("hello")
    assert session.settled()[0].outcome == "answered"
    wait_until(late.is_running)
