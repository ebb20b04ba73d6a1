"""The open obligations over HTTP: who waits for an answer in a thread, and how far it is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from services.streams.event import EventInput, StreamId
from services.streams.payload import Payload
from services.streams.thread_events import ObligationNoted, ObligationOpened
from services.streams.vocabulary import InputReceived, ReplyQueued, ReplySettled, StreamCreated
from tests.scenarios.http_stage import Stage, opened_stage

X = StreamId("slack:T1:C1:1.000001")
CREATED = EventInput.of("stream.created", StreamCreated())


@pytest.fixture
def stage() -> Iterator[Stage]:
    with opened_stage() as opened:
        yield opened


def told(stage: Stage, type: str, payload: Payload, stream: StreamId = X) -> int:
    done = stage.log.append(stream, [EventInput.of(type, payload)], create=CREATED)
    return done.offsets[-1]


def asks(stage: Stage, stream: StreamId = X) -> int:
    said = InputReceived(text="canary", reply_to=stream, author="ana")
    return told(stage, "input.received", said, stream)


def listed(stage: Stage, query: str = "") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = stage.get(f"/api/obligations{query}")["obligations"]
    return found


def test_nobody_who_waits_is_an_empty_page(stage: Stage) -> None:
    stage.prompt("hello", session="app:x")

    assert stage.get("/api/obligations") == {"obligations": [], "cursor": None}


def test_an_answer_is_owed_until_its_reply_is_at_its_end(stage: Stage) -> None:
    offset = asks(stage)
    (one,) = listed(stage)
    assert (one["session"], one["offset"], one["thread"], one["state"]) == (X, offset, X, "waiting")
    assert "canary" not in repr(one)

    told(stage, "obligation.opened", ObligationOpened(inputs=(offset,), reply_to=X, due_at=1))
    told(stage, "obligation.noted", ObligationNoted(inputs=(offset,), reply_to=X, due_at=2))
    (one,) = listed(stage)
    assert (one["state"], one["noted_at"] >= one["since"]) == ("overdue", True)

    entry = ReplyQueued(job=f"{X}@r1", channel="slack", turn=1, inputs=(offset,), destination="slack-a")
    told(stage, "reply.queued", entry)
    (one,) = listed(stage)
    assert (one["offset"], one["thread"], one["state"], one["reply"]) == (offset, X, "answering", f"{X}@r1")

    told(stage, "reply.delivered", ReplySettled(job=f"{X}@r1"))
    assert listed(stage) == []


def test_pages_go_through_all_sessions(stage: Stage) -> None:
    sessions = {StreamId(f"slack:T1:C1:{n}") for n in range(230)}
    for session in sessions:
        asks(stage, session)

    found: list[str] = []
    page: dict[str, Any] = {"cursor": ""}
    while page["cursor"] is not None:
        more = f"&cursor={page['cursor']}" if page["cursor"] else ""
        page = stage.get(f"/api/obligations?limit=10{more}")
        found += [each["session"] for each in page["obligations"]]

    assert len(found) == len(sessions)
    assert set(found) == sessions


@pytest.mark.parametrize("query", ["?cursor=x", "?limit=0", "?limit=501", "?state=open"])
def test_what_can_not_be_asked_is_refused(stage: Stage, query: str) -> None:
    assert stage.call("GET", f"/api/obligations{query}").status_code == 422


def test_the_route_needs_a_token_and_is_in_the_openapi_document(stage: Stage) -> None:
    assert stage.call("GET", "/api/obligations", token=None).status_code == 401
    assert "/api/obligations" in stage.get("/openapi.json")["paths"]
