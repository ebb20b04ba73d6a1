"""What a person may decide about an entry of the outbox, by how it ended, and what is asked for then."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from services.streams.event import EventInput, StreamId
from services.streams.payload import Payload
from services.streams.vocabulary import (
    DiscardRequested,
    ReplayRequested,
    ReplyQueued,
    ReplySettled,
    TurnSettled,
)
from tests.scenarios.http_stage import Stage, opened_stage

X = StreamId("app:x")
ENTRY = f"{X}@r1"


@pytest.fixture
def stage() -> Iterator[Stage]:
    with opened_stage() as opened:
        opened.prompt("hello", session=X, callback="https://hooks.example.org/canary")
        yield opened


def told(stage: Stage, type: str, payload: Payload) -> int:
    """Let the log know something; its offset."""
    return stage.log.append(X, [EventInput.of(type, payload)]).offsets[0]


def queued(stage: Stage, n: int = 1, *, origin: str = "", settled: int = 0) -> int:
    """Entry `n` is owed; the offset of its turn's end."""
    if not settled:
        turn = TurnSettled(turn=n, outcome="answered", inputs=(2,))
        at = told(stage, "turn.settled", turn)
    entry = ReplyQueued(
        job=f"{X}@r{n}",
        channel="http",
        turn=n,
        inputs=(2,),
        destination="abc",
        origin=origin,
        settled=settled,
    )
    told(stage, "reply.queued", entry)
    return settled or at


def ended(stage: Stage, type: str, error: str = "", n: int = 1) -> None:
    """Entry `n` is at its end."""
    told(stage, type, ReplySettled(job=f"{X}@r{n}", error=error))


def decide(stage: Stage, what: str, entry: str = ENTRY) -> tuple[int, str]:
    """The HTTP status, and why not."""
    answer = stage.call("POST", f"/api/outbox/{entry}/{what}")
    return answer.status_code, (answer.json or {}).get("detail", "")


@pytest.mark.parametrize(
    ("type", "error"),
    [
        ("reply.failed", "poisoned"),
        ("reply.failed", "gone"),
        ("reply.failed", "discarded"),
        ("reply.failed", "address_refused"),
        ("reply.uncertain", "ambiguous"),
    ],
)
def test_every_undelivered_end_can_be_replayed(stage: Stage, type: str, error: str) -> None:
    settled = queued(stage)
    ended(stage, type, error)

    assert decide(stage, "replay") == (202, "")

    asked = stage.events(X)[-1]
    assert asked.type == "reply.replay_requested"
    assert asked.decode(ReplayRequested) == ReplayRequested(
        job=ENTRY, origin=ENTRY, channel="http", turn=1, inputs=(2,), destination="abc", settled=settled
    )


def test_two_who_ask_for_a_replay_ask_once(stage: Stage) -> None:
    queued(stage)
    ended(stage, "reply.failed", "poisoned")
    first = stage.call("POST", f"/api/outbox/{ENTRY}/replay").json or {}

    again = stage.call("POST", f"/api/outbox/{ENTRY}/replay").json or {}

    assert (first["changed"], again["changed"]) == (True, False)
    assert first["offset"] == again["offset"] == stage.log.head(X)


def test_a_replay_of_a_replay_keeps_the_first_entry_as_its_origin(stage: Stage) -> None:
    settled = queued(stage)
    ended(stage, "reply.failed", "poisoned")
    queued(stage, 2, origin=ENTRY, settled=settled)
    assert decide(stage, "replay") == (409, f"it was replayed already, as {X}@r2")
    assert decide(stage, "replay", f"{X}@r2")[0] == 409
    ended(stage, "reply.failed", "poisoned", 2)

    assert decide(stage, "replay", f"{X}@r2") == (202, "")

    asked = stage.events(X)[-1].decode(ReplayRequested)
    assert (asked.job, asked.origin, asked.settled) == (f"{X}@r2", ENTRY, settled)


def test_what_was_delivered_is_left_alone(stage: Stage) -> None:
    queued(stage)
    ended(stage, "reply.delivered")

    for what in ("replay", "discard"):
        assert decide(stage, what) == (409, "it was delivered")


def test_an_ended_entry_is_discarded_once(stage: Stage) -> None:
    queued(stage)
    ended(stage, "reply.failed", "poisoned")

    first = stage.call("POST", f"/api/outbox/{ENTRY}/discard").json or {}
    again = stage.call("POST", f"/api/outbox/{ENTRY}/discard").json or {}

    assert (first["changed"], again["changed"]) == (True, False)
    assert stage.events(X)[-1].decode(DiscardRequested).job == ENTRY
    assert stage.types(X).count("reply.discard_requested") == 1
    assert decide(stage, "replay") == (202, "")


@pytest.mark.parametrize("entry", [f"{X}@r2", f"{X}@1", f"{X}@r0", f"{X}@r01", f"{X}@x", X, "app:none@r1"])
@pytest.mark.parametrize("what", ["replay", "discard"])
def test_what_is_no_entry_is_not_found(stage: Stage, what: str, entry: str) -> None:
    queued(stage)

    assert decide(stage, what, entry)[0] == 404


def test_an_empty_outbox_is_an_empty_page(stage: Stage) -> None:
    assert stage.get("/api/outbox") == {"entries": [], "cursor": None}
    assert stage.get(f"/api/outbox?session={X}&state=gone&limit=1") == {"entries": [], "cursor": None}


def test_the_routes_are_in_the_openapi_document(stage: Stage) -> None:
    paths = stage.get("/openapi.json")["paths"]

    assert {"/api/outbox", "/api/outbox/{entry}/replay", "/api/outbox/{entry}/discard"} <= paths.keys()
