"""Where turns end that should not go on: errors, budgets, steps, time; and what fits the model's context."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from services.streams.vocabulary import AttemptEnded, HistoryWindowed, LLMSettled
from tests.fakes.llm_scripts import Cut, Garbage, HangUp, Script, Status, StreamError
from tests.scenarios.agent_session import Session
from tests.scenarios.platform import TIMINGS, Platform, Setup, installed_site, running_platform
from tests.scenarios.vendor import calls, said

CONFIG = """
[agents.default]
max_steps = 3

[limits]
max_prompt_bytes = 500000
llm_wall_s = 60
job_expires_s = 300
"""
# The example provider says that its models read this much.
CONTEXT_TOKENS = 128_000
EXPIRES_MS = 300_000


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    setup = Setup(site=installed_site(tmp_path_factory), config=CONFIG, workers=1)
    with running_platform(tmp_path_factory.mktemp("limits"), setup) as running:
        yield running


def errors(session: Session) -> list[str]:
    return [each.error for each in session.all("llm.attempt_failed", AttemptEnded)]


def test_a_turn_that_never_stops_calling_tools_is_limited(platform: Platform) -> None:
    session = Session(platform)
    again = calls(("look_up", '{"country": "Japan"}'))
    platform.vendor.will(session.id, again, again, again)
    offset = session.say("look forever")
    [settled] = session.settled()
    assert (settled.outcome, settled.reason, settled.inputs) == ("limited", "max_steps", (offset,))
    assert len(platform.vendor.asked(session.id)) == 3
    session.say("and now?")
    assert session.settled(2)[1].outcome == "answered"
    session.check_log()


@pytest.mark.parametrize(
    ("trouble", "code"),
    [
        (Status(status=429, retry_after="1"), "overloaded"),
        (Cut(how="reset"), "truncated"),
        (Cut(how="end"), "truncated"),
        (HangUp(), "ambiguous"),
        (Garbage(), "malformed"),
        (StreamError(code="overloaded"), "overloaded"),
    ],
)
def test_a_passing_trouble_is_tried_again_after_a_wait(
    platform: Platform, trouble: Script, code: str
) -> None:
    session = Session(platform)
    platform.vendor.will(session.id, trouble, said("better"))
    session.say("hello")
    why = session.wait_why("backing_off")
    [failed] = session.all("llm.attempt_failed", AttemptEnded)
    assert why.wait is not None
    assert why.wait.until == failed.retry_at
    assert code in why.wait.text
    [settled] = session.settled()
    assert (settled.outcome, settled.text) == ("answered", "better")
    assert errors(session) == [code]
    failed_at = session.events("llm.attempt_failed")[0].created_at
    began = session.events("llm.started")[1].created_at
    assert 500 <= failed.retry_at - failed_at <= 2_000
    # Not left to the next round of those who look for what was forgotten.
    assert 0 <= began - failed.retry_at < 1000 * TIMINGS["take_grace_s"]
    session.check_log()


def test_a_lasting_trouble_fails_the_turn_after_three_attempts(platform: Platform) -> None:
    session = Session(platform)
    busy = Status(status=529, retry_after="0")
    platform.vendor.will(session.id, busy, busy, busy)
    offset = session.say("hello")
    [settled] = session.settled()
    assert (settled.outcome, settled.reason, settled.inputs) == ("failed", "overloaded", (offset,))
    assert errors(session) == ["overloaded", "overloaded"]
    assert len(platform.vendor.asked(session.id)) == 3
    session.say("again")
    assert session.settled(2)[1].outcome == "answered"
    session.check_log()


@pytest.mark.parametrize(
    ("refusal", "code"),
    [
        (Status(status=400), "rejected"),
        (Status(status=401), "rejected"),
        (Status(status=402, reason="quota"), "quota"),
    ],
)
def test_a_refusal_fails_the_turn_at_once(platform: Platform, refusal: Script, code: str) -> None:
    session = Session(platform)
    platform.vendor.will(session.id, refusal)
    session.say("hello")
    [settled] = session.settled()
    assert (settled.outcome, settled.reason) == ("failed", code)
    assert len(platform.vendor.asked(session.id)) == 1


def test_a_vendor_that_asks_for_more_time_than_the_job_has_fails_the_turn_at_once(platform: Platform) -> None:
    session = Session(platform)
    platform.vendor.will(session.id, Status(status=429, retry_after=str(EXPIRES_MS // 1000 + 60)))
    session.say("hello")
    [settled] = session.settled()
    assert (settled.outcome, settled.reason) == ("failed", "overloaded")
    assert errors(session) == []


def test_what_was_half_said_before_a_retry_is_not_said_twice(platform: Platform) -> None:
    session = Session(platform)
    platform.vendor.will(session.id, Cut(after=2), said("whole"))
    session.say("hello")
    assert session.settled()[0].text == "whole"
    assert [each.text for each in session.all("llm.settled", LLMSettled)] == ["whole"]


def test_a_long_conversation_is_windowed_by_whole_turns_and_the_window_stays(platform: Platform) -> None:
    session = Session(platform)
    # A fifth of the context each, by four characters a token. More than three quarters are cut to a half.
    long = "x" * (CONTEXT_TOKENS * 4 // 5)
    for n in range(1, 6):
        platform.vendor.will(session.id, said(f"answer {n}"))
        session.say(f"{n}:{long}")
        session.settled(n)
    windows = [
        [m.text[:2] for m in a.messages if m.role == "user"] for a in platform.vendor.asked(session.id)
    ]
    assert windows == [["1:"], ["1:", "2:"], ["1:", "2:", "3:"], ["3:", "4:"], ["3:", "4:", "5:"]]
    [cut] = session.all("history.windowed", HistoryWindowed)
    assert (cut.job, cut.first_turn) == (f"{session.id}@4", 3)
    session.check_log()


def test_a_job_that_was_not_done_in_time_fails_the_turn(platform: Platform) -> None:
    session = Session(platform)
    platform.vendor.will(session.id, Status(status=429, retry_after="30"))
    session.say("hello")
    session.wait_why("backing_off")
    assert platform.parts["worker-1"].stop() == 0
    platform.move_clock(EXPIRES_MS + 1_000)
    platform.start_worker()
    [settled] = session.settled()
    assert (settled.outcome, settled.reason) == ("failed", "expired")
    assert len(platform.vendor.asked(session.id)) == 1
    platform.wait_ready(workers=1)
    session.say("better late")
    assert session.settled(2)[1].outcome == "answered"
