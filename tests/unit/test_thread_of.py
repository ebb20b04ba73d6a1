"""Who is told in a thread that what they asked came to nothing: people who may call us, as far as that can be known."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from services.channel_settings import GitHubSettings, SlackSettings
from services.config import AgentConfig
from services.inbound import github, slack
from services.inbound.answering import Answering
from services.inbound.contract import Arrived, Request
from services.inbound.github import GitHubSource
from services.inbound.rules import Rules
from services.inbound.slack import SlackSource
from services.streams.inbound_events import InboundReceived
from services.streams.keys import Keys
from services.streams.store import Store
from tests.fakes.github_hooks import Hooks
from tests.fakes.github_server import BadGateway, GitHubServer, Refuse
from tests.fakes.github_stand import GitHubStage
from tests.fakes.letters import FakeSending
from tests.fakes.slack_faults import refused
from tests.fakes.slack_letters import address_of, client_of
from tests.fakes.slack_requests import SlackRequest, command, event_request, mention, our_own
from tests.fakes.slack_server import SlackServer
from tests.fakes.slack_workspace import BOT_USER

AGENTS = {"default": AgentConfig()}


@pytest.fixture
def workspace() -> Iterator[SlackServer]:
    with SlackServer() as server:
        yield server


@pytest.fixture
def slack_source(workspace: SlackServer) -> SlackSource:
    rules = Rules("slack", (), AGENTS, usual=slack.USUAL)
    nowhere = Answering(Store("unix:///nowhere"), Keys())
    return SlackSource(SlackSettings(), rules, lambda: client_of(workspace), lambda: nowhere)


@pytest.fixture
def hub() -> Iterator[GitHubStage]:
    with GitHubServer() as server:
        yield GitHubStage(server)


@pytest.fixture
def github_source(hub: GitHubStage) -> GitHubSource:
    rules = Rules("github", (), AGENTS, usual=github.USUAL)
    return GitHubSource(GitHubSettings(login="turnwright"), rules, lambda: hub.api)


def _slack(source: SlackSource, sent: SlackRequest) -> InboundReceived:
    request = Request(
        path=sent.path.rpartition("/")[2],
        headers=tuple(sent.headers.items()),
        body=sent.body,
        received_s=1_800_000_000.0,
    )
    arrived = source.read(request)
    assert isinstance(arrived, Arrived)
    return arrived.received


def _comment(hub: GitHubStage, source: GitHubSource, login: str = "ada", **more: Any) -> InboundReceived:
    comment = hub.world.comment(hub.issue, "@turnwright please", login=login)
    told = Hooks(hub.world).issue_comment(hub.repository, hub.issue, comment)
    payload = {**told.payload, "comment": {**told.payload["comment"], **more}}
    headers = (("X-GitHub-Event", told.event), ("X-GitHub-Delivery", told.guid))
    body = json.dumps(payload).encode()
    arrived = source.read(Request(path="", headers=headers, body=body, received_s=1_800_000_000.0))
    assert isinstance(arrived, Arrived)
    return arrived.received


def test_who_calls_us_in_slack_is_told_in_their_thread(
    workspace: SlackServer, slack_source: SlackSource
) -> None:
    asked = workspace.workspace.say(f"<@{BOT_USER}> please")
    received = _slack(slack_source, event_request(mention(asked)))

    thread = address_of(asked).encode()
    assert slack_source.thread_of(received, FakeSending()) == thread
    assert slack_source.thread_of(received, None) == thread


def test_where_slack_does_not_say_who_we_are_people_are_told_all_the_same(
    workspace: SlackServer, slack_source: SlackSource
) -> None:
    asked = workspace.workspace.say(f"<@{BOT_USER}> please")
    workspace.will(refused("internal_error"), method="auth.test")

    received = _slack(slack_source, event_request(mention(asked)))

    assert slack_source.thread_of(received, FakeSending()) == address_of(asked).encode()


def test_bots_ourselves_other_workspaces_and_forms_are_not_told(
    workspace: SlackServer, slack_source: SlackSource
) -> None:
    asked = workspace.workspace.say(f"<@{BOT_USER}> please")
    sent = [
        event_request({**mention(asked), "bot_id": "B0OTHER"}),
        event_request(our_own(asked)),
        event_request(mention(asked, team="T0OTHER"), team="T0OTHER"),
        command("status", response_url="https://hooks.slack.com/commands/1"),
    ]

    told = [slack_source.thread_of(_slack(slack_source, each), FakeSending()) for each in sent]

    assert told == ["", "", "", ""]


def test_who_may_write_on_github_is_told_and_who_may_not_is_not(
    hub: GitHubStage, github_source: GitHubSource
) -> None:
    hub.repository.roles |= {"ada": "write", "mallory": "read"}
    ada, mallory = (_comment(hub, github_source, login) for login in ("ada", "mallory"))

    assert github_source.thread_of(ada, FakeSending()).startswith(f"github:{hub.repository.id}:")
    assert github_source.thread_of(mallory, FakeSending()) == ""


@pytest.mark.parametrize("fault", [BadGateway(), Refuse(status=403)])
def test_where_github_does_not_say_who_may_write_members_are_told(
    hub: GitHubStage, github_source: GitHubSource, fault: BadGateway | Refuse
) -> None:
    hub.server.will(*[fault] * 4, method="GET", ending="/permission")
    member = _comment(hub, github_source, author_association="MEMBER")
    stranger = _comment(hub, github_source, "eve", author_association="CONTRIBUTOR")

    assert github_source.thread_of(member, FakeSending()) != ""
    assert github_source.thread_of(member, None) != ""
    assert github_source.thread_of(stranger, FakeSending()) == ""
    assert github_source.thread_of(stranger, None) == ""


def test_where_the_app_was_taken_away_nobody_can_be_told(
    hub: GitHubStage, github_source: GitHubSource
) -> None:
    hub.world.installations[hub.repository.installation].is_gone = True
    member = _comment(hub, github_source, author_association="MEMBER")

    assert github_source.thread_of(member, FakeSending()) == ""


def test_bots_on_github_are_not_told(hub: GitHubStage, github_source: GitHubSource) -> None:
    bot = _comment(hub, github_source, "renovate[bot]", author_association="MEMBER")
    own = _comment(hub, github_source, "turnwright[bot]", author_association="MEMBER")

    assert github_source.thread_of(bot, FakeSending()) == ""
    assert github_source.thread_of(own, FakeSending()) == ""
