"""Triggers that are answered in a channel of Slack and in an issue on GitHub: once, and where that can not be, said."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from services.channels.github.markers import mark_of
from tests.fakes.github_server import Drop as GitHubDrop
from tests.fakes.github_server import GitHubServer
from tests.fakes.github_world import Issue, Repository
from tests.fakes.slack_faults import lost
from tests.fakes.slack_requests import event_request, said
from tests.fakes.slack_server import SlackServer
from tests.fakes.slack_workspace import BOT, Message
from tests.scenarios import github_talk, slack_talk
from tests.scenarios.platform import Platform, Setup, installed_site, running_platform
from tests.worker.waiting import wait_until

CHANNEL = "C0GENERAL"


@pytest.fixture(scope="module")
def slack() -> Iterator[SlackServer]:
    with SlackServer() as server:
        yield server


@pytest.fixture(scope="module")
def github() -> Iterator[GitHubServer]:
    with GitHubServer() as server:
        yield server


@pytest.fixture(scope="module")
def platform(
    slack: SlackServer, github: GitHubServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Platform]:
    variables = {
        **slack_talk.ENVIRONMENT,
        "TURNWRIGHT_SLACK_API_URL": slack.api_url,
        **github_talk.environment(github),
    }
    folder = tmp_path_factory.mktemp("triggers-answered")
    with running_platform(
        folder, Setup(site=installed_site(tmp_path_factory), environment=variables)
    ) as made:
        yield made


@pytest.fixture
def repository(github: GitHubServer) -> Repository:
    return github.world.repository(f"octo/app-{github.world.id()}")


def define(platform: Platform, trigger: str, **given: Any) -> None:
    body = {"cron": "0 9 * * *", "prompt": f"Report of {trigger}", **given}
    answer = platform.http.put(f"/api/triggers/{trigger}", json=body)
    assert answer.status_code == 200, answer.text


def fire(platform: Platform, trigger: str) -> None:
    assert platform.http.post(f"/api/triggers/{trigger}/fire", json={}).status_code == 202


def tick(platform: Platform, trigger: str) -> dict[str, Any]:
    """The newest tick, once it came to an end."""
    found: dict[str, Any] = {}

    def check() -> bool:
        ticks = platform.http.get(f"/api/triggers/{trigger}/ticks").json()["ticks"]
        found.update(ticks[0] if ticks else {})
        return bool(found.get("outcome")) or found.get("state") in ("burned", "skipped", "expired")

    wait_until(check, within_s=30)
    return found


def posts(slack: SlackServer, text: str) -> list[Message]:
    said = slack.workspace.found(CHANNEL).messages.values()
    return [each for each in said if each.bot_id == BOT and text in each.said]


def answers(issue: Issue) -> list[str]:
    return [each.body for each in issue.comments if mark_of(each.body) is not None]


def test_a_report_is_posted_in_the_channel_once_although_its_answer_was_lost(
    platform: Platform, slack: SlackServer
) -> None:
    define(platform, "to-slack", answer_in=f"slack:{CHANNEL}")
    slack.will(lost(), method="chat.postMessage")

    fire(platform, "to-slack")

    assert tick(platform, "to-slack")["outcome"] == "answered"
    wait_until(lambda: platform.http.get("/api/obligations").json()["obligations"] == [], within_s=30)
    (message,) = posts(slack, "Report of to-slack")
    assert message.thread_ts == ""


def test_who_replies_to_a_report_is_heard_without_naming_us_and_answered_there(
    platform: Platform, slack: SlackServer
) -> None:
    define(platform, "with-replies", answer_in=f"slack:{CHANNEL}")
    fire(platform, "with-replies")
    tick(platform, "with-replies")
    wait_until(lambda: len(posts(slack, "Report of with-replies")) == 1, within_s=30)
    (report,) = posts(slack, "Report of with-replies")

    reply = slack.workspace.say("Why is that so?", channel=CHANNEL, thread_ts=report.ts)
    talk = slack_talk.Talk(platform, slack)
    talk.deliver(event_request(said(reply)))

    (answer,) = talk.wait_replies(reply, within_s=30)
    assert "Why is that so?" in answer
    asked = platform.vendor.asked(talk.session(reply))[-1]
    assert any("Report of with-replies" in each.text for each in asked.messages[:-1])
    first = platform.http.get(f"/api/sessions/{talk.session(reply)}/events?limit=2").json()["events"]
    assert first[0]["payload"]["parent"].startswith("trigger:with-replies:manual-")


def test_a_report_is_a_comment_on_the_issue_although_github_was_away(
    platform: Platform, github: GitHubServer, repository: Repository
) -> None:
    issue = github.world.issue(repository)
    define(platform, "to-github", answer_in=f"github:{repository.name}#{issue.number}")
    github.will(GitHubDrop(), method="GET", ending=f"/repos/{repository.name}/installation")

    fire(platform, "to-github")

    assert tick(platform, "to-github")["outcome"] == "answered"
    wait_until(lambda: len(answers(issue)) == 1, within_s=30)


def test_a_repository_that_is_not_there_burns_the_tick_and_says_so(platform: Platform) -> None:
    define(platform, "to-nowhere", answer_in="github:octo/nowhere#1")

    fire(platform, "to-nowhere")

    burned = tick(platform, "to-nowhere")
    assert (burned["state"], burned["reason"]) == ("burned", "no_such_repository")


@pytest.mark.parametrize("answer_in", ["slack:general", "matrix:x", "github:octo/app", "slack:"])
def test_a_place_that_can_not_be_is_refused_when_it_is_defined(platform: Platform, answer_in: str) -> None:
    body = {"cron": "0 9 * * *", "prompt": "x", "answer_in": answer_in}

    answer = platform.http.put("/api/triggers/wrong", json=body)

    assert (answer.status_code, answer.json()["field"]) == (422, "answer_in")
