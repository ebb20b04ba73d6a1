"""A processor that a package brings: attached late or from the start, raised to a new version, taken away."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from services.streams.vocabulary import ProcessorAttached
from tests.scenarios.agent_session import Session
from tests.scenarios.platform import Platform, Setup, installed_site, running_platform
from tests.worker.waiting import wait_until

CONFIG = """
[[processors]]
name = "tally"
streams = "app:counted-*"
"""
MORE = """
[[processors]]
name = "tally"
streams = "app:*"
"""
# More than one page of events for who starts late.
MANY = 1_100


class Counted(msgspec.Struct, frozen=True):
    """The payload of `tally.counted`."""

    count: int
    offset: int


class Row(msgspec.Struct, frozen=True):
    """A processor of a session."""

    name: str
    version: int
    status: str
    offset: int | None = None


class Detail(msgspec.Struct, frozen=True):
    """What is read of a session."""

    processors: list[Row]


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    setup = Setup(site=installed_site(tmp_path_factory), config=CONFIG)
    with running_platform(tmp_path_factory.mktemp("life"), setup) as running:
        yield running


@pytest.fixture(scope="module")
def newer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site with the next release of the example package."""
    site = tmp_path_factory.mktemp("newer") / "site"
    shutil.copytree(installed_site(tmp_path_factory), site)
    source = site / "acme_processor" / "tally.py"
    text = source.read_text()
    assert "VERSION = 1" in text
    source.write_text(text.replace("VERSION = 1", "VERSION = 2"))
    shutil.rmtree(site / "acme_processor" / "__pycache__", ignore_errors=True)
    return site


def tally(session: Session) -> Row | None:
    detail = msgspec.json.decode(session.platform.http.get(session.path).content, type=Detail)
    return next((row for row in detail.processors if row.name == "tally"), None)


def counts(session: Session) -> list[int]:
    return [each.count for each in session.all("tally.counted", Counted)]


def restart(platform: Platform, **variables: str) -> None:
    platform.parts["worker-1"].stop()
    platform.start_worker(**variables)
    platform.wait_ready(workers=1)


def test_a_pattern_attaches_from_the_first_event_on(platform: Platform) -> None:
    session = Session(platform, id="app:counted-1")
    offsets = [session.post(f"input {n}", prefer="wait=10").json()["offset"] for n in range(7)]
    told = session.all("tally.counted", Counted)
    assert [(each.count, each.offset) for each in told] == [(3, offsets[2]), (6, offsets[5])]
    assert session.events("processor.attached") == []
    row = tally(session)
    assert row is not None
    assert (row.version, row.status, row.offset) == (1, "ok", None)


def test_what_a_processor_appends_elsewhere_arrives_once_and_in_order(platform: Platform) -> None:
    session = Session(platform, id="app:counted-2")
    totals = Session(platform, id="app:tally-totals")
    before = len(counts(totals))
    for n in range(9):
        session.say(f"input {n}", policy="silent")
        session.wait_idle()
    wait_until(lambda: len(counts(totals)) == before + 3)
    assert counts(totals)[before:] == counts(session) == [3, 6, 9]
    totals.check_log()


def test_a_session_without_the_pattern_is_not_followed(platform: Platform) -> None:
    session = Session(platform)
    for n in range(4):
        session.say(f"input {n}")
    session.settled(4)
    assert counts(session) == []
    assert tally(session) is None


def test_attached_late_it_only_reduces_what_is_older(platform: Platform) -> None:
    session = Session(platform)
    for n in range(7):
        session.say(f"input {n}", policy="silent")
    session.wait_idle()
    assert session.command("processors/tally/attach") == 202
    assert session.command("processors/tally/attach") == 202
    [attached] = session.wait("processor.attached")
    assert attached.decode(ProcessorAttached) == ProcessorAttached(name="tally", version=1)
    session.wait_idle()
    assert counts(session) == []
    eighth = session.say("the eighth", policy="silent")
    session.wait_idle()
    assert session.all("tally.counted", Counted) == [Counted(count=8, offset=eighth)]


def test_an_unknown_processor_can_not_be_attached(platform: Platform) -> None:
    session = Session(platform)
    session.say("hello", policy="silent")
    assert session.command("processors/nobody/attach") == 404


def test_one_that_starts_far_behind_catches_up_while_the_session_goes_on(platform: Platform) -> None:
    session = Session(platform)
    for n in range(MANY):
        session.say(f"input {n}", policy="silent")
    session.command("processors/tally/attach")
    session.post("and now?", prefer="wait=10")
    wait_until(lambda: (row := tally(session)) is not None and row.offset is None)
    for n in range(3):
        session.say(f"more {n}", policy="silent")
    session.wait_until(
        lambda found: bool(found) and found[-1].decode(Counted).count >= MANY + 1, "tally.counted"
    )
    told = counts(session)
    assert told[0] >= MANY
    assert len(told) == len(set(told)) <= 2


def test_a_higher_version_folds_anew_without_reacting_and_older_workers_leave_the_stream(
    platform: Platform, newer: Path
) -> None:
    session = Session(platform, id="app:counted-3")
    for n in range(4):
        session.say(f"input {n}")
    session.settled(4)
    before = counts(session)
    path = platform.environment()["PYTHONPATH"].replace(str(platform.setup.site), str(newer))
    restart(platform, PYTHONPATH=path)
    session.say("the fifth")
    session.settled(5)
    row = tally(session)
    assert row is not None
    assert (row.version, row.offset) == (2, None)
    assert counts(session) == before

    restart(platform)
    session.say("the sixth")
    why = session.wait_why("no_worker_for_processor")
    assert why.wait is not None
    assert "tally v2" in why.wait.text
    assert why.wait.since is not None
    other = Session(platform)
    assert other.post("others go on", prefer="wait=10").status_code == 200

    restart(platform, PYTHONPATH=path)
    assert session.settled(6)[-1].outcome == "answered"
    assert counts(session) == [*before, 6]
    session.check_log()
    restart(platform)


def test_a_configured_pattern_reaches_streams_that_were_there_before(platform: Platform) -> None:
    session = Session(platform)
    for n in range(4):
        session.say(f"input {n}", policy="silent")
    session.wait_idle()
    platform.configure(MORE)
    restart(platform)
    beat = platform.start_beat()
    [attached] = session.wait("processor.attached")
    wait_until(lambda: tally(session) is not None)
    session.say("one more", policy="silent")
    session.wait("tally.counted")
    assert counts(session) == [5]
    assert all(event.offset > attached.offset for event in session.events("tally.counted"))
    assert beat.stop() == 0
