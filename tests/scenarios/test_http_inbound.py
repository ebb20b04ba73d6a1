"""The ledger over HTTP: every delivery that was received, what became of it, and why a pending one waits."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from services.inbound.router import Router
from services.streams.inbound_events import InboundSettled
from tests.scenarios.http_stage import Stage, opened_stage
from tests.scenarios.inbound_stage import ANA, Hand, listed, send, sources


@pytest.fixture
def stage() -> Iterator[Stage]:
    with opened_stage(sources=sources()) as opened:
        yield opened


@pytest.fixture
def hand(stage: Stage) -> Hand:
    return Hand(stage)


def test_an_empty_ledger_is_an_empty_page(stage: Stage) -> None:
    assert stage.get("/api/inbound") == {"deliveries": [], "cursor": None}
    assert stage.get("/api/inbound?state=pending&source=shop&limit=1") == {"deliveries": [], "cursor": None}


def test_a_delivery_that_nobody_looked_at_waits_for_a_worker(stage: Stage) -> None:
    send(stage)

    (one,) = listed(stage)

    assert one["id"] == f"{ANA}@2"
    assert (one["source"], one["kind"], one["state"]) == ("shop", "order.placed", "pending")
    assert (one["wait"]["code"], one["session"]) == ("queued", "")
    assert 0 < one["sent_at"] <= one["received_at"] + 1000
    assert listed(stage, "state=pending") == [one]


def test_what_a_route_ignores_says_so(stage: Stage) -> None:
    send(stage, type="order.spam")
    stage.advance(ANA)

    (one,) = listed(stage)

    assert (one["state"], one["reason"], one["wait"]) == ("ignored", "route_says_ignore", None)
    assert one["ended_at"] >= one["received_at"]
    assert listed(stage, "state=ignored") == [one]
    assert listed(stage, "state=pending") == []


def test_a_delivery_on_its_way_says_what_it_waits_for(stage: Stage, hand: Hand) -> None:
    def waits(offset: int = 2) -> tuple[str, str]:
        (one,) = [each for each in listed(stage, "state=pending") if each["id"] == f"{ANA}@{offset}"]
        assert one["session"] == "in:shop:ana"
        return one["wait"]["code"], one["wait"]["text"]

    send(stage)
    send(stage)
    stage.advance(ANA)
    assert waits() == ("queued", "queued for a worker")
    assert waits(3) == ("behind", "waits behind an earlier delivery to in:shop:ana")
    stage.workers = 0
    assert waits() == ("no_worker", "no worker is running")
    held = hand.take(2)
    assert waits() == ("running", "running attempt 1")
    hand.claims.release(held, error="permission_unknown", delay_ms=600_000)
    assert waits() == ("backing_off", "attempt 1 ended: permission_unknown; trying again")


def test_a_delivery_to_a_paused_session_says_which_is_to_be_resumed(stage: Stage, hand: Hand) -> None:
    send(stage)
    stage.advance(ANA)
    hand.claims.release(hand.take(2), error="paused", delay_ms=600_000, free=True)

    (one,) = listed(stage)

    assert one["wait"]["code"] == "paused"
    assert "turnwright resume in:shop:ana" in one["wait"]["text"]
    assert one["wait"]["until"] > one["received_at"]


@pytest.mark.parametrize(
    ("state", "reason", "offset"),
    [("routed", "", 7), ("dropped", "nothing_said", 0), ("failed", "expired", 0)],
)
def test_every_outcome_is_shown_with_where_it_went_or_why_not(
    stage: Stage, hand: Hand, state: Any, reason: str, offset: int
) -> None:
    send(stage)
    stage.advance(ANA)
    end = InboundSettled(delivery=2, state=state, reason=reason, session="in:shop:ana", offset=offset)
    hand.end(hand.take(2), end)

    (one,) = listed(stage, f"state={state}")

    assert (one["state"], one["reason"], one["offset"]) == (state, reason, offset)
    assert (one["session"], one["wait"]) == ("in:shop:ana", None)
    assert listed(stage, "state=pending") == []


def test_the_newest_are_first_over_all_streams_and_every_page_goes_on(stage: Stage) -> None:
    for n in range(25):
        send(stage, f"customer-{n % 4}")
        send(stage, name="bank")

    whole = listed(stage, "limit=100")

    assert len(whole) == 50
    assert [each["received_at"] for each in whole] == sorted(
        (each["received_at"] for each in whole), reverse=True
    )
    assert listed(stage, "limit=7") == whole
    assert listed(stage, "limit=7&source=bank") == [each for each in whole if each["source"] == "bank"]
    assert listed(stage, "limit=3&state=pending") == whole
    assert listed(stage, "source=nobody") == []


def test_a_flood_in_one_stream_is_told_as_a_whole(stage: Stage, hand: Hand) -> None:
    for _ in range(60):
        send(stage)
    stage.advance(ANA)
    while stage.log.load(ANA, limit=0).at < stage.log.head(ANA):
        stage.advance(ANA)
    for offset in range(2, 62):
        end = InboundSettled(delivery=offset, state="routed", session="in:shop:ana", offset=offset)
        hand.end(hand.take(offset), end)

    found = listed(stage, "limit=7")

    assert {each["state"] for each in found} == {"routed"}
    assert {each["id"]: each["offset"] for each in found} == {f"{ANA}@{n}": n for n in range(2, 62)}


def test_an_end_that_is_too_far_on_is_not_made_up(
    stage: Stage, hand: Hand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.sessions.inbound_fates.SCAN_LIMIT", 40)
    for _ in range(60):
        send(stage)
    while stage.log.load(ANA, limit=0).at < stage.log.head(ANA):
        stage.advance(ANA)
    for offset in (2, 3):
        hand.take_and_end(offset, InboundSettled(delivery=offset, state="dropped", reason="nothing_said"))

    states = {each["id"]: each["state"] for each in listed(stage)}

    assert (states[f"{ANA}@2"], states[f"{ANA}@4"]) == ("unknown", "pending")


def test_what_was_received_is_no_session_unless_it_is_asked_for(stage: Stage) -> None:
    send(stage)
    stage.prompt("hello", session="app:x")

    assert [each["session"] for each in stage.get("/api/sessions")["sessions"]] == ["app:x"]
    received = stage.get("/api/sessions?source=inbound")["sessions"]
    assert [each["session"] for each in received] == [ANA]


def test_one_delivery_is_shown_as_it_was_sent(stage: Stage) -> None:
    body = send(stage)

    shown = stage.get(f"/api/inbound/{ANA}@2")

    assert shown["body"] == body
    assert shown["headers"]["webhook-id"].startswith("m")
    assert [shown["delivery"]] == listed(stage)
    assert body not in stage.call("GET", "/api/inbound").text


@pytest.mark.parametrize("path", ["", f"/{ANA}@2"])
def test_nothing_is_shown_without_a_token(stage: Stage, path: str) -> None:
    send(stage)

    assert stage.call("GET", f"/api/inbound{path}", token=None).status_code == 401


@pytest.mark.parametrize("id", [f"{ANA}@1", f"{ANA}@3", "inbound:shop:ben@2", "app:x@2", "inbound:@2", ANA])
def test_what_is_no_delivery_is_not_found(stage: Stage, id: str) -> None:
    send(stage)

    assert stage.call("GET", f"/api/inbound/{id}").status_code == 404


@pytest.mark.parametrize(
    "query", ["state=lost", "limit=0", "limit=101", "cursor=x", "cursor=1@app:x@2", "source=", "since=1"]
)
def test_what_can_not_be_asked_is_refused(stage: Stage, query: str) -> None:
    assert stage.call("GET", f"/api/inbound?{query}").status_code == 422


def test_a_router_that_stopped_is_named_by_what_waits_for_it(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stumble(*_: object) -> None:
        raise ValueError("no")

    send(stage)
    monkeypatch.setattr(Router, "react", stumble)
    stage.advance(ANA)
    assert "processor.faulted" in stage.types(ANA)

    (one,) = listed(stage, "state=pending")

    assert one["id"] == f"{ANA}@2"


def test_the_routes_are_in_the_openapi_document(stage: Stage) -> None:
    paths = stage.get("/openapi.json")["paths"]

    assert {"/api/inbound", "/api/inbound/{delivery}"} <= paths.keys()
