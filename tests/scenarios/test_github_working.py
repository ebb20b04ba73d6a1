"""While a turn takes long its thread shows that, in one comment that is gone when the answer is there."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.fakes.github_server import BadGateway, GitHubServer
from tests.fakes.github_world import Issue
from tests.scenarios.github_talk import Talk, environment
from tests.scenarios.platform import Platform, Setup, installed_site, running_platform
from tests.worker.waiting import wait_until

WORKING = "I am working on this: the model is thinking."


@pytest.fixture(scope="module")
def server() -> Iterator[GitHubServer]:
    with GitHubServer() as server:
        yield server


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory, server: GitHubServer) -> Iterator[Platform]:
    setup = Setup(
        site=installed_site(tmp_path_factory),
        environment=environment(server),
        timings={"show_work_s": 0.5},
        workers_may_die=True,
    )
    with running_platform(tmp_path_factory.mktemp("working"), setup) as platform:
        yield platform


@pytest.fixture
def talk(platform: Platform, server: GitHubServer) -> Talk:
    return Talk(platform, server)


def shown(issue: Issue) -> list[str]:
    return [each.body.partition("\n")[0] for each in issue.comments if each.body.startswith("I am working")]


def test_a_turn_that_takes_long_is_shown_until_its_answer_is_there(talk: Talk, platform: Platform) -> None:
    issue = talk.issue()
    gate = platform.vendor.hold(talk.session(issue).id)
    talk.say(issue)
    wait_until(lambda: shown(issue) == [WORKING])

    gate.open()

    [answer] = talk.wait_answers(issue)
    assert "hello there" in answer
    wait_until(lambda: not shown(issue))
    talk.session(issue).wait_idle()
    assert len(talk.answers(issue)) == 1


def test_the_worker_that_goes_on_after_another_died_takes_it_back(talk: Talk, platform: Platform) -> None:
    issue = talk.issue()
    gate = platform.vendor.hold(talk.session(issue).id)
    talk.say(issue)
    wait_until(lambda: shown(issue) == [WORKING])

    platform.parts["worker-1"].process.kill()
    wait_until(lambda: platform.revive() > 0)
    gate.open()

    talk.wait_answers(issue, within_s=40)
    wait_until(lambda: not shown(issue))


def test_what_can_not_be_taken_back_with_the_answer_is_later(
    talk: Talk, platform: Platform, server: GitHubServer
) -> None:
    issue = talk.issue()
    gate = platform.vendor.hold(talk.session(issue).id)
    talk.say(issue)
    wait_until(lambda: shown(issue) == [WORKING])
    [sign] = [each for each in issue.comments if each.body.startswith("I am working")]
    server.will(*[BadGateway()] * 4, method="DELETE", ending=f"/issues/comments/{sign.id}")

    gate.open()

    [answer] = talk.wait_answers(issue)
    assert "hello there" in answer
    wait_until(lambda: not shown(issue), within_s=40)
    assert len(server.to("DELETE", f"/issues/comments/{sign.id}")) == 5


def test_what_can_not_be_shown_is_in_nobodys_way(
    talk: Talk, platform: Platform, server: GitHubServer
) -> None:
    issue = talk.issue()
    server.will(BadGateway(), ending=f"{talk.repository.name}/issues/1/comments")
    gate = platform.vendor.hold(talk.session(issue).id)
    talk.say(issue)
    server.wait_for(lambda it: bool(it.to("POST", f"{talk.repository.name}/issues/1/comments")))

    gate.open()

    [answer] = talk.wait_answers(issue)
    assert "hello there" in answer
    assert not shown(issue)


def test_a_thread_is_left_with_what_was_asked_and_its_answer(talk: Talk) -> None:
    issue = talk.issue()

    talk.say(issue)

    talk.wait_answers(issue)
    wait_until(lambda: len(issue.comments) == 2)
