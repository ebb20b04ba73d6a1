"""Trace ids where nothing is exported: they are made, taken over, stored and told all the same."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from services.streams.vocabulary import TurnSettled
from services.telemetry.context import current
from tests.scenarios.http_stage import Stage, opened_stage

TRACE = "0af7651916cd43dd8448eb211c80319c"


@pytest.fixture
def stage() -> Iterator[Stage]:
    with opened_stage() as opened:
        yield opened


def settled(stage: Stage, session: str) -> TurnSettled:
    """The end of the only turn, once the model has answered."""
    stage.answer(session, "hi")
    stage.advance(session)
    [event] = [each for each in stage.events(session) if each.type == "turn.settled"]
    return event.decode(TurnSettled)


def test_a_request_without_a_trace_begins_one_that_nobody_records(stage: Stage) -> None:
    session = str(stage.prompt("hello")["session"])

    told = settled(stage, session)

    assert re.fullmatch(r"[0-9a-f]{32}", told.trace_id)
    stored = {each.trace for each in stage.events(session) if each.trace}
    assert all(trace.startswith(f"00-{told.trace_id}-") and trace.endswith("-00") for trace in stored)


@pytest.mark.parametrize("flags", ["00", "01"])
def test_a_callers_trace_goes_on_with_its_flag(stage: Stage, flags: str) -> None:
    parent = f"00-{TRACE}-b7ad6b7169203331-{flags}"
    answer = stage.call(
        "POST",
        "/api/prompts",
        json={"text": "hello"},
        headers={"traceparent": parent, "baggage": "user=canary"},
    )
    session = str((answer.json or {})["session"])

    assert settled(stage, session).trace_id == TRACE
    events = stage.events(session)
    assert {each.trace for each in events if each.type.startswith(("input.", "turn."))} == {parent}
    assert {each.baggage for each in events} == {None}
    [read] = [each for each in stage.get(f"/api/sessions/{session}/events")["events"] if each["offset"] == 2]
    assert read["trace_id"] == TRACE


def test_every_request_has_a_trace_of_its_own_and_leaves_none_behind(stage: Stage) -> None:
    sessions = [str(stage.prompt("hello")["session"]) for _ in range(3)]

    assert len({stage.events(session)[1].trace for session in sessions}) == 3
    assert current() is None


def test_a_stranger_begins_no_trace(stage: Stage) -> None:
    answer = stage.call("POST", "/api/prompts", token=None, json={"text": "hello"})

    assert answer.status_code == 401
    assert current() is None
