"""What people change after they called us, who else may call us, and a token in place of an app."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from services.streams.vocabulary import InputReceived, InputReplaced
from tests.fakes.github_server import GitHubServer
from tests.fakes.github_world import Comment, Issue
from tests.scenarios.github_talk import Talk, environment
from tests.scenarios.platform import Platform, Setup, installed_site, running_platform

CONFIG = """
[[routes]]
source = "github"
authors = ["Named[bot]"]
bots = true

[[routes]]
source = "github"
places = ["octo/*"]
events = ["reply", "mention"]
text = "(?i)talkative|robots"
bots = true
"""


@pytest.fixture(scope="module")
def server() -> Iterator[GitHubServer]:
    with GitHubServer() as server:
        yield server


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory, server: GitHubServer) -> Iterator[Platform]:
    """Turnwright under the token of a person called `turnwright`."""
    given = {
        name: value
        for name, value in environment(server).items()
        if name not in ("TURNWRIGHT_GITHUB_APP_ID", "TURNWRIGHT_GITHUB_PRIVATE_KEY")
    }
    given["TURNWRIGHT_GITHUB_TOKEN"] = server.world.plain_token("turnwright")
    setup = Setup(site=installed_site(tmp_path_factory), config=CONFIG, environment=given)
    with running_platform(tmp_path_factory.mktemp("changes"), setup) as platform:
        yield platform


@pytest.fixture
def talk(platform: Platform, server: GitHubServer) -> Talk:
    return Talk(platform, server)


def busy(talk: Talk) -> tuple[Issue, Comment]:
    """An issue with a turn that runs, and a comment that waits for its end."""
    issue = talk.issue()
    session = talk.session(issue)
    talk.platform.vendor.hold(session.id)
    talk.say(issue, "@turnwright first")
    talk.platform.vendor.wait_asked(session.id)
    waiting = talk.say(issue, "@turnwright second")
    session.wait("input.received", 2)
    return issue, waiting


def changed(talk: Talk, issue: Issue, comment: Comment, text: str, *, login: str = "ada") -> None:
    before, comment.body = comment.body, text
    talk.told(
        talk.hooks.issue_comment(talk.repository, issue, comment, action="edited", before=before, login=login)
    )


def test_a_mention_is_answered_with_a_token_as_with_an_app(talk: Talk) -> None:
    issue = talk.issue()

    talk.say(issue)

    [answer] = talk.wait_answers(issue)
    assert "hello there" in answer


def test_an_edit_changes_what_was_not_read_yet(talk: Talk) -> None:
    issue, waiting = busy(talk)

    changed(talk, issue, waiting, "@turnwright second, better")

    session = talk.session(issue)
    [replaced] = [each.decode(InputReplaced) for each in session.wait("input.replaced")]
    assert replaced.text.endswith("@turnwright second, better")
    talk.platform.vendor.release()
    assert "second, better" in talk.wait_answers(issue, 2)[1]


def test_an_edit_by_who_may_not_write_changes_nothing(talk: Talk) -> None:
    issue, waiting = busy(talk)

    changed(talk, issue, waiting, "@turnwright do harm", login="rob")

    assert talk.wait_fate(3) == {"state": "dropped", "reason": "no_write_access"}
    talk.platform.vendor.release()
    assert "harm" not in talk.wait_answers(issue, 2)[1]


def test_a_deletion_takes_back_what_was_not_read_yet(talk: Talk) -> None:
    issue, waiting = busy(talk)

    talk.told(talk.hooks.issue_comment(talk.repository, issue, waiting, action="deleted"))

    session = talk.session(issue)
    session.wait("input.withdrawn")
    talk.platform.vendor.release()
    talk.wait_answers(issue)
    session.wait_idle()
    assert len(talk.answers(issue)) == 1


def test_what_was_answered_already_is_left_as_it_is(talk: Talk) -> None:
    issue = talk.issue()
    comment = talk.say(issue)
    talk.wait_answers(issue)

    changed(talk, issue, comment, "@turnwright something else")

    assert talk.wait_fate(2) == {"state": "ignored", "reason": "can_not_be_changed"}


def test_a_route_may_want_replies_in_threads_we_are_in(talk: Talk) -> None:
    ours, other = talk.issue(), talk.issue()
    talk.say(ours)
    talk.wait_answers(ours)

    talk.say(ours, "Talkative people go on")
    talk.say(other, "Talkative people are elsewhere too")

    assert "go on" in talk.wait_answers(ours, 2)[1]
    assert talk.wait_fate(3) == {"state": "ignored", "reason": "not_our_thread"}


def test_a_route_may_want_another_bot_by_its_name(talk: Talk) -> None:
    issue = talk.issue()

    talk.say(issue, "@turnwright a bot", login="named[bot]")

    talk.wait_answers(issue)
    [said] = talk.session(issue).all("input.received", InputReceived)
    assert (said.author, said.permission, said.is_bot) == ("named[bot]", "none", True)


def test_of_bots_that_no_route_names_only_those_are_heard_that_may_write(talk: Talk) -> None:
    talk.repository.roles["helper[bot]"] = "write"
    issue = talk.issue()

    talk.say(issue, "@turnwright robots welcome", login="stranger[bot]")
    talk.say(issue, "@turnwright a letter of the name", login="namedb")
    talk.say(issue, "@turnwright robots welcome, mine too", login="helper[bot]")

    assert "mine too" in talk.wait_answers(issue)[0]
    assert talk.wait_fate(1) == {"state": "dropped", "reason": "no_write_access"}
    assert talk.wait_fate(2) == {"state": "dropped", "reason": "no_write_access"}
    assert len(talk.answers(issue)) == 1


def test_what_was_written_or_changed_after_the_call_is_not_told(talk: Talk, server: GitHubServer) -> None:
    issue = talk.issue(login="rob", body="As it was.")
    kept = talk.world.comment(issue, "before the call", login="rob")
    turned = talk.world.comment(issue, "harmless", login="rob")
    said = talk.world.comment(issue, "@turnwright now")
    turned.body, turned.updated_at = "do harm", said.created_at + 60
    kept.updated_at = said.created_at

    talk.told(talk.hooks.issue_comment(talk.repository, issue, said))

    talk.wait_answers(issue)
    [heard] = talk.session(issue).all("input.received", InputReceived)
    assert "> before the call" in heard.text
    assert "harm" not in heard.text


def test_nothing_can_be_reconciled_with_a_token_and_that_is_said(platform: Platform) -> None:
    answer = platform.http.post("/api/inbound/reconcile")

    assert answer.status_code == 409
    assert "only an app has a log of deliveries" in answer.text
