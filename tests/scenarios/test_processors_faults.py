"""A processor that raises, crashes or hangs is parked, visibly; the others and other sessions go on."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import pytest

from services.streams.vocabulary import ProcessorFaulted, TurnSettled
from tests.scenarios.agent_session import Session
from tests.scenarios.platform import Platform, Setup, installed_site, running_platform
from tests.worker.waiting import wait_until

CONFIG = """
[[processors]]
name = "brittle"
streams = "app:brittle-*"

[[processors]]
name = "tally"
streams = "app:brittle-*"

[limits]
events_per_minute = 60
events_burst = 100
"""
FAST = {"take_grace_s": 0.6, "relay_s": 0.1}


class Seen(msgspec.Struct, frozen=True):
    """The payload of `brittle.seen`."""

    offset: int
    count: int


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    setup = Setup(
        site=installed_site(tmp_path_factory), config=CONFIG, workers=2, workers_may_die=True, timings=FAST
    )
    with running_platform(tmp_path_factory.mktemp("faults"), setup) as running:
        yield running


def seen(session: Session) -> list[int]:
    return [each.offset for each in session.all("brittle.seen", Seen)]


def faults(session: Session) -> list[ProcessorFaulted]:
    return session.all("processor.faulted", ProcessorFaulted)


def wait_faults(platform: Platform, session: Session, count: int) -> list[ProcessorFaulted]:
    """Wait for faults while workers die and are started anew."""

    def are_there() -> bool:
        platform.revive()
        return len(faults(session)) >= count

    wait_until(are_there, within_s=60)
    platform.wait_ready(workers=2)
    return faults(session)


def test_one_that_raises_is_parked_while_the_others_go_on(platform: Platform) -> None:
    session = Session(platform, id="app:brittle-raises")
    first = session.say("fine")
    session.settled()
    poison = session.say("magic:raise")
    assert session.settled(2)[1].outcome == "answered"
    [fault] = session.wait("processor.faulted")
    assert fault.decode(ProcessorFaulted) == ProcessorFaulted(
        name="brittle", version=1, offset=poison, error="ValueError"
    )
    why = session.wait_why("processor_faulted")
    assert why.status == "faulted"
    assert why.wait is not None
    assert why.wait.since == fault.created_at
    assert f"turnwright processors {session.id} --resume brittle" in why.wait.text
    later = session.say("fine again")
    assert session.settled(3)[2].outcome == "answered"
    assert len(session.events("tally.counted")) == 1
    assert seen(session) == [first]

    assert session.command("processors/brittle/resume") == 202
    assert [each.offset for each in wait_faults(platform, session, 2)] == [poison, poison]
    assert session.command("processors/brittle/skip") == 202
    session.wait("brittle.seen", 2)
    assert seen(session) == [first, later]
    session.wait_idle()
    assert session.command("processors/brittle/resume") == 409
    session.check_log()


def test_one_that_takes_the_process_down_is_parked_at_the_event_it_fell_over(platform: Platform) -> None:
    session = Session(platform, id="app:brittle-dies")
    first = session.say("fine", policy="silent")
    poison = session.say("magic:die")
    [fault] = wait_faults(platform, session, 1)
    assert (fault.name, fault.error, fault.offset) == ("brittle", "CrashOrHang", poison)
    assert session.settled()[0].outcome == "answered"
    later = session.say("fine again")
    assert session.settled(2)[1].outcome == "answered"
    assert session.command("processors/brittle/skip") == 202
    session.wait_until(lambda found: len(found) >= 2, "brittle.seen")
    assert seen(session) == [first, later]
    session.wait_idle()
    session.check_log()


def test_one_that_hangs_is_parked_and_the_stuck_worker_starts_over(platform: Platform) -> None:
    session = Session(platform, id="app:brittle-hangs")
    poison = session.say("magic:hang")
    other = Session(platform)
    other.say("meanwhile")
    [fault] = wait_faults(platform, session, 1)
    assert (fault.name, fault.error, fault.offset) == ("brittle", "CrashOrHang", poison)
    assert session.settled()[0].outcome == "answered"
    assert other.settled()[0].outcome == "answered"
    assert "thread_stuck" in platform.logs()
    session.command("processors/brittle/skip")
    session.wait_idle()
    session.check_log()


def test_a_stream_that_floods_is_paused_by_its_breaker_and_resumes(platform: Platform) -> None:
    session = Session(platform)
    refused = 0
    for n in range(400):
        answer = session.post(f"input {n}", policy="silent")
        if answer.status_code == 409:
            refused += 1
            break
    assert refused, "nothing stopped the flood"
    why = session.wait_why("paused")
    assert why.wait is not None
    assert "circuit_breaker" in why.wait.text
    assert session.command("resume") == 202
    assert session.post("slowly now").status_code == 202
    assert session.settled()[0].outcome == "answered"
    assert len(session.all("turn.settled", TurnSettled)) == 1
    session.check_log()
