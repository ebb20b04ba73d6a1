"""Slack on the real platform: who calls us is answered once, in the thread, whatever Slack sends twice."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.fakes.slack_requests import event_request, mention, twins
from tests.fakes.slack_server import SlackServer
from tests.fakes.slack_workspace import BOT_USER
from tests.scenarios.platform import Platform, Setup, installed_site, running_platform
from tests.scenarios.slack_talk import ENVIRONMENT, Talk


@pytest.fixture(scope="module")
def slack() -> Iterator[SlackServer]:
    with SlackServer() as server:
        yield server


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory, slack: SlackServer) -> Iterator[Platform]:
    setup = Setup(
        site=installed_site(tmp_path_factory),
        environment={**ENVIRONMENT, "TURNWRIGHT_SLACK_API_URL": slack.api_url},
    )
    with running_platform(tmp_path_factory.mktemp("slack"), setup) as platform:
        yield platform


@pytest.fixture
def talk(platform: Platform, slack: SlackServer) -> Talk:
    return Talk(platform, slack)


def test_a_mention_is_answered_in_its_thread(talk: Talk) -> None:
    message = talk.slack.workspace.say(f"<@{BOT_USER}> hello there")

    talk.deliver(event_request(mention(message)))

    (reply,) = talk.wait_replies(message)
    assert "hello there" in reply


def test_a_mention_that_comes_twice_is_answered_once(talk: Talk) -> None:
    message = talk.slack.workspace.say(f"<@{BOT_USER}> only once, please")
    first, second = twins(message)

    talk.deliver(first, second, first.retried(1), second.retried(2))

    talk.wait_replies(message)
    other = talk.slack.workspace.say(f"<@{BOT_USER}> afterwards")
    talk.deliver(event_request(mention(other)))
    talk.wait_replies(other)
    assert len(talk.replies(message)) == 1
