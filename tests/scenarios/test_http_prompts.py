"""Prompts over HTTP: durable when acknowledged, found again by their key, answered in time if asked to."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from services.config import AgentConfig
from services.streams.event import StreamId
from services.streams.vocabulary import InputReceived, StreamCreated
from tests.scenarios.http_stage import Stage, opened_stage, wait_until
from web.app import WebLimits


@pytest.fixture
def stage() -> Iterator[Stage]:
    with opened_stage() as opened:
        yield opened


def test_a_prompt_is_in_the_log_when_it_is_acknowledged(stage: Stage) -> None:
    accepted = stage.prompt("hello")

    session = str(accepted["session"])
    assert session.startswith("prompt:")
    created, received = stage.events(session)
    assert created.decode(StreamCreated) == StreamCreated(agent="default", source="prompt")
    assert received.offset == accepted["offset"]
    assert received.decode(InputReceived) == InputReceived(text="hello")


def test_the_same_key_finds_the_same_session_and_input(stage: Stage) -> None:
    first = stage.prompt("hello", key="order-7")
    again = stage.prompt("hello", key="order-7")

    assert (first["duplicate"], again["duplicate"]) == (False, True)
    assert (first["session"], first["offset"]) == (again["session"], again["offset"])
    assert stage.types(str(first["session"])) == ["stream.created", "input.received"]


def test_without_a_key_every_prompt_is_new(stage: Stage) -> None:
    assert stage.prompt("hello")["session"] != stage.prompt("hello")["session"]


def test_a_key_with_other_content_is_refused(stage: Stage) -> None:
    stage.prompt("hello", key="k")

    for body in ({"text": "other"}, {"text": "hello", "policy": "steer"}, {"text": "hello", "agent": "poet"}):
        answer = stage.call("POST", "/api/prompts", json=body, headers={"Idempotency-Key": "k"})
        assert (answer.status_code, (answer.json or {})["type"]) == (409, "urn:turnwright:problem:key-reused")


def test_another_token_with_the_same_key_means_another_prompt(stage: Stage) -> None:
    other = stage.add_token("tw_other")
    mine = stage.prompt("hello", key="k")

    theirs = stage.call(
        "POST", "/api/prompts", token=other, json={"text": "hello"}, headers={"Idempotency-Key": "k"}
    )

    assert (theirs.json or {})["session"] != mine["session"]


def test_twenty_at_once_with_one_key_are_one_prompt(stage: Stage) -> None:
    accepted: list[dict[str, object]] = []
    threads = [
        threading.Thread(target=lambda: accepted.append(stage.prompt("hello", key="k"))) for _ in range(20)
    ]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len({(each["session"], each["offset"]) for each in accepted}) == 1
    assert sum(not each["duplicate"] for each in accepted) == 1


def test_an_app_session_is_made_on_first_use_and_continued(stage: Stage) -> None:
    first = stage.prompt("hello", session="app:shop-7")
    second = stage.prompt("and then?", session="app:shop-7")

    assert (first["offset"], second["offset"]) == (2, 3)
    assert stage.types("app:shop-7") == ["stream.created", "input.received", "input.received"]


def test_many_first_uses_of_an_app_session_make_one_session(stage: Stage) -> None:
    threads = [threading.Thread(target=stage.prompt, kwargs={"session": "app:new"}) for _ in range(10)]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert stage.types("app:new") == ["stream.created", *["input.received"] * 10]


@pytest.mark.parametrize("session", ["prompt:unknown", "slack:t:c:1", "anything"])
def test_any_other_unknown_session_does_not_exist(stage: Stage, session: str) -> None:
    answer = stage.call("POST", "/api/prompts", json={"text": "a", "session": session})

    assert (answer.status_code, (answer.json or {})["type"]) == (404, "urn:turnwright:problem:not-found")
    assert stage.log.head(StreamId(session)) == 0


def test_the_agent_of_a_session_is_fixed_when_it_is_made(stage: Stage) -> None:
    stage.prompt("hello", session="app:x", agent="poet")

    stage.prompt("more", session="app:x")
    stage.prompt("more", session="app:x", agent="poet")
    answer = stage.call("POST", "/api/prompts", json={"text": "a", "session": "app:x", "agent": "default"})

    assert (answer.status_code, (answer.json or {})["type"]) == (409, "urn:turnwright:problem:state")


def test_an_absent_policy_is_the_one_of_the_agent(stage: Stage) -> None:
    stage.prompt("hello", session="app:x", agent="poet")
    stage.prompt("hello", session="app:x")
    stage.prompt("hello", session="app:x", policy="steer")

    policies = [event.decode(InputReceived).policy for event in stage.events("app:x")[1:]]
    assert policies == ["collect", "collect", "steer"]


def test_a_paused_session_takes_no_prompt_but_still_knows_its_keys(stage: Stage) -> None:
    stage.prompt("hello", session="app:x", key="k")
    stage.call("POST", "/api/sessions/app:x/pause")

    answer = stage.call("POST", "/api/prompts", json={"text": "more", "session": "app:x"})

    assert (answer.status_code, (answer.json or {})["type"]) == (409, "urn:turnwright:problem:session-paused")
    assert stage.prompt("hello", session="app:x", key="k")["duplicate"] is True


def test_a_large_prompt_comes_back_whole(stage: Stage) -> None:
    text = "é\N{PILE OF POO}" * 10_000

    accepted = stage.prompt(text)

    shown = stage.call("GET", f"/api/sessions/{accepted['session']}").json or {}
    assert shown["conversation"][0]["text"] == text


def test_who_prefers_to_wait_gets_the_answer(stage: Stage) -> None:
    answers: list[object] = []

    def ask() -> None:
        body = {"text": "hello", "session": "app:x"}
        answer = stage.call("POST", "/api/prompts", json=body, headers={"Prefer": "respond-async, wait=30"})
        answers.append((answer.status_code, answer.json))

    thread = threading.Thread(target=ask)
    thread.start()
    wait_until(lambda: stage.log.head(StreamId("app:x")) == 2)
    stage.answer("app:x", "hi")
    thread.join(10)

    usage = {"input": 3, "output": 2, "cached": 0, "cache_write": 0, "reasoning": 0, "cost_microusd": None}
    accepted = {"session": "app:x", "offset": 2, "duplicate": False}
    assert answers == [(200, {**accepted, "outcome": "answered", "text": "hi", "reason": "", "usage": usage})]


def test_a_repeat_that_waits_gets_the_answer_of_the_first(stage: Stage) -> None:
    stage.prompt("hello", session="app:x", key="k")
    stage.answer("app:x", "hi")

    body, headers = {"text": "hello", "session": "app:x"}, {"Idempotency-Key": "k", "Prefer": "wait=5"}
    answer = stage.call("POST", "/api/prompts", json=body, headers=headers)

    assert (answer.status_code, (answer.json or {})["text"]) == (200, "hi")
    assert (answer.json or {})["duplicate"] is True


@pytest.mark.parametrize("prefer", ["wait=1", "wait=0", "wait", "wait=x", "wait=-3", "return=minimal"])
def test_who_is_not_answered_in_time_is_told_where_to_look(stage: Stage, prefer: str) -> None:
    answer = stage.call("POST", "/api/prompts", json={"text": "hello"}, headers={"Prefer": prefer})

    assert answer.status_code == 202
    assert answer.headers["Location"] == f"/api/sessions/{(answer.json or {})['session']}"


@pytest.mark.parametrize("said", [{"policy": "silent"}, {"agent": "scribe"}], ids=["its own", "its agent's"])
def test_a_prompt_whose_policy_is_silent_is_never_waited_for(stage: Stage, said: dict[str, str]) -> None:
    stage.agents["scribe"] = AgentConfig(policy="silent")
    began = time.monotonic()

    answer = stage.call(
        "POST", "/api/prompts", json={"text": "by the way", **said}, headers={"Prefer": "wait=60"}
    )

    assert answer.status_code == 202
    assert time.monotonic() - began < 10


def test_a_waiting_prompt_ends_when_the_server_stops() -> None:
    with opened_stage() as stage:
        codes: list[int] = []
        body, headers = {"text": "hello", "session": "app:x"}, {"Prefer": "wait=60"}
        thread = threading.Thread(
            target=lambda: codes.append(
                stage.call("POST", "/api/prompts", json=body, headers=headers).status_code
            )
        )
        thread.start()
        wait_until(lambda: stage.log.head(StreamId("app:x")) == 2)

        stage.stopping.set()
        thread.join(5)

        assert codes == [202]


def test_where_no_place_to_wait_is_free_the_prompt_is_accepted_anyway() -> None:
    with opened_stage(limits=WebLimits(live_requests=1)) as stage:
        stage.prompt("hello", session="app:x")
        with stage.served() as url, stage.follow(url, "app:x"):
            body, headers = {"text": "hello"}, {"Prefer": "wait=60"}
            assert stage.call("POST", "/api/prompts", json=body, headers=headers).status_code == 202
