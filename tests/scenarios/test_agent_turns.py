"""A turn from its prompt to its answer, through web, broker and worker processes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from services.llm.provider import Finished, TextDelta
from services.streams.vocabulary import LLMRequested, StreamCreated
from tests.fakes.llm_scripts import Answer
from tests.scenarios.agent_session import Session
from tests.scenarios.http_stage import Live
from tests.scenarios.platform import Platform, Setup, installed_site, running_platform
from tests.scenarios.vendor import said

CONFIG = """
[agents.default]
tools = []

[agents.poet]
system_prompt = "You answer in rhymes."
model = "acme:rhyme-1"
tools = ["look_up"]
"""


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    setup = Setup(site=installed_site(tmp_path_factory), config=CONFIG, workers=2, with_beat=True)
    with running_platform(tmp_path_factory.mktemp("turns"), setup) as running:
        yield running


def test_a_prompt_becomes_a_turn_with_one_request_and_one_answer(platform: Platform) -> None:
    session = Session(platform)
    offset = session.say("hello there")
    [settled] = session.settled()
    assert (settled.outcome, settled.inputs, settled.text) == ("answered", (offset,), "echo: hello there ")
    assert session.types() == [
        "stream.created",
        "input.received",
        "turn.started",
        "llm.requested",
        "llm.started",
        "llm.settled",
        "turn.settled",
    ]
    assert settled.usage.output > 0
    session.wait_idle()
    session.check_log()


def test_who_prefers_to_wait_is_given_the_answer(platform: Platform) -> None:
    session = Session(platform)
    answer = session.post("quick question", prefer="wait=10")
    assert answer.status_code == 200, answer.text
    assert answer.json()["outcome"] == "answered"
    assert answer.json()["text"] == "echo: quick question "


def test_who_waits_too_shortly_is_told_that_it_is_accepted(platform: Platform) -> None:
    session = Session(platform)
    gate = platform.vendor.hold(session.id)
    answer = session.post("slow question", prefer="wait=1")
    assert answer.status_code == 202, answer.text
    gate.open()
    assert session.settled()[0].outcome == "answered"


def test_the_next_turn_knows_what_was_said_before(platform: Platform) -> None:
    session = Session(platform)
    session.post("one", prefer="wait=10")
    session.post("two", prefer="wait=10")
    asked = platform.vendor.asked(session.id)[1]
    assert [(m.role, m.text) for m in asked.messages] == [
        ("user", "one"),
        ("assistant", "echo: one "),
        ("user", "two"),
    ]


def test_an_agent_answers_with_its_own_prompt_model_and_tools(platform: Platform) -> None:
    session = Session(platform, agent="poet")
    session.post("a verse", prefer="wait=10")
    [recorded] = [each for each in platform.vendor.requests if each.asked.session == session.id]
    assert recorded.asked.system == "You answer in rhymes."
    assert recorded.asked.model == "rhyme-1"
    assert [tool["name"] for tool in json.loads(recorded.body)["tools"]] == ["look_up"]
    assert session.all("stream.created", StreamCreated)[0].agent == "poet"
    assert session.all("llm.requested", LLMRequested)[0].config != ""


def test_an_agent_without_tools_offers_none(platform: Platform) -> None:
    session = Session(platform)
    session.post("no tools", prefer="wait=10")
    [recorded] = [each for each in platform.vendor.requests if each.asked.session == session.id]
    assert json.loads(recorded.body)["tools"] == []


def test_an_agent_nobody_configured_is_refused(platform: Platform) -> None:
    answer = Session(platform, agent="painter").post("hello")
    assert answer.status_code == 422
    assert "painter" in answer.json()["detail"]


def test_a_repeated_prompt_is_answered_once(platform: Platform) -> None:
    body = {"text": "only once"}
    headers = {"Idempotency-Key": "only-once", "Prefer": "wait=10"}
    first = platform.http.post("/api/prompts", json=body, headers=headers).json()
    second = platform.http.post("/api/prompts", json=body, headers=headers).json()
    assert (first["session"], first["offset"]) == (second["session"], second["offset"])
    assert (first["duplicate"], second["duplicate"]) == (False, True)
    assert second["text"] == "echo: only once "
    assert len(platform.vendor.asked(first["session"])) == 1


def test_a_reader_sees_the_answer_grow_and_resumes_without_gap_or_repeat(platform: Platform) -> None:
    session = Session(platform)
    words = tuple(TextDelta(f"{n} ") for n in range(12))
    finished = Finished(reason="stop", model="tiny")
    session.post("one", prefer="wait=10")
    platform.vendor.will(session.id, Answer(pieces=(*words, finished), gap_s=0.1))
    with _followed(platform, session, after=0) as live:
        session.say("count")
        deltas: list[dict[str, Any]] = []
        seen: list[dict[str, Any]] = []
        while not seen or seen[-1]["type"] != "turn.settled" or seen[-1]["payload"]["turn"] != 2:
            frame = live.frame()
            if frame.get("event") == "delta":
                deltas.append(json.loads(frame["data"]))
            elif "id" in frame:
                seen.append(json.loads(frame["data"]))
                assert frame["id"] == str(seen[-1]["offset"])
    assert [each["offset"] for each in seen] == list(range(1, len(seen) + 1))
    text = "".join(each["text"] for each in deltas)
    assert len(deltas) > 1
    assert text == "".join(word.text for word in words)
    assert [each["seq"] for each in deltas] == list(range(1, len(deltas) + 1))

    middle = len(seen) // 2
    with _followed(platform, session, after=middle) as live:
        rest = [live.event()["offset"] for _ in range(len(seen) - middle)]
    assert rest == list(range(middle + 1, len(seen) + 1))


def test_many_sessions_at_once_are_all_answered_once(platform: Platform) -> None:
    sessions = [Session(platform) for _ in range(30)]
    for session in sessions:
        platform.vendor.will(session.id, said("done"))
        session.say("work")
    for session in sessions:
        assert [turn.text for turn in session.settled()] == ["done"]
        assert len(platform.vendor.asked(session.id)) == 1
        session.check_log()


def test_one_session_under_a_flood_answers_every_input_in_order(platform: Platform) -> None:
    session = Session(platform)
    offsets = [session.say(f"input {n}") for n in range(20)]
    settled = session.settled(20, within_s=30)
    assert [turn.inputs for turn in settled] == [(offset,) for offset in offsets]
    session.check_log()


@contextmanager
def _followed(platform: Platform, session: Session, *, after: int) -> Iterator[Live]:
    headers = {"Accept": "text/event-stream", "Last-Event-ID": str(after)}
    with platform.http.stream("GET", f"{session.path}/events", headers=headers) as response:
        yield Live(response)
