"""The list of deliveries over all streams: every one once, the newest first, whatever the pages."""

from __future__ import annotations

import pytest

from services.diagnosis.checkup import check_backlog
from services.streams.event import EventInput, StreamId
from services.streams.inbound_events import InboundReceived
from services.streams.ledger import Ledger, Place
from services.streams.log import DAY_MS, LEDGER_DAYS
from tests.fakes.puppet import CREATED
from tests.fakes.store_stage import Stage

RECEIVED = InboundReceived(source="shop", kind="order", body="{}")


def receive(stage: Stage, stream: str, *keys: str) -> None:
    events = [EventInput.of("inbound.received", RECEIVED, key=key or None) for key in keys]
    stage.log.append(StreamId(stream), events, create=CREATED, existing_wins=True)


def paged(stage: Stage, size: int) -> list[Place]:
    ledger, found = Ledger(stage.store, stage.keys), list[Place]()
    while page := ledger.page(before=found[-1] if found else None, limit=size):
        assert len(page) <= size
        found += page
    return found


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_pages_of_any_size_hold_every_delivery_once(stage: Stage, size: int) -> None:
    # Many at one moment, in a few streams of different shards, so that pages end in the midst of them.
    for stream in range(5):
        receive(stage, f"inbound:shop:{stream}", *[""] * 12)
        stage.pass_time(1)
        receive(stage, f"inbound:shop:{stream + 1}", "")

    found = paged(stage, size)

    assert len(found) == len(set(found)) == 65
    assert [at for at, _ in found] == sorted((at for at, _ in found), reverse=True)


def test_what_comes_again_is_listed_once(stage: Stage) -> None:
    for _ in range(3):
        receive(stage, "inbound:shop", "same")
    receive(stage, "inbound:shop", "same", "other")

    assert sorted(name for _, name in paged(stage, 10)) == ["inbound:shop@2", "inbound:shop@3"]


def test_other_events_and_other_streams_are_not_listed(stage: Stage) -> None:
    receive(stage, "inbound:shop", "")
    stage.log.append(StreamId("inbound:shop"), [CREATED])
    stage.log.append(StreamId("app:x"), [EventInput.of("inbound.received", RECEIVED)], create=CREATED)

    assert [name for _, name in paged(stage, 10)] == ["inbound:shop@2"]


def test_what_is_old_makes_room_when_something_new_comes(stage: Stage) -> None:
    receive(stage, "inbound:shop", "")
    stage.pass_time(LEDGER_DAYS * DAY_MS + 60_000)
    assert len(paged(stage, 10)) == 1

    receive(stage, "inbound:shop", "")

    assert [name for _, name in paged(stage, 10)] == ["inbound:shop@3"]


def test_a_checkup_warns_of_what_waits_for_long(stage: Stage) -> None:
    receive(stage, "inbound:shop", "", "")
    assert list(check_backlog(stage.store, stage.keys)) == []
    stage.pass_time(120_000)

    (finding,) = check_backlog(stage.store, stage.keys)

    assert (finding.part, finding.state) == ("inbound", "warning")
    assert finding.text.startswith("2 received deliveries have no outcome yet, the oldest for 12")
