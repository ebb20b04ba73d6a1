"""Prompts over HTTP into sessions of channels: answered over HTTP only, unless the thread is to hear it too."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from services.streams.event import EventInput, StreamId
from services.streams.vocabulary import InputReceived, StreamCreated
from tests.scenarios.http_stage import Stage, opened_stage

X = StreamId("slack:T1:C1:1.2")
DETAIL = "the session began in no thread"


@pytest.fixture
def stage() -> Iterator[Stage]:
    with opened_stage() as opened:
        said = InputReceived(text="hi", source="slack", reply_to=X)
        created = EventInput.of("stream.created", StreamCreated(source="slack"))
        opened.log.append(X, [EventInput.of("input.received", said)], create=created)
        yield opened


def thread_of(stage: Stage, offset: object) -> str | None:
    """Where the input at `offset` is answered."""
    event = stage.events(X)[int(str(offset)) - 1]
    return event.decode(InputReceived).reply_to


def refused(stage: Stage, **fields: object) -> str:
    answer = stage.call("POST", "/api/prompts", json={"text": "hello", "deliver": True, **fields})
    assert answer.status_code == 422, answer.text
    return answer.text


def test_a_prompt_into_a_thread_is_answered_over_http_only(stage: Stage) -> None:
    accepted = stage.prompt(session=X)

    assert thread_of(stage, accepted["offset"]) is None


def test_a_prompt_that_is_to_be_delivered_is_answered_where_the_session_began(stage: Stage) -> None:
    accepted = stage.prompt(session=X, deliver=True)

    assert thread_of(stage, accepted["offset"]) == X


def test_whether_it_is_delivered_belongs_to_what_was_asked(stage: Stage) -> None:
    stage.prompt(session=X, deliver=True, key="k")

    assert stage.prompt(session=X, deliver=True, key="k")["duplicate"] is True
    answer = stage.call(
        "POST", "/api/prompts", json={"text": "hello", "session": X}, headers={"Idempotency-Key": "k"}
    )
    assert answer.status_code == 409


def test_a_session_without_a_thread_delivers_nothing(stage: Stage) -> None:
    stage.prompt(session="app:x")

    assert DETAIL in refused(stage, session="app:x")
    assert DETAIL in refused(stage, session="app:new")
    assert DETAIL in refused(stage)
    assert stage.log.head(StreamId("app:new")) == 0


def test_a_silent_prompt_has_nothing_to_deliver(stage: Stage) -> None:
    assert "nothing answers it" in refused(stage, session=X, policy="silent")
