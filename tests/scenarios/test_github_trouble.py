"""Exactly one comment per mention, whatever GitHub and our own processes do in between; and ends with reasons."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from services.streams.vocabulary import InputReceived
from tests.fakes.github_server import (
    BadGateway,
    Drop,
    Fault,
    Garbage,
    GitHubServer,
    Hang,
    Lose,
    Refuse,
    primary_limit,
    secondary_limit,
)
from tests.fakes.github_world import Issue
from tests.scenarios.github_talk import Talk, environment
from tests.scenarios.platform import Platform, Setup, installed_site, running_platform
from tests.worker.waiting import wait_until

CONFIG = "[limits]\ndelivery_attempts = 4\n"
# A delivery is given up sooner than in life, and its successor comes sooner.
TIMINGS = {"delivery_lease_s": 6.0, "delivery_least_s": 1.0, "delivery_timeout_s": 3.0}


@pytest.fixture(scope="module")
def server() -> Iterator[GitHubServer]:
    with GitHubServer() as server:
        yield server


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory, server: GitHubServer) -> Iterator[Platform]:
    setup = Setup(
        site=installed_site(tmp_path_factory),
        config=CONFIG,
        environment=environment(server),
        timings=TIMINGS,
        workers_may_die=True,
    )
    with running_platform(tmp_path_factory.mktemp("trouble"), setup) as platform:
        yield platform


@pytest.fixture
def talk(platform: Platform, server: GitHubServer) -> Iterator[Talk]:
    yield Talk(platform, server)
    platform.revive()
    platform.wait_ready(workers=1)


def told_once(talk: Talk, issue: Issue, *, within_s: float = 40.0) -> None:
    """The thread gets one answer, and nothing is owed to it any more."""
    talk.wait_answers(issue, within_s=within_s)
    talk.session(issue).wait_idle(within_s=within_s)
    assert len(talk.answers(issue)) == 1


def entry(talk: Talk, issue: Issue) -> dict[str, Any]:
    """The one entry of the outbox for the thread, once it has come to an end."""
    found: list[dict[str, Any]] = []

    def check() -> bool:
        page = talk.platform.http.get("/api/outbox?limit=100").json()
        found[:] = [
            each for each in page["entries"] if each["session"] == talk.session(issue).id and each["ended_at"]
        ]
        return bool(found)

    wait_until(check, within_s=40)
    return found[0]


@pytest.mark.parametrize(
    "fault",
    [
        Lose(),
        Drop(),
        Hang(),
        Hang(works=True),
        BadGateway(),
        BadGateway(works=True),
        Garbage(),
        secondary_limit(retry_after_s=1),
        Refuse(status=401, message="Bad credentials"),
    ],
)
def test_a_mention_is_answered_once_whatever_github_does_with_the_answer(
    talk: Talk, server: GitHubServer, fault: Fault
) -> None:
    issue = talk.issue()
    server.will(fault, ending=f"/{issue.number}/comments")

    talk.say(issue)

    told_once(talk, issue)


@pytest.mark.parametrize("fault", [Hang(), BadGateway(), Drop(), Garbage(), secondary_limit(retry_after_s=1)])
@pytest.mark.parametrize("ending", ["/permission", "/issues/1"])
def test_a_mention_is_answered_once_though_github_can_not_be_asked_at_first(
    talk: Talk, server: GitHubServer, fault: Fault, ending: str
) -> None:
    issue = talk.issue(login="stranger")
    server.will(fault, method="GET", ending=ending)

    talk.say(issue)

    told_once(talk, issue)


def test_who_is_limited_asks_again_when_the_limit_is_over(talk: Talk, server: GitHubServer) -> None:
    issue = talk.issue()
    server.will(primary_limit(server.world, in_s=1), method="GET", ending="/permission")

    talk.say(issue)

    told_once(talk, issue)


@pytest.mark.parametrize("point", ["route.claimed", "route.appended", "deliver.claimed", "deliver.sent"])
def test_a_mention_is_answered_once_though_the_worker_is_killed(
    talk: Talk, platform: Platform, point: str
) -> None:
    is_hit = platform.arm(point)
    issue = talk.issue()

    talk.say(issue)

    wait_until(is_hit)
    wait_until(lambda: platform.revive() > 0)
    told_once(talk, issue)


def test_a_slow_answer_about_one_person_holds_nobody_else(talk: Talk, server: GitHubServer) -> None:
    slow, other = talk.issue(), talk.issue()
    gate = threading.Event()
    server.will(Hang(opened=gate), method="GET", ending="/olga/permission")

    talk.say(slow, login="olga")
    server.wait_for(lambda it: bool(it.to("GET", "/olga/permission")))
    talk.say(slow, "@turnwright and this", login="olga")
    talk.say(other)

    talk.wait_answers(other)
    assert not talk.answers(slow)
    gate.set()
    talk.wait_answers(slow, within_s=40)
    heard = [each.text for each in talk.session(slow).all("input.received", InputReceived)]
    assert [each.splitlines()[-1] for each in heard] == ["@turnwright hello there", "@turnwright and this"]


def held_answer(talk: Talk, server: GitHubServer) -> tuple[Issue, threading.Event]:
    """An issue whose answer is on its way; it arrives after the gate opens."""
    issue, gate = talk.issue(), threading.Event()
    server.will(Hang(opened=gate), ending=f"{talk.repository.name}/issues/1/comments")
    talk.say(issue)
    server.wait_for(lambda it: bool(it.to("POST", f"{talk.repository.name}/issues/1/comments")))
    return issue, gate


@pytest.mark.parametrize(("change", "error"), [("is_locked", "locked"), ("is_deleted", "gone")])
def test_an_issue_that_takes_no_answer_any_more_ends_it_with_a_reason(
    talk: Talk, server: GitHubServer, change: str, error: str
) -> None:
    issue, gate = held_answer(talk, server)

    setattr(issue, change, True)
    gate.set()

    assert entry(talk, issue)["error"] == error


def test_an_archived_repository_ends_it_with_a_reason(talk: Talk, server: GitHubServer) -> None:
    issue, gate = held_answer(talk, server)

    talk.repository.is_archived = True
    gate.set()

    assert entry(talk, issue)["error"] == "archived"


def test_a_suspended_installation_ends_it_with_a_reason(talk: Talk, server: GitHubServer) -> None:
    issue, gate = held_answer(talk, server)

    talk.world.installations[talk.repository.installation].is_suspended = True
    talk.world.revoke_all()
    gate.set()

    assert entry(talk, issue)["code"] == "suspended"


def test_revoked_credentials_end_it_with_a_reason(talk: Talk, server: GitHubServer) -> None:
    issue = talk.issue()
    refused = [Refuse(status=401, message="Bad credentials")] * 8
    server.will(*refused, ending=f"{talk.repository.name}/issues/1/comments")

    talk.say(issue)

    found = entry(talk, issue)
    assert (found["state"], found["code"]) == ("poisoned", "bad_credentials")


def test_what_is_asked_while_our_own_access_is_broken_is_heard_when_it_is_mended(
    talk: Talk, server: GitHubServer
) -> None:
    issue = talk.issue()
    broken = Refuse(status=403, message="Resource not accessible by integration")
    server.will(broken, method="GET", ending=f"{talk.repository.name}/collaborators/ada/permission")

    talk.say(issue)

    told_once(talk, issue)


def test_a_call_from_where_the_app_was_taken_away_says_so(talk: Talk) -> None:
    issue = talk.issue()
    talk.world.installations[talk.repository.installation].is_gone = True

    talk.say(issue)

    assert talk.wait_fate() == {"state": "dropped", "reason": "installation_gone"}


def test_who_called_does_not_wait_for_what_others_may_do(talk: Talk, server: GitHubServer) -> None:
    issue = talk.issue(login="opener")
    opened = threading.Event()
    server.will(Hang(opened=opened), method="GET", ending="/opener/permission")

    talk.say(issue)

    [answer] = talk.wait_answers(issue)
    opened.set()
    [heard] = talk.session(issue).all("input.received", InputReceived)
    assert "opened by @opener" in heard.text
    assert "@opener (may" not in heard.text
    assert answer
