"""The tool half of a turn: calls as jobs, whatever the model asks for and however the tool or its worker ends."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from services.streams.vocabulary import AttemptEnded, JobStarted, LLMRequested, ToolRequested, ToolSettled
from tests.scenarios.agent_session import Session
from tests.scenarios.platform import Platform, Setup, installed_site, running_platform
from tests.scenarios.vendor import calls, said
from tests.worker.waiting import wait_until

# Long, so that what waits for its end is told from what a new worker notices.
LEASE_TTL_S = 20.0
CONFIG = """
[agents.reader]
tools = ["look_up"]
"""


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    setup = Setup(
        site=installed_site(tmp_path_factory),
        config=CONFIG,
        workers=2,
        workers_may_die=True,
        timings={"lease_ttl_s": LEASE_TTL_S},
    )
    with running_platform(tmp_path_factory.mktemp("tools"), setup) as running:
        yield running


def told(platform: Platform, session: Session) -> list[tuple[str, str]]:
    """What the model was told about its calls: (call, text)."""
    asked = platform.vendor.asked(session.id)[-1]
    return [(m.call_id, m.text) for m in asked.messages if m.role == "tool"]


def after_deaths(platform: Platform, session: Session, *, deaths: int) -> None:
    """Start killed workers anew until the session's turn is settled."""

    def settled() -> bool:
        platform.revive()
        return bool(session.events("turn.settled"))

    wait_until(settled, within_s=20 + 5 * deaths)
    platform.wait_ready(workers=2)


def test_calls_of_one_answer_run_in_parallel_and_the_model_is_told_all_results(platform: Platform) -> None:
    session = Session(platform)
    wanted = [
        ("wait", '{"seconds": 2}'),
        ("look_up", '{"country": "France"}'),
        ("wait", '{"seconds": 2}'),
    ]
    platform.vendor.will(session.id, calls(*wanted, text="Let me see."), said("Paris, after a while."))
    session.say("wait and look")
    [settled] = session.settled()
    assert (settled.outcome, settled.text) == ("answered", "Paris, after a while.")
    assert told(platform, session) == [("call-0", "done"), ("call-1", "Paris"), ("call-2", "done")]
    assert [(each.name, each.call) for each in session.all("tool.requested", ToolRequested)] == [
        ("wait", "call-0"),
        ("look_up", "call-1"),
        ("wait", "call-2"),
    ]
    ended = {e.decode(ToolSettled).job: e for e in session.events("tool.settled")}
    waits = [job for job, e in ended.items() if e.decode(ToolSettled).result == "done"]
    began = [e.offset for e in session.events("tool.started") if e.decode(JobStarted).job in waits]
    assert len(began) == 2
    assert max(began) < min(ended[job].offset for job in waits)
    assert [each.step for each in session.all("llm.requested", LLMRequested)] == [1, 2]
    session.check_log()


def test_an_unknown_tool_and_bad_arguments_are_answered_to_the_model(platform: Platform) -> None:
    session = Session(platform)
    wanted = [
        ("fly", "{}"),
        ("look_up", '{"town": "Graz"}'),
        ("look_up", "{not json"),
        ("look_up", '{"country": "Mordor"}'),
    ]
    platform.vendor.will(session.id, calls(*wanted), said("I see."))
    session.say("try things")
    assert session.settled()[0].outcome == "answered"
    errors = [each.error for each in sorted(session.all("tool.settled", ToolSettled), key=lambda s: s.job)]
    assert errors == ["unknown_tool", "bad_arguments", "bad_arguments", "tool_error"]
    texts = dict(told(platform, session))
    assert "there is no tool 'fly'" in texts["call-0"]
    assert "town" in texts["call-1"]
    assert "no capital is known for 'Mordor'" in texts["call-3"]


def test_a_tool_that_the_agent_may_not_use_is_unknown_to_it(platform: Platform) -> None:
    session = Session(platform, agent="reader")
    platform.vendor.will(session.id, calls(("append_note", '{"text": "psst"}')), said("Fine."))
    session.say("write something")
    session.settled()
    [settled] = session.all("tool.settled", ToolSettled)
    assert (settled.outcome, settled.error) == ("failed", "unknown_tool")
    assert "there are: look_up" in settled.result


def test_a_tool_is_stopped_at_its_time_limit(platform: Platform) -> None:
    session = Session(platform)
    platform.vendor.will(session.id, calls(("dawdle", "{}")), said("Too slow."))
    session.say("dawdle")
    assert session.settled()[0].text == "Too slow."
    [settled] = session.all("tool.settled", ToolSettled)
    assert (settled.outcome, settled.error) == ("failed", "timeout")
    assert "whether it took effect is unknown" in told(platform, session)[0][1]


def test_a_failing_tool_tells_the_model_its_type_only(platform: Platform) -> None:
    session = Session(platform)
    platform.vendor.will(session.id, calls(("stumble", "{}")), said("Oh."))
    session.say("stumble")
    session.settled()
    [(_, text)] = told(platform, session)
    assert json.loads(text)["error"] == "LookupError"
    assert "secret" not in text


def test_a_write_tool_whose_worker_died_is_told_to_the_model_and_never_run_again(platform: Platform) -> None:
    session = Session(platform)
    died = platform.arm("tool.ran")
    platform.vendor.will(session.id, calls(("append_note", '{"text": "once"}')), said("Noted, perhaps."))
    session.say("note this")
    wait_until(died)
    after_deaths(platform, session, deaths=1)
    assert session.settled()[0].text == "Noted, perhaps."
    assert platform.notes.read_text() == f"{session.id}\tcall-0\tonce\n"
    [settled] = session.all("tool.settled", ToolSettled)
    assert (settled.outcome, settled.error) == ("interrupted", "effect_unknown")
    assert told(platform, session) == [("call-0", "interrupted: whether it took effect is unknown")]
    session.check_log()


def test_a_read_only_tool_whose_worker_died_is_run_again(platform: Platform) -> None:
    session = Session(platform)
    died = platform.arm("tool.ran")
    platform.vendor.will(session.id, calls(("look_up", '{"country": "Japan"}')), said("Tokyo."))
    session.say("capital of Japan?")
    wait_until(died)
    after_deaths(platform, session, deaths=1)
    [settled] = session.all("tool.settled", ToolSettled)
    assert (settled.outcome, settled.result) == ("succeeded", "Tokyo")
    assert len(session.events("tool.started")) == 2
    session.check_log()


def test_a_request_whose_worker_died_is_asked_again_and_answered_once(platform: Platform) -> None:
    session = Session(platform)
    died = platform.arm("llm.streaming")
    session.say("hello")
    wait_until(died)
    killed_at = platform.vendor.requests[-1].received_at
    after_deaths(platform, session, deaths=1)
    assert session.settled()[0].text == "echo: hello "
    assert len(session.events("llm.started")) == 2
    assert session.events("llm.started")[1].created_at / 1000 - killed_at < LEASE_TTL_S - 5
    assert session.all("llm.attempt_failed", AttemptEnded) == []
    session.check_log()
