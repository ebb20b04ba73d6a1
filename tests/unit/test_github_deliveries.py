"""What GitHub told nobody is read from its own log, once each, oldest first."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from services.channels.contract import DeliveryError
from services.channels.github.deliveries import HookDeliveries, Tried
from services.channels.github.events import Inbound, read
from tests.fakes.github_hooks import Hooks
from tests.fakes.github_server import BadGateway, GitHubServer, Well
from tests.fakes.github_stand import GitHubStage, api_of
from tests.fakes.github_world import Delivered

BEGINNING = datetime(2020, 1, 1, tzinfo=UTC)


@pytest.fixture
def stage() -> Iterator[GitHubStage]:
    with GitHubServer() as server:
        yield GitHubStage(server)


@pytest.fixture
def hooks(stage: GitHubStage) -> Hooks:
    return Hooks(stage.world)


def say(stage: GitHubStage, hooks: Hooks, text: str = "@turnwright") -> Delivered:
    comment = stage.world.comment(stage.issue, text)
    return hooks.issue_comment(stage.repository, stage.issue, comment)


def test_what_was_never_seen_comes_oldest_first(stage: GitHubStage, hooks: Hooks) -> None:
    told = [say(stage, hooks, str(n)) for n in range(5)]

    found = HookDeliveries(stage.api).unseen(BEGINNING, lambda tried: tried.guid == told[2].guid)

    assert not found.cursor
    assert [each.guid for each in found.deliveries] == [told[n].guid for n in (0, 1, 3, 4)]


def test_a_delivery_is_read_as_it_was_sent(stage: GitHubStage, hooks: Hooks) -> None:
    told = say(stage, hooks)
    log = HookDeliveries(stage.api)

    missed = log.fetch(log.unseen(BEGINNING, lambda tried: False).deliveries[0])

    assert (missed.guid, missed.event) == (told.guid, "issue_comment")
    assert missed.headers["x-github-delivery"] == told.guid
    found = read(missed.event, missed.guid, missed.body, login="turnwright")
    assert isinstance(found, Inbound)
    assert found.trigger == "mention"
    assert found.key == f"github:{told.guid}"


def test_deliveries_of_one_event_are_one(stage: GitHubStage, hooks: Hooks) -> None:
    first = say(stage, hooks)
    hooks.redeliver(first)
    hooks.redeliver(first)

    found = HookDeliveries(stage.api).unseen(BEGINNING, lambda tried: False)

    assert [each.id for each in found.deliveries] == [first.id]


def test_each_event_is_asked_about_once(stage: GitHubStage, hooks: Hooks) -> None:
    first = say(stage, hooks)
    hooks.redeliver(first)
    asked: list[str] = []

    def is_seen(tried: Tried) -> bool:
        asked.append(tried.guid)
        return True

    HookDeliveries(stage.api).unseen(BEGINNING, is_seen)

    assert asked == [first.guid]


def test_it_goes_back_no_further_than_asked(stage: GitHubStage, hooks: Hooks) -> None:
    now = stage.world.now()
    stage.world.now = lambda: now - 7200
    for _ in range(150):
        say(stage, hooks)
    stage.world.now = lambda: now
    fresh = say(stage, hooks)

    found = HookDeliveries(stage.api).unseen(datetime.fromtimestamp(now - 60, UTC), lambda tried: False)

    assert not found.cursor
    assert [each.guid for each in found.deliveries] == [fresh.guid]
    assert len(stage.server.to("GET", "/deliveries")) == 1


def test_many_are_read_page_by_page(stage: GitHubStage, hooks: Hooks) -> None:
    told = [say(stage, hooks).guid for _ in range(230)]

    found = HookDeliveries(stage.api).unseen(BEGINNING, lambda tried: False)

    assert [each.guid for each in found.deliveries] == told
    assert len(stage.server.to("GET", "/deliveries")) == 3


def test_what_is_too_much_says_where_to_go_on(stage: GitHubStage, hooks: Hooks) -> None:
    told = [say(stage, hooks).guid for _ in range(230)]
    log = HookDeliveries(stage.api)

    first = log.unseen(BEGINNING, lambda tried: False, most=150)
    then = log.unseen(BEGINNING, lambda tried: False, cursor=first.cursor)

    assert [each.guid for each in first.deliveries] == told[30:]
    assert [each.guid for each in then.deliveries] == told[:30]
    assert not then.cursor


def test_a_walk_that_breaks_off_says_where_to_go_on(stage: GitHubStage, hooks: Hooks) -> None:
    told = [say(stage, hooks).guid for _ in range(130)]
    log = HookDeliveries(stage.api)
    stage.server.will(Well(), BadGateway(), method="GET", ending="/deliveries")

    first = log.unseen(BEGINNING, lambda tried: False)
    then = log.unseen(BEGINNING, lambda tried: False, cursor=first.cursor)

    assert first.error is not None
    assert first.error.code == "http_502"
    assert [each.guid for each in (*then.deliveries, *first.deliveries)] == told


def test_what_github_keeps_no_longer_is_gone(stage: GitHubStage, hooks: Hooks) -> None:
    say(stage, hooks)
    log = HookDeliveries(stage.api)
    delivery = log.unseen(BEGINNING, lambda tried: False).deliveries[0]
    stage.world.delivered.clear()

    with pytest.raises(DeliveryError) as caught:
        log.fetch(delivery)

    assert caught.value.kind == "gone"


def test_a_log_that_can_not_be_read_is_an_error(stage: GitHubStage) -> None:
    stage.server.will(BadGateway(), method="GET", ending="/deliveries")

    with pytest.raises(DeliveryError) as caught:
        HookDeliveries(stage.api).unseen(BEGINNING, lambda tried: False)

    assert (caught.value.kind, caught.value.code) == ("not_sent", "http_502")


def test_a_plain_token_has_no_log() -> None:
    with GitHubServer() as server:
        log = HookDeliveries(api_of(server, as_app=False))

        with pytest.raises(DeliveryError) as caught:
            log.unseen(BEGINNING, lambda tried: False)

        assert (caught.value.kind, caught.value.code) == ("refused", "no_app")
