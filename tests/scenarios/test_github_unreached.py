"""Who asked on GitHub and was never heard is told so there, once, whoever dies while telling it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from services.inbound.router import EXPIRES_MS
from tests.fakes.github_server import BadGateway, GitHubServer
from tests.scenarios.github_talk import Talk, environment
from tests.scenarios.platform import Platform, Setup, installed_site, running_platform
from tests.worker.waiting import wait_until


@pytest.fixture(scope="module")
def server() -> Iterator[GitHubServer]:
    with GitHubServer() as server:
        yield server


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory, server: GitHubServer) -> Iterator[Platform]:
    setup = Setup(
        site=installed_site(tmp_path_factory), environment=environment(server), workers_may_die=True
    )
    with running_platform(tmp_path_factory.mktemp("unreached"), setup) as platform:
        yield platform


def test_those_whom_nobody_heard_for_days_are_told_so_once_in_their_thread(
    platform: Platform, server: GitHubServer
) -> None:
    talk = Talk(platform, server)
    issue, strangers = talk.issue(), talk.issue()
    server.will(*[BadGateway()] * 50, method="GET", ending="/permission")
    for _ in range(3):
        talk.say(issue)
    talk.say(strangers, login="eve")
    server.wait_for(lambda it: len(it.to("GET", "/permission")) >= 2)
    assert platform.parts["worker-1"].stop() == 0
    platform.move_clock(EXPIRES_MS + 1_000)
    server.mend()
    died = platform.arm("route.appended")

    platform.start_worker()

    wait_until(died)
    wait_until(lambda: platform.revive() > 0)
    wait_until(lambda: len(talk.fates()) == 4, within_s=60)
    [told] = talk.wait_answers(issue, within_s=40)
    assert told.startswith("What was asked here did not reach me, because GitHub did not say whether you may")
    fates = sorted(talk.fates(), key=lambda each: each.delivery)
    assert [(each.state, each.reason) for each in fates] == [("failed", "expired")] * 4
    assert len({each.notice for each in fates[:3]}) == 1
    assert fates[0].notice > 0
    assert fates[3].notice == 0
    assert talk.answers(strangers) == []
    assert len(issue.comments) == 4

    talk.say(issue)
    assert "hello there" in talk.wait_answers(issue, 2)[1]
