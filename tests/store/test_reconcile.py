"""One look through GitHub's log of deliveries: nothing that went wrong in one keeps the others from being had."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from services.channel_settings import GitHubSettings
from services.channels.brief import Brief
from services.channels.github.deliveries import HookDeliveries
from services.config import AgentConfig
from services.inbound.github import USUAL, GitHubSource
from services.inbound.reconcile import FAILURES, Reconcile
from services.inbound.rules import Rules
from services.sessions.reconciling import Reconciled
from services.streams.event import StreamId
from tests.fakes import github_shapes as shapes
from tests.fakes.github_hooks import Hooks
from tests.fakes.github_server import (
    BadGateway,
    Endless,
    Garbage,
    GitHubServer,
    Refuse,
    Well,
    primary_limit,
)
from tests.fakes.github_stand import GitHubStage
from tests.fakes.github_world import Delivered
from tests.fakes.store_stage import Stage


class Hand:
    """Looks again and again, as one host does."""

    def __init__(self, stage: Stage, github: GitHubStage) -> None:
        self.stage, self.github = stage, github
        self.hooks = Hooks(github.world)
        rules = Rules("github", (), {"default": AgentConfig()}, usual=USUAL)
        source = GitHubSource(GitHubSettings(login="turnwright"), rules, lambda: github.api)
        self._reconcile = Reconcile(
            stage.log, source, HookDeliveries(github.api), wall_s=lambda: github.world.now()
        )
        self.before, self.rest = Reconciled(), b""
        self.sending, self.kept = Brief(), 0

    def lose(self, count: int = 1) -> list[Delivered]:
        """Comments that GitHub told nobody of."""
        world, issue = self.github.world, self.github.issue
        return [
            self.hooks.issue_comment(self.github.repository, issue, world.comment(issue, "@turnwright"))
            for _ in range(count)
        ]

    def look(self) -> Reconciled:
        """One look; what it brought."""
        self.before, self.rest = self._reconcile.look(
            self.before, self.rest, sending=self.sending, keep=self._keep
        )
        return self.before

    def known(self) -> list[str]:
        """The GUIDs that are kept, in their order."""
        stream = StreamId(f"inbound:github:{self.github.repository.id}")
        found = self.stage.log.read(stream, after=0, limit=1000)
        return [(each.key or "").removeprefix("github:") for each in found if each.type == "inbound.received"]

    def _keep(self) -> None:
        self.kept += 1


@pytest.fixture
def github() -> Iterator[GitHubStage]:
    with GitHubServer() as server:
        yield GitHubStage(server)


@pytest.fixture
def hand(stage: Stage, github: GitHubStage) -> Hand:
    return Hand(stage, github)


def trouble(hand: Hand, told: Delivered, *faults: BadGateway | Garbage | Endless | Refuse) -> None:
    hand.github.server.will(*faults, method="GET", ending=f"/deliveries/{told.id}")


@pytest.mark.parametrize("fault", [BadGateway(), Garbage(), Endless(), Refuse(status=500)])
def test_one_that_can_not_be_had_holds_back_no_other(
    hand: Hand, fault: BadGateway | Garbage | Endless | Refuse
) -> None:
    bad, *others = hand.lose(3)
    trouble(hand, bad, fault)

    first, then = hand.look(), hand.look()

    assert (first.taken, first.left, first.error) == (2, 1, "")
    assert (then.found, then.taken, then.left) == (1, 1, 0)
    assert hand.known() == [*(each.guid for each in others), bad.guid]


def test_what_can_not_be_had_comes_behind_what_was_lost_since(hand: Hand) -> None:
    bad = hand.lose(FAILURES)
    for each in bad:
        trouble(hand, each, BadGateway(), BadGateway())
    assert hand.look().error == "http_502"
    later = hand.lose(2)

    assert hand.look().taken == 2

    assert hand.known() == [each.guid for each in later]
    assert hand.look().taken == FAILURES


def test_what_github_forgot_is_given_up(hand: Hand) -> None:
    [bad] = hand.lose()
    trouble(hand, bad, BadGateway())
    hand.look()
    hand.github.world.delivered.clear()

    gone = hand.look()

    assert (gone.refused, gone.left) == (1, 0)
    assert hand.look().found == 0


def test_a_limit_ends_the_look_and_is_nobodys_fault(hand: Hand) -> None:
    first, second = hand.lose(2)
    hand.github.server.will(
        primary_limit(hand.github.world, in_s=2), method="GET", ending=f"/deliveries/{first.id}"
    )

    limited = hand.look()
    hand.github.world.pass_time(10)

    assert (limited.taken, limited.left, limited.error) == (0, 2, "http_403")
    assert hand.look().taken == 2
    assert hand.known() == [first.guid, second.guid]


def test_a_walk_that_breaks_off_goes_on_behind_what_it_saw(hand: Hand) -> None:
    lost = hand.lose(120)
    hand.github.server.will(Well(), BadGateway(), method="GET", ending="/hook/deliveries")

    broken, then = hand.look(), hand.look()

    assert (broken.taken, broken.error, broken.until) == (100, "http_502", None)
    assert (then.taken, then.error) == (20, "")
    assert sorted(hand.known()) == sorted(each.guid for each in lost)
    assert len(hand.github.server.to("GET", "/hook/deliveries")) == 3


def test_a_walk_whose_place_github_has_forgotten_begins_anew(hand: Hand) -> None:
    hand.lose(120)
    hand.github.server.will(Well(), BadGateway(), method="GET", ending="/hook/deliveries")
    hand.look()
    hand.github.server.will(Refuse(status=400), method="GET", ending="/hook/deliveries")

    assert hand.look().error == "http_400"

    assert hand.look().taken == 20


def test_it_is_known_up_to_what_github_delivered_last_by_its_own_clock(hand: Hand) -> None:
    now = hand.github.world.now()
    [told] = hand.lose()

    state = hand.look()

    assert state.until == int(told.delivered_at) * 1000
    assert state.until <= now * 1000


def test_a_look_that_is_stopped_leaves_all_for_the_next(hand: Hand) -> None:
    hand.lose(2)
    hand.sending.cancel()

    assert (hand.look().error, hand.known()) == ("stopping", [])

    hand.sending = Brief()
    assert hand.look().taken == 2


def test_the_turn_is_kept_before_each_request(hand: Hand) -> None:
    hand.lose(3)

    hand.look()

    assert hand.kept == 1 + 3


def test_a_renamed_repository_keeps_its_stream(hand: Hand) -> None:
    [first] = hand.lose()
    hand.github.world.rename(hand.github.repository, "moved/away")
    [second] = hand.lose()

    assert hand.look().taken == 2

    assert hand.known() == [first.guid, second.guid]
    assert shapes.repository(hand.github.repository)["full_name"] == "moved/away"
