"""GitHub on the real platform: who may call us is answered once, in the thread; who may not is not heard."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from services.streams.vocabulary import InputReceived
from tests.fakes.github_server import GitHubServer
from tests.fakes.github_world import Issue
from tests.scenarios.github_talk import Talk, environment
from tests.scenarios.platform import Platform, Setup, installed_site, running_platform
from tests.worker.waiting import wait_until

CONFIG = """
[[routes]]
source = "github"
labels = ["please: *"]
"""


@pytest.fixture(scope="module")
def server() -> Iterator[GitHubServer]:
    with GitHubServer() as server:
        yield server


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory, server: GitHubServer) -> Iterator[Platform]:
    setup = Setup(site=installed_site(tmp_path_factory), config=CONFIG, environment=environment(server))
    with running_platform(tmp_path_factory.mktemp("github"), setup) as platform:
        yield platform


@pytest.fixture
def talk(platform: Platform, server: GitHubServer) -> Talk:
    return Talk(platform, server)


def inputs(talk: Talk, issue: Issue) -> list[InputReceived]:
    return talk.session(issue).all("input.received", InputReceived)


def test_a_mention_in_a_comment_is_answered_in_the_issue(talk: Talk) -> None:
    issue = talk.issue(login="stranger", body="It is broken.", title="Broken")
    talk.world.comment(issue, "me too", login="rob")

    talk.say(issue, "@turnwright why is that?")

    [answer] = talk.wait_answers(issue)
    assert "why is that?" in answer
    [said] = inputs(talk, issue)
    assert (said.author, said.permission, said.source) == ("ada", "write", "github")
    assert said.text.startswith(f"Issue #1 of {talk.repository.name}, opened by @stranger: Broken\n\n")
    assert "@stranger (may read) wrote when it was opened:\n> It is broken." in said.text
    assert "@rob (may read):\n> me too" in said.text
    assert said.text.endswith("\n\n@turnwright why is that?")


def test_the_thread_so_far_is_told_once(talk: Talk) -> None:
    issue = talk.issue(body="the beginning")
    talk.say(issue, "@turnwright one")
    talk.wait_answers(issue)

    talk.say(issue, "@turnwright two")

    talk.wait_answers(issue, 2)
    assert [each.text for each in inputs(talk, issue)][1] == "@turnwright two"


def test_an_issue_that_calls_us_is_answered(talk: Talk) -> None:
    issue = talk.issue(body="@turnwright, look at this", title="A title")

    talk.told(talk.hooks.issues(talk.repository, issue))

    talk.wait_answers(issue)
    [said] = inputs(talk, issue)
    assert said.text.endswith(": A title\n\n@turnwright, look at this")


def test_a_pull_request_that_calls_us_is_answered(talk: Talk) -> None:
    pull = talk.issue(body="@turnwright?", is_pull=True)

    talk.told(talk.hooks.pull_request(talk.repository, pull))

    talk.wait_answers(pull)
    assert inputs(talk, pull)[0].text.startswith("Pull request #1 of ")


def test_a_comment_in_a_review_is_answered_in_its_thread(talk: Talk) -> None:
    pull = talk.issue(is_pull=True)
    first = talk.world.comment(pull, "why this line?", login="rob", path="a.py")

    said = talk.say(pull, "@turnwright explain", path="a.py", reply_to=first.id)

    talk.wait_answers(pull)
    assert [each.reply_to for each in pull.review if each.login.startswith("turnwright")] == [first.id]
    [heard] = inputs(talk, pull)
    assert "About a line of 'a.py':" in heard.text
    assert "> why this line?" in heard.text
    assert said.reply_to == first.id


def test_a_review_that_calls_us_is_answered_below_the_pull_request(talk: Talk) -> None:
    pull = talk.issue(is_pull=True)

    talk.told(talk.hooks.review(talk.repository, pull, "@turnwright what do you think?"))

    [answer] = talk.wait_answers(pull)
    assert "what do you think?" in answer
    assert len(pull.comments) == 1


def test_who_assigns_us_is_answered_and_the_text_is_its_authors(talk: Talk) -> None:
    issue = talk.issue(login="stranger", body="Please fix.")

    talk.told(
        talk.hooks.issues(talk.repository, issue, action="assigned", login="ada", assignee="turnwright")
    )

    talk.wait_answers(issue)
    [said] = inputs(talk, issue)
    assert said.author == "ada"
    assert said.text.endswith("You were assigned to this.\n\n@stranger (may read) wrote:\n> Please fix.")


def test_who_asks_us_for_a_review_is_answered(talk: Talk) -> None:
    pull = talk.issue(is_pull=True, body="Ready.")

    talk.told(
        talk.hooks.pull_request(
            talk.repository, pull, action="review_requested", login="ada", requested_reviewer="turnwright"
        )
    )

    talk.wait_answers(pull)
    assert "You were asked to review this." in inputs(talk, pull)[0].text


@pytest.mark.parametrize("label", ["turnwright", "please: fix"])
def test_our_label_calls_us_and_so_does_one_that_a_route_names(talk: Talk, label: str) -> None:
    issue = talk.issue(login="stranger", body="Please fix.")

    talk.told(talk.hooks.issues(talk.repository, issue, action="labeled", login="ada", label=label))

    talk.wait_answers(issue)
    assert f"The label {label!r} was put on this." in inputs(talk, issue)[0].text


def test_what_is_opened_assigned_and_labelled_at_once_is_one_turn(talk: Talk) -> None:
    issue = talk.issue(body="@turnwright all at once")

    talk.told(talk.hooks.issues(talk.repository, issue))
    talk.told(talk.hooks.issues(talk.repository, issue, action="assigned", assignee="turnwright"))
    talk.told(talk.hooks.issues(talk.repository, issue, action="labeled", label="turnwright"))

    session = talk.session(issue)
    session.wait("input.received", 3)
    session.settled(1)
    session.wait_idle()
    assert len(session.events("turn.settled")) == 1
    assert len(talk.wait_answers(issue)) == 1


@pytest.mark.parametrize(
    ("text", "login", "fate"),
    [
        ("no mention", "ada", "not_called"),
        ("`@turnwright` in code", "ada", "not_called"),
        ("> @turnwright quoted", "ada", "not_called"),
        ("@turnwright", "turnwright[bot]", "own"),
        ("@turnwright", "dependabot[bot]", "bot"),
        ("@turnwright-team", "ada", "not_called"),
    ],
)
def test_what_is_not_meant_for_us_is_ignored(talk: Talk, text: str, login: str, fate: str) -> None:
    issue = talk.issue()

    talk.say(issue, text, login=login)

    assert talk.wait_fate() == {"state": "ignored", "reason": fate}
    assert talk.session(issue).events() == []


def test_a_reply_without_a_mention_is_none_of_ours_though_we_are_in_the_thread(talk: Talk) -> None:
    issue = talk.issue()
    talk.say(issue)
    talk.wait_answers(issue)

    talk.say(issue, "thanks, that helped")

    assert talk.wait_fate(2) == {"state": "ignored", "reason": "not_called"}


def test_another_label_is_none_of_ours(talk: Talk) -> None:
    issue = talk.issue(body="@turnwright")

    talk.told(talk.hooks.issues(talk.repository, issue, action="labeled", login="ada", label="bug"))

    assert talk.wait_fate() == {"state": "ignored", "reason": "other_label"}


@pytest.mark.parametrize("login", ["rob", "stranger"])
def test_who_may_not_write_is_not_heard(talk: Talk, login: str) -> None:
    issue = talk.issue()

    talk.say(issue, login=login)

    assert talk.wait_fate() == {"state": "dropped", "reason": "no_write_access"}
    assert talk.session(issue).events() == []
    assert not talk.answers(issue)


def test_an_edit_that_adds_a_mention_begins_a_turn(talk: Talk) -> None:
    issue = talk.issue()
    comment = talk.say(issue, "look at this")
    comment.body = "@turnwright look at this"

    talk.told(
        talk.hooks.issue_comment(talk.repository, issue, comment, action="edited", before="look at this")
    )

    [answer] = talk.wait_answers(issue)
    assert "look at this" in answer


def test_what_is_said_is_what_was_said_when_it_called_us(talk: Talk) -> None:
    issue = talk.issue(body="as it was")
    comment = talk.world.comment(issue, "@turnwright as I said")
    payload = talk.hooks.issue_comment(talk.repository, issue, comment)
    comment.body, issue.body = "@turnwright do something else", "as it never was"

    talk.told(payload)

    [answer] = talk.wait_answers(issue)
    assert "as I said" in answer
    assert "something else" not in inputs(talk, issue)[0].text
    assert "> as it was" in inputs(talk, issue)[0].text


def test_who_called_is_shown_that_it_was_received(talk: Talk) -> None:
    issue = talk.issue()

    comment = talk.say(issue)

    wait_until(lambda: {content for _, content in comment.reactions} == {"eyes"})
    talk.wait_answers(issue)


def test_a_delivery_that_comes_again_is_the_same(talk: Talk) -> None:
    issue = talk.issue()
    comment = talk.world.comment(issue, "@turnwright once")
    first = talk.told(talk.hooks.issue_comment(talk.repository, issue, comment))

    for _ in range(3):
        talk.told(talk.hooks.redeliver(first))

    talk.wait_answers(issue)
    talk.session(issue).wait_idle()
    assert len(talk.answers(issue)) == 1
    assert len(talk.inbound().events("inbound.received")) == 1


def test_a_renamed_repository_keeps_its_sessions(talk: Talk) -> None:
    issue = talk.issue()
    talk.say(issue, "@turnwright one")
    talk.wait_answers(issue)

    talk.world.rename(talk.repository, f"{talk.repository.name}-renamed")
    talk.say(issue, "@turnwright two")

    assert "two" in talk.wait_answers(issue, 2)[1]
    assert len(inputs(talk, issue)) == 2
