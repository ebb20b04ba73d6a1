"""What was said before we came is read in few requests, however long the thread is."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from services.channels.github.markers import Mark, marked
from services.channels.github.threads import COMMENTS, TEXT_LIMIT, thread_before
from services.channels.github.within import Within
from tests.fakes.github_server import GitHubServer
from tests.fakes.github_stand import GitHubStage, target_at


@pytest.fixture
def stage() -> Iterator[GitHubStage]:
    with GitHubServer() as server:
        yield GitHubStage(server)


def test_a_short_thread_is_read_whole(stage: GitHubStage) -> None:
    stage.world.comment(stage.issue, "first")
    stage.world.comment(stage.issue, marked("second", Mark("reply_00", 1, 1)), login="turnwright[bot]")
    third = stage.world.comment(stage.issue, "third")
    stage.world.comment(stage.issue, "later")

    found = thread_before(stage.api, target_at(stage.repository, stage.issue), third.id, Within(5))

    assert [each.text for each in found.comments] == ["first", "second"]
    assert [each.is_bot for each in found.comments] == [False, True]
    assert found.is_whole


@pytest.mark.parametrize("count", [99, 100, 101, 1000])
def test_of_a_long_one_the_end_is_read(stage: GitHubStage, count: int) -> None:
    for n in range(count):
        stage.world.comment(stage.issue, f"{n}")

    found = thread_before(stage.api, target_at(stage.repository, stage.issue), 0, Within(5))

    assert [each.text for each in found.comments] == [str(n) for n in range(count - COMMENTS, count)]
    assert not found.is_whole
    assert len(stage.server.to("GET", "/comments")) <= 2


def test_in_a_review_only_its_thread_is_read(stage: GitHubStage) -> None:
    pull = stage.world.issue(stage.repository, is_pull=True)
    first = stage.world.comment(pull, "this line?", path="a.py")
    for n in range(150):
        stage.world.comment(pull, f"other {n}", path="b.py")
    stage.world.comment(pull, "which?", path="a.py", reply_to=first.id)
    said = stage.world.comment(pull, "@turnwright", path="a.py", reply_to=first.id)

    found = thread_before(stage.api, target_at(stage.repository, pull, thread=first), said.id, Within(5))

    assert [each.text for each in found.comments] == ["this line?", "which?"]
    assert found.is_whole


def test_a_long_text_is_cut(stage: GitHubStage) -> None:
    stage.world.comment(stage.issue, "x" * (TEXT_LIMIT + 1))

    [said] = thread_before(stage.api, target_at(stage.repository, stage.issue), 0, Within(5)).comments

    assert (len(said.text), said.is_cut) == (TEXT_LIMIT, True)
