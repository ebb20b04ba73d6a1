"""What GitHub could not deliver is asked for and answered, once, whoever brings it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from services.sessions.reconciling import Reconciled
from tests.fakes.github_hooks import Hooks
from tests.fakes.github_server import BadGateway, GitHubServer, Refuse, secondary_limit
from tests.fakes.github_world import Issue, Repository
from tests.scenarios.cli_calls import Ended, Shell
from tests.scenarios.github_talk import SECRET, Talk, environment
from tests.scenarios.platform import TOKEN, Platform, Setup, installed_site, running_platform
from tests.worker.waiting import wait_until


@pytest.fixture(scope="module")
def server() -> Iterator[GitHubServer]:
    with GitHubServer() as server:
        yield server


@pytest.fixture(scope="module")
def before(server: GitHubServer) -> tuple[Repository, Issue]:
    """An issue in which somebody called before anything ran here."""
    where = server.world.repository("octo/early", roles={"ada": "write"})
    issue = server.world.issue(where, body="@turnwright anybody there?")
    Hooks(server.world, secret=SECRET).issues(where, issue)
    return where, issue


@pytest.fixture(scope="module")
def platform(
    tmp_path_factory: pytest.TempPathFactory, server: GitHubServer, before: tuple[Repository, Issue]
) -> Iterator[Platform]:
    setup = Setup(site=installed_site(tmp_path_factory), workers=2, environment=environment(server))
    with running_platform(tmp_path_factory.mktemp("reconcile"), setup) as platform:
        wait_until(lambda: look(platform).looked_at is not None)
        yield platform


@pytest.fixture
def talk(platform: Platform, server: GitHubServer) -> Talk:
    return Talk(platform, server)


def lost(talk: Talk, issue: Issue, text: str = "@turnwright hello there") -> None:
    """A comment that GitHub told nobody of: nobody was there."""
    comment = talk.world.comment(issue, text)
    delivered = Hooks(talk.world, secret=SECRET).issue_comment(talk.repository, issue, comment)
    assert delivered.status == 0


def audit(platform: Platform) -> Ended:
    variables = {"TURNWRIGHT_URL": platform.url, "TURNWRIGHT_API_TOKEN": TOKEN}
    return Shell(home=platform.folder, variables=variables).run("audit", "--reconcile")


def look(platform: Platform) -> Reconciled:
    answer = platform.http.get("/api/inbound/reconcile")
    assert answer.status_code == 200, answer.text
    state = answer.json()
    return Reconciled(**state)


def test_what_was_lost_before_is_asked_for_without_anybodys_doing(
    talk: Talk, before: tuple[Repository, Issue]
) -> None:
    where, issue = before

    [answer] = talk.wait_answers(issue)

    assert "anybody there?" in answer
    talk.session(issue, where).wait_idle()
    assert len(talk.answers(issue)) == 1


def test_what_was_never_delivered_is_answered_once(talk: Talk, platform: Platform) -> None:
    issue = talk.issue()
    lost(talk, issue)

    ended = audit(platform)

    assert "1 taken in" in ended.err, ended
    talk.wait_answers(issue)
    assert "GitHub could not deliver 0: 0 taken in" in audit(platform).err
    talk.session(issue).wait_idle()
    assert len(talk.answers(issue)) == 1


def test_what_comes_twice_by_two_roads_is_one_input(talk: Talk, platform: Platform) -> None:
    issue = talk.issue()
    lost(talk, issue)
    assert "1 taken in" in audit(platform).err

    talk.told(talk.hooks.redeliver(talk.world.delivered[-1]))

    talk.wait_answers(issue)
    talk.session(issue).wait_idle()
    assert len(talk.answers(issue)) == 1
    assert len(talk.inbound().events("inbound.received")) == 1


def test_what_was_delivered_is_not_asked_for(talk: Talk, platform: Platform, server: GitHubServer) -> None:
    issue = talk.issue()
    talk.say(issue)
    talk.hooks.ping()
    audit(platform)
    before = len(server.to("GET", f"/deliveries/{talk.world.delivered[-2].id}"))

    assert "could not deliver 0" in audit(platform).err

    assert before == 0
    talk.wait_answers(issue)


@pytest.mark.parametrize(
    "fault", [BadGateway(), Refuse(status=401, message="A JSON web token could not be decoded")]
)
def test_who_can_not_ask_says_so_and_goes_on_later(
    talk: Talk, platform: Platform, server: GitHubServer, fault: BadGateway | Refuse
) -> None:
    issue = talk.issue()
    lost(talk, issue)
    server.will(fault, method="GET", ending="/app/hook/deliveries")

    ended = audit(platform)
    assert ended.status != 0
    assert "GitHub was not asked for all of it" in ended.err

    assert "1 taken in" in audit(platform).err
    talk.wait_answers(issue)


def test_what_github_does_not_hand_over_holds_back_nothing_else(
    talk: Talk, platform: Platform, server: GitHubServer
) -> None:
    first, second = talk.issue(), talk.issue()
    lost(talk, first)
    lost(talk, second)
    server.will(BadGateway(), method="GET", ending=f"/deliveries/{talk.world.delivered[-2].id}")

    assert "GitHub could not deliver 2: 1 taken in, 1 not to be had yet" in audit(platform).err
    talk.wait_answers(second)
    assert (look(platform).error, look(platform).left) == ("", 1)
    assert "GitHub could not deliver 1: 1 taken in" in audit(platform).err

    talk.wait_answers(first)
    assert look(platform).left == 0


def test_a_look_that_ends_early_goes_on_where_it_ended(
    talk: Talk, platform: Platform, server: GitHubServer
) -> None:
    issues = [talk.issue() for _ in range(2)]
    for each in issues:
        lost(talk, each)
    limit = secondary_limit(retry_after_s=1)
    server.will(limit, method="GET", ending=f"/deliveries/{talk.world.delivered[-1].id}")

    assert "the rest comes with the next look (http_403)" in audit(platform).err
    wait_until(lambda: "1 taken in" in audit(platform).err)

    for each in issues:
        talk.wait_answers(each)
    assert look(platform).error == ""
