"""That somebody is at work is shown by the best way a workspace knows, and taken back at the end."""

from __future__ import annotations

import pytest

from services.channels.contract import DeliveryError
from services.channels.slack.status import WORKING, WorkingStatus
from tests.fakes.letters import FakeSending
from tests.fakes.slack_faults import limited, refused
from tests.fakes.slack_letters import address_of, client_of
from tests.fakes.slack_server import SlackServer
from tests.fakes.slack_workspace import BOT_USER, TOKEN, Message

SESSION, ASSISTANT, ADD = "agents.sessions.setStatus", "assistant.threads.setStatus", "reactions.add"


@pytest.fixture
def status(slack: SlackServer) -> WorkingStatus:
    return WorkingStatus(client_of(slack))


@pytest.fixture
def asked(slack: SlackServer) -> Message:
    return slack.workspace.say("do it")


def test_an_agents_session_is_at_work_and_then_is_not(
    slack: SlackServer, status: WorkingStatus, asked: Message
) -> None:
    place, key = address_of(asked), (asked.channel, asked.ts)

    way = status.show(place, asked.ts, FakeSending())
    assert (way, slack.workspace.statuses[key]) == ("session", "processing")

    status.end(place, asked.ts, FakeSending())
    assert slack.workspace.statuses[key] == "active"


def test_without_sessions_an_assistants_thread_is(
    slack: SlackServer, status: WorkingStatus, asked: Message
) -> None:
    slack.unavailable.add(SESSION)
    place, key = address_of(asked), (asked.channel, asked.ts)

    way = status.show(place, asked.ts, FakeSending())
    assert (way, slack.workspace.assistant_statuses[key]) == ("assistant", WORKING)

    status.end(place, asked.ts, FakeSending())
    assert slack.workspace.assistant_statuses[key] == ""


def test_where_neither_is_there_a_reaction_says_it(
    slack: SlackServer, status: WorkingStatus, asked: Message
) -> None:
    slack.unavailable |= {SESSION, ASSISTANT}

    way = status.show(address_of(asked), asked.ts, FakeSending())
    assert (way, asked.reactions) == ("reaction", {"eyes": {BOT_USER}})

    status.end(address_of(asked), asked.ts, FakeSending())
    assert asked.reactions == {"eyes": set()}


def test_showing_and_ending_may_be_repeated(
    slack: SlackServer, status: WorkingStatus, asked: Message
) -> None:
    slack.unavailable |= {SESSION, ASSISTANT}
    for _ in range(2):
        status.show(address_of(asked), asked.ts, FakeSending())
    for _ in range(2):
        status.end(address_of(asked), asked.ts, FakeSending())

    assert asked.reactions == {"eyes": set()}


def test_what_the_app_may_never_do_is_not_tried_again(
    slack: SlackServer, status: WorkingStatus, asked: Message
) -> None:
    slack.unavailable.add(SESSION)

    for _ in range(2):
        status.show(address_of(asked), asked.ts, FakeSending())

    assert len(slack.of(SESSION)) == 1
    assert len(slack.of(ASSISTANT)) == 2


def test_a_thread_that_is_no_agents_does_not_end_it_for_the_others(
    slack: SlackServer, status: WorkingStatus, asked: Message
) -> None:
    slack.will(refused("not_an_agent_thread"), method=SESSION)

    ways = [status.show(address_of(asked), asked.ts, FakeSending()) for _ in range(2)]

    assert ways == ["assistant", "session"]


def test_a_workspace_that_is_in_trouble_is_not_asked_in_three_ways(
    slack: SlackServer, status: WorkingStatus, asked: Message
) -> None:
    slack.workspace.token_state[TOKEN] = "token_revoked"

    with pytest.raises(DeliveryError) as caught:
        status.show(address_of(asked), asked.ts, FakeSending())

    assert (caught.value.code, len(slack.calls)) == ("token_revoked", 1)


def test_a_limit_is_told_and_nothing_else_is_tried(
    slack: SlackServer, status: WorkingStatus, asked: Message
) -> None:
    slack.will(limited(9), method=SESSION)

    with pytest.raises(DeliveryError) as caught:
        status.show(address_of(asked), asked.ts, FakeSending())

    assert (caught.value.kind, caught.value.retry_after_s, len(slack.calls)) == ("overloaded", 9, 1)


def test_a_message_that_was_deleted_shows_no_reaction_any_more(
    slack: SlackServer, status: WorkingStatus, asked: Message
) -> None:
    slack.unavailable |= {SESSION, ASSISTANT}
    slack.workspace.delete(asked)

    status.show(address_of(asked), asked.ts, FakeSending())
    status.end(address_of(asked), asked.ts, FakeSending())
