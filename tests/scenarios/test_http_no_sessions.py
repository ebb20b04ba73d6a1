"""The streams of deliveries and triggers are no sessions: nobody talks in them, nothing in them is to be stopped."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from services.streams.event import EventInput, StreamId
from services.streams.vocabulary import StreamCreated
from tests.scenarios.http_stage import Stage, opened_stage

OTHERS = ("schedule:nightly", "inbound:shop:ana")


@pytest.fixture
def stage() -> Iterator[Stage]:
    with opened_stage() as opened:
        for stream in OTHERS:
            opened.log.append(StreamId(stream), [EventInput.of("stream.created", StreamCreated())])
        yield opened


@pytest.mark.parametrize("stream", OTHERS)
def test_a_prompt_finds_no_session_there(stream: str, stage: Stage) -> None:
    answer = stage.call("POST", "/api/prompts", json={"text": "hello", "session": stream})

    assert answer.status_code == 404
    assert stage.log.head(StreamId(stream)) == 1


@pytest.mark.parametrize("stream", OTHERS)
@pytest.mark.parametrize("command", ["pause", "cancel", "processors/agent/attach"])
def test_a_command_finds_no_session_there(command: str, stream: str, stage: Stage) -> None:
    answer = stage.call("POST", f"/api/sessions/{stream}/{command}", json={})

    assert answer.status_code == 404
    assert stage.log.head(StreamId(stream)) == 1
