"""When Slack does not take an answer, people see why; what can be mended goes on by itself once it is mended."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from services.channels.slack.address import inbound_stream
from tests.fakes.slack_faults import bad_gateway, limited, lost
from tests.fakes.slack_requests import event_request, mention
from tests.fakes.slack_workspace import BOT_USER, TEAM, TOKEN, Message
from tests.scenarios.slack_talk import Talk, talking
from tests.worker.waiting import wait_until

POST = "chat.postMessage"


@pytest.fixture(scope="module")
def talk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Talk]:
    with talking(tmp_path_factory) as talk:
        yield talk


def _entry(talk: Talk, message: Message, state: str) -> dict[str, Any]:
    """The one reply of the thread that the outbox has in `state`."""
    found: list[dict[str, Any]] = []

    def is_there() -> bool:
        answer = talk.platform.http.get(
            "/api/outbox", params={"state": state, "session": talk.session(message)}
        )
        found[:] = answer.json()["entries"]
        return bool(found)

    wait_until(is_there)
    return found[0]


def test_an_archived_channel_is_said_to_be_one(talk: Talk) -> None:
    message, gate = talk.call_held("too late")
    talk.slack.workspace.channels[message.channel].is_archived = True

    gate.open()

    assert _entry(talk, message, "failed")["error"] == "is_archived"


def test_a_channel_that_was_deleted_is_said_to_be_gone(talk: Talk) -> None:
    message, gate = talk.call_held("too late")
    channel = talk.slack.workspace.channels.pop(message.channel)

    gate.open()

    assert _entry(talk, message, "failed")["error"] == "channel_not_found"
    talk.slack.workspace.channels[message.channel] = channel


def test_a_thread_that_was_deleted_is_said_to_be_gone(talk: Talk) -> None:
    message, gate = talk.call_held("too late")
    talk.slack.workspace.delete(message)

    gate.open()

    assert _entry(talk, message, "gone")["error"] == "gone"


def test_an_answer_waits_for_a_token_that_was_revoked(talk: Talk) -> None:
    message, gate = talk.call_held("hold on")
    talk.slack.workspace.token_state[TOKEN] = "token_revoked"
    try:
        gate.open()
        entry = _entry(talk, message, "backing_off")
    finally:
        talk.slack.workspace.token_state[TOKEN] = ""

    assert entry["code"] == "token_revoked"
    talk.wait_replies(message, within_s=30)


def test_a_limit_is_waited_for(talk: Talk) -> None:
    talk.slack.will(limited(1), method=POST)

    message = talk.call("hello")

    assert len(talk.wait_replies(message)) == 1


@pytest.mark.parametrize("fault", [lost(), bad_gateway(does=True)], ids=["lost", "502"])
def test_an_answer_of_which_nobody_knows_is_looked_for_before_it_is_sent_again(
    talk: Talk, fault: Any
) -> None:
    talk.slack.will(fault, method=POST)
    message = talk.slack.workspace.say(f"<@{BOT_USER}> once", channel=talk.channel())

    talk.deliver(event_request(mention(message)))

    session = talk.session(message)
    wait_until(lambda: bool(talk.events(session, "reply.delivered")), within_s=30)
    assert len(talk.replies(message)) == 1


def test_what_is_said_while_nobody_can_be_asked_is_taken_up_afterwards(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    with talking(tmp_path_factory) as talk:
        talk.slack.workspace.token_state[TOKEN] = "token_revoked"
        message = talk.call("are you there?")
        stream = inbound_stream(TEAM, message.channel)
        wait_until(lambda: bool(talk.events(stream, "inbound.attempt_failed")))
        assert talk.events(stream, "inbound.attempt_failed")[0]["error"] == "token_revoked"

        talk.slack.workspace.token_state[TOKEN] = ""

        talk.wait_replies(message, within_s=30)
