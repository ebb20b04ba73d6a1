"""Whatever Slack does to the calls of a letter, in whatever order: one reply, whole, its parts in order."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.channels.slack.channel import SlackChannel
from tests.fakes.letters import deliver
from tests.fakes.slack_faults import Fault, bad_gateway, dropped, gibberish, limited, lost, refused
from tests.fakes.slack_letters import client_of, reply_to
from tests.fakes.slack_server import SlackServer

FAULTS: list[Callable[[], Fault | None]] = [
    lambda: None,
    lost,
    dropped,
    gibberish,
    lambda: limited(0),
    lambda: bad_gateway(does=True),
    lambda: bad_gateway(does=False),
    lambda: refused("fatal_error"),
    lambda: refused("token_expired"),
]

troubles = st.lists(st.sampled_from(FAULTS), max_size=8)


@pytest.fixture(scope="module")
def server() -> Iterator[SlackServer]:
    with SlackServer() as running:
        yield running


@given(troubles, troubles, st.integers(1, 4))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_reply_is_there_once_and_whole(
    server: SlackServer,
    posting: list[Callable[[], Fault | None]],
    looking: list[Callable[[], Fault | None]],
    parts: int,
) -> None:
    channel = SlackChannel(client_of(server))
    text = "\n\n".join(f"part {n} " + "word " * 2200 for n in range(parts))
    asked = server.workspace.say("<@U0TURNWRI> tell me")
    server.will(*(each() for each in posting), method="chat.postMessage")
    server.will(*(each() for each in looking), method="conversations.replies")

    try:
        deliver(channel, reply_to(asked, text), attempts=40)
    finally:
        server.forget()
        channel.close()

    replies = server.workspace.thread(asked.channel, asked.ts)
    assert "\n\n".join(each.said for each in replies).split() == text.split()
    assert len(replies) == parts
