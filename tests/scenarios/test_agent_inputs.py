"""Pending inputs, cancelling, pausing: what people decide before and while a turn runs."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator

import pytest

from services.streams.vocabulary import LLMCancelRequested, LLMSettled, ToolSettled, TurnSettled
from tests.fakes.llm_scripts import Answer, Stall
from tests.scenarios.agent_session import Session
from tests.scenarios.platform import Platform, Setup, installed_site, running_platform
from tests.scenarios.vendor import calls, said

CONFIG = """
[agents.chatty]
debounce_ms = 60000
"""


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    setup = Setup(site=installed_site(tmp_path_factory), config=CONFIG, workers=2)
    with running_platform(tmp_path_factory.mktemp("inputs"), setup) as running:
        yield running


def pending(session: Session) -> list[tuple[int, str]]:
    answer = session.platform.http.get(f"{session.path}/inputs")
    assert answer.status_code == 200, answer.text
    return [(each["offset"], each["text"]) for each in answer.json()["inputs"]]


def replace(session: Session, offset: int, text: str) -> int:
    return session.platform.http.patch(f"{session.path}/inputs/{offset}", json={"text": text}).status_code


def withdraw(session: Session, offset: int) -> int:
    return session.platform.http.delete(f"{session.path}/inputs/{offset}").status_code


def test_waiting_inputs_are_listed_replaced_and_withdrawn(platform: Platform) -> None:
    session = Session(platform)
    gate = platform.vendor.hold(session.id)
    first = session.say("first")
    gate.wait_entered()
    second, third, fourth = (session.say(text) for text in ("second", "third", "fourth"))
    assert pending(session) == [(second, "second"), (third, "third"), (fourth, "fourth")]
    assert replace(session, second, "better") == 200
    assert withdraw(session, third) == 200
    assert pending(session) == [(second, "better"), (fourth, "fourth")]
    gate.open()
    assert [turn.inputs for turn in session.settled(3)] == [(first,), (second,), (fourth,)]
    texts = [m.text for m in platform.vendor.asked(session.id)[-1].messages if m.role == "user"]
    assert texts == ["first", "better", "fourth"]
    session.wait_idle()
    session.check_log()


def test_an_input_that_a_request_lists_can_not_be_changed(platform: Platform) -> None:
    session = Session(platform)
    gate = platform.vendor.hold(session.id)
    offset = session.say("too late")
    gate.wait_entered()
    assert withdraw(session, offset) == 409
    assert replace(session, offset, "other") == 409
    gate.open()
    assert session.settled()[0].inputs == (offset,)


def test_withdrawing_all_that_is_debounced_leaves_an_idle_session(platform: Platform) -> None:
    session = Session(platform, agent="chatty")
    offset = session.say("never mind")
    session.wait_why("debouncing")
    assert withdraw(session, offset) == 200
    session.wait_idle()
    assert session.turns() == []


def test_withdrawing_races_with_the_request_and_both_agree(platform: Platform) -> None:
    for _ in range(8):
        session = Session(platform)
        gate = platform.vendor.hold(session.id)
        first = session.say("first")
        gate.wait_entered()
        second = session.say("second")
        opener = threading.Thread(target=gate.open)
        opener.start()
        status = withdraw(session, second)
        opener.join()
        session.wait_idle()
        assert status in (200, 409)
        settled = session.all("turn.settled", TurnSettled)
        listed = [offset for turn in settled for offset in turn.inputs if turn.outcome == "answered"]
        texts = [m.text for asked in platform.vendor.asked(session.id) for m in asked.messages]
        assert listed == ([first] if status == 200 else [first, second])
        assert ("second" in texts) == (status == 409)
        session.check_log()


def test_cancelling_stops_a_silent_request_and_keeps_what_waits(platform: Platform) -> None:
    session = Session(platform)
    platform.vendor.will(session.id, Stall(after=1), said("next"))
    first = session.say("first")
    platform.vendor.wait_asked(session.id)
    second = session.say("second")
    assert session.command("cancel") == 202
    cancelled, answered = session.settled(2)
    assert (cancelled.outcome, cancelled.inputs, cancelled.text) == ("cancelled", (first,), "Hel")
    assert (answered.outcome, answered.inputs) == ("answered", (second,))
    asked = session.events("turn.cancel_requested")[0]
    ended = session.events("turn.settled")[0]
    assert ended.created_at - asked.created_at < 2_000
    session.check_log()


def test_cancelling_with_queued_ends_what_waits_too(platform: Platform) -> None:
    session = Session(platform)
    platform.vendor.will(session.id, Stall())
    first = session.say("first")
    platform.vendor.wait_asked(session.id)
    others = (session.say("second"), session.say("third"))
    assert session.command("cancel", queued=True) == 202
    settled = session.settled(2)
    assert {turn.outcome for turn in settled} == {"cancelled"}
    assert sorted(offset for turn in settled for offset in turn.inputs) == [first, *others]
    session.wait_idle()
    assert len(platform.vendor.asked(session.id)) == 1
    session.check_log()


def test_cancelling_an_idle_session_changes_nothing(platform: Platform) -> None:
    session = Session(platform)
    session.post("hello", prefer="wait=10")
    assert session.command("cancel") == 202
    session.wait_idle()
    assert len(session.all("turn.settled", TurnSettled)) == 1


def test_cancelling_during_tool_calls_settles_them_so_that_the_next_turn_can_be_sent(
    platform: Platform,
) -> None:
    session = Session(platform)
    both = calls(("wait", '{"seconds": 60}'), ("wait", '{"seconds": 61}'))
    platform.vendor.will(session.id, both, said("on we go"))
    session.say("wait twice")
    session.wait("tool.started", 2)
    session.command("cancel")
    assert session.settled()[0].outcome == "cancelled"
    assert {each.outcome for each in session.all("tool.settled", ToolSettled)} == {"interrupted"}
    session.say("go on")
    assert session.settled(2)[1].text == "on we go"
    roles = [m.role for m in platform.vendor.asked(session.id)[1].messages]
    assert roles == ["user", "assistant", "tool", "tool", "user"]
    session.check_log()


def test_a_turn_ends_within_its_patience_when_the_holder_died(platform: Platform) -> None:
    session = Session(platform)
    platform.vendor.will(session.id, Stall())
    session.say("first")
    platform.vendor.wait_asked(session.id)
    holder = session.events("llm.started")[0]
    pid = int(bytes(holder.payload).decode().split('"incarnation":"')[1].split("-")[1])
    [part] = [each for each in platform.parts.values() if each.pid == pid]
    part.process.send_signal(signal.SIGSTOP)
    session.command("cancel")
    why = session.wait_why("cancelling", within_s=1.8)
    asked = session.events("llm.cancel_requested")[0]
    assert why.wait is not None
    assert why.wait.since == asked.created_at
    assert why.wait.until == asked.decode(LLMCancelRequested).deadline
    [settled] = session.settled()
    assert (settled.outcome, settled.reason) == ("cancelled", "holder_silent")
    part.kill()
    platform.start_worker(part.name)
    platform.wait_ready(workers=2)
    session.say("still there?")
    assert session.settled(2)[1].outcome == "answered"
    session.check_log()


def test_a_paused_session_refuses_inputs_and_takes_the_running_outcome(platform: Platform) -> None:
    session = Session(platform)
    gate = platform.vendor.hold(session.id)
    session.say("running")
    gate.wait_entered()
    session.say("waiting")
    assert session.command("pause", reason="maintenance") == 202
    assert session.post("refused").status_code == 409
    gate.open()
    session.wait("llm.settled")
    why = session.why()
    assert (why.status, why.wait is not None and why.wait.code) == ("paused", "paused")
    assert why.wait is not None
    assert "maintenance" in why.wait.text
    assert why.wait.since == session.events("stream.paused")[0].created_at
    session.wait("turn.settled")
    assert len(platform.vendor.asked(session.id)) == 1
    assert session.command("resume") == 202
    assert [turn.outcome for turn in session.settled(2)] == ["answered", "answered"]
    assert session.post("welcome again").status_code == 202
    session.settled(3)
    session.wait_idle()
    session.check_log()


def test_jobs_of_a_paused_session_wait_for_its_resumption(platform: Platform) -> None:
    session = Session(platform)
    gate = platform.vendor.hold(session.id, calls(("look_up", '{"country": "Japan"}')))
    session.say("capital of Japan?")
    gate.wait_entered()
    session.command("pause")
    gate.open()
    session.wait("tool.requested")
    session.wait_why("paused")
    assert session.events("tool.started") == []
    session.command("resume")
    assert session.settled()[0].outcome == "answered"
    assert session.all("tool.settled", ToolSettled)[0].result == "Tokyo"
    session.check_log()


def test_cancelling_a_paused_session_works(platform: Platform) -> None:
    session = Session(platform)
    platform.vendor.will(session.id, Stall())
    session.say("never")
    platform.vendor.wait_asked(session.id)
    session.command("pause")
    session.command("cancel")
    assert session.settled()[0].outcome == "cancelled"
    session.command("resume")
    session.wait_idle()


def test_cancelling_while_the_answer_streams_keeps_its_part(platform: Platform) -> None:
    session = Session(platform)
    platform.vendor.will(session.id, Answer(gap_s=1.0))
    session.say("slowly")
    platform.vendor.wait_asked(session.id)
    session.command("cancel")
    [settled] = session.settled()
    assert settled.outcome == "cancelled"
    assert "Hello, world".startswith(session.all("llm.settled", LLMSettled)[0].text)
    session.check_log()
