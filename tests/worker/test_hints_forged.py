"""A Celery message is a hint: doubled, late, forged or unreadable, it changes nothing and harms nobody."""

from __future__ import annotations

import base64
import pickle
from collections.abc import Iterator

import pytest

from tests.scenarios.agent_session import Session
from tests.scenarios.platform import Platform, Setup, installed_site, running_platform
from tests.scenarios.vendor import calls, said
from tests.worker.forger import QUEUES, Forger, envelope
from tests.worker.waiting import wait_until


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    setup = Setup(site=installed_site(tmp_path_factory), workers=2)
    with running_platform(tmp_path_factory.mktemp("forged"), setup) as running:
        yield running


@pytest.fixture
def forger(platform: Platform) -> Iterator[Forger]:
    with Forger(platform.broker.url) as forger:
        yield forger
        wait_until(lambda: forger.waiting() == 0)
        for part in platform.parts.values():
            assert part.is_running(), part.log.read_text()[-2000:]
        assert Session(platform).post("still there?", prefer="wait=10").status_code == 200
        assert "Traceback" not in platform.logs(), platform.logs()[-4000:]
        assert '"not_done"' not in platform.logs(), platform.logs()[-4000:]


def test_doubled_hints_run_nothing_twice(platform: Platform, forger: Forger) -> None:
    sessions = [Session(platform) for _ in range(10)]
    for session in sessions:
        platform.vendor.will(session.id, calls(("append_note", '{"text": "once"}')), said("done"))
        session.say("do it")
        for _ in range(5):
            forger.hint("advance", "0", session.id)
            forger.hint("llm", "0", f"{session.id}@1")
            forger.hint("tool", "0", f"{session.id}@1.0")
            forger.hint("deliver", "0", session.id)
            for kind, job in (("tool", "@1"), ("deliver", "@1"), ("llm", "@1.0"), ("deliver", "@1.0")):
                forger.hint(kind, "0", f"{session.id}{job}")
    for session in sessions:
        assert [turn.text for turn in session.settled()] == ["done"]
        assert len(platform.vendor.asked(session.id)) == 2
        assert platform.notes.read_text().count(f"{session.id}\t") == 1
        session.check_log()


def test_hints_that_come_after_all_is_done_change_nothing(platform: Platform, forger: Forger) -> None:
    session = Session(platform)
    platform.vendor.will(session.id, calls(("append_note", '{"text": "early"}')), said("done"))
    session.post("do it", prefer="wait=10")
    before = session.events()
    for kind, id in (("advance", ""), ("llm", "@1"), ("tool", "@1.0"), ("llm", "@2"), ("deliver", "")):
        forger.hint(kind, "0", f"{session.id}{id}")
    wait_until(lambda: forger.waiting() == 0)
    assert Session(platform).post("after them", prefer="wait=10").status_code == 200
    assert session.events() == before
    assert len(platform.vendor.asked(session.id)) == 2


@pytest.mark.parametrize("kind", QUEUES)
def test_hints_with_any_arguments_are_survived(platform: Platform, forger: Forger, kind: str) -> None:
    existing = Session(platform)
    existing.post("hello", prefer="wait=10")
    before = existing.events()
    for id in (
        "app:nobody",
        "app:nobody@1",
        f"{existing.id}@99",
        f"{existing.id}@1.7",
        f"{existing.id}@",
        "@",
        "",
        "x" * 299,
        "x" * 100_000,
        "a b\n\x00|{}*",
        "ünïcödé",
        "}{",
    ):
        forger.hint(kind, "0", id)
    for args in ((), ("0",), ("0", 1), ("0", None), ("0", ["a"]), (1, 2, 3), ("0", {"a": 1}), (["0"], "x")):
        forger.hint(kind, *args)
    forger.hint(kind, "0", "app:nobody", surprise=True)
    wait_until(lambda: forger.waiting() == 0)
    assert existing.events() == before


def test_unknown_tasks_and_contents_are_dropped(platform: Platform, forger: Forger) -> None:
    forger.hint("advance", "0", "app:x", task="os.system")
    forger.hint("advance", "0", "app:x", task="celery.backend_cleanup")
    forger.hint("advance", "0", "app:x", task="x" * 5_000)
    pickled = base64.b64encode(pickle.dumps(("0", "app:x"))).decode()
    forger.post("advance", pickled.encode(), "application/x-python-serialize", "binary")
    forger.post("advance", b"{not json", "application/json", "utf-8")
    forger.post("advance", b"\xff\xfe", "application/json", "utf-8")
    forger.post("advance", b'"a text"', "application/json", "utf-8")
    forger.post("advance", b"[]", "application/json", "utf-8")
    forger.post("advance", b"[1, 2, 3]", "application/json", "utf-8")
    forger.post("llm", b"hello", "text/plain", "utf-8")


def test_what_is_no_message_at_all_stops_nobody(platform: Platform, forger: Forger) -> None:
    forger.push("advance", b"garbage")
    forger.push("llm", b"\x80\x04\x95")
    forger.push("tool", envelope(body="e30=", headers={}, properties={}))
    forger.push("tool", envelope(body="e30="))
    forger.push("advance", b"null")
    forger.push("advance", b"[1, 2]")
    forger.push("deliver", envelope())
