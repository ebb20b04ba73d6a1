"""Signs of life: a reaction, and one comment that is edited in place."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from services.channels.contract import DeliveryError
from services.channels.github.events import Inbound, read
from services.channels.github.markers import Mark, marked
from services.channels.github.progress import Progress
from services.channels.github.target import target_where
from tests.fakes.github_hooks import Hooks
from tests.fakes.github_server import BadGateway, GitHubServer, Lose
from tests.fakes.github_stand import GitHubStage, target_at
from tests.fakes.github_world import Delivered

KEY = "progress_1"


@pytest.fixture
def stage() -> Iterator[GitHubStage]:
    with GitHubServer() as server:
        yield GitHubStage(server)


def show(stage: GitHubStage, progress: Progress, text: str) -> None:
    progress.show(target_at(stage.repository, stage.issue), KEY, text, since_ms=0)


def inbound(delivered: Delivered) -> Inbound:
    found = read(delivered.event, delivered.guid, json.dumps(delivered.payload).encode(), login="turnwright")
    assert isinstance(found, Inbound)
    return found


def react(stage: GitHubStage, delivered: Delivered) -> bool:
    found = inbound(delivered)
    return Progress(stage.api).received(found, target_where(found, seen_ms=2**53))


def test_one_comment_is_edited_in_place(stage: GitHubStage) -> None:
    progress = Progress(stage.api)

    for text in ("Reading", "Thinking", "Writing @bob"):
        show(stage, progress, text)

    assert stage.bodies() == [marked("Writing @\u200bbob", Mark(KEY, 1, 1))]


def test_another_process_edits_the_same_one(stage: GitHubStage) -> None:
    show(stage, Progress(stage.api), "Reading")
    stage.world.comment(stage.issue, marked("forged", Mark(KEY, 1, 1)), login="mallory")

    show(stage, Progress(stage.api), "Thinking")

    assert len(stage.bodies()) == 2
    assert stage.bodies()[0].startswith("Thinking")


def test_one_that_was_deleted_is_made_anew(stage: GitHubStage) -> None:
    progress = Progress(stage.api)
    show(stage, progress, "Reading")
    stage.issue.comments.clear()

    show(stage, progress, "Thinking")
    show(stage, progress, "Writing")

    assert len(stage.bodies()) == 1


def test_at_the_end_it_is_gone(stage: GitHubStage) -> None:
    progress, target = Progress(stage.api), target_at(stage.repository, stage.issue)
    show(stage, progress, "Reading")

    progress.end(target, KEY, since_ms=0)
    progress.end(target, KEY, since_ms=0)

    assert stage.bodies() == []


def test_what_fails_says_so_and_the_next_one_shows_it(stage: GitHubStage) -> None:
    progress = Progress(stage.api)
    stage.server.will(BadGateway(), Lose())

    for text in ("Reading", "Thinking"):
        with pytest.raises(DeliveryError):
            show(stage, progress, text)
    show(stage, progress, "Writing")

    assert len(stage.bodies()) == 1


def test_what_was_said_gets_a_reaction(stage: GitHubStage) -> None:
    hooks = Hooks(stage.world)
    pull = stage.world.issue(stage.repository, is_pull=True)
    comment = stage.world.comment(stage.issue, "@turnwright")
    line = stage.world.comment(pull, "@turnwright", path="a.py")

    assert react(stage, hooks.issue_comment(stage.repository, stage.issue, comment))
    assert react(stage, hooks.issues(stage.repository, stage.issue))
    assert react(stage, hooks.review_comment(stage.repository, pull, line))
    assert not react(stage, hooks.review(stage.repository, pull, "@turnwright"))

    assert comment.reactions == line.reactions == stage.issue.reactions == {("turnwright[bot]", "eyes")}


def test_a_reaction_that_fails_raises_nothing(stage: GitHubStage) -> None:
    comment = stage.world.comment(stage.issue, "@turnwright")
    told = Hooks(stage.world).issue_comment(stage.repository, stage.issue, comment)
    stage.issue.comments.clear()

    assert not react(stage, told)
