"""While a turn of a thread runs, the thread shows it; when it ends, however it does, the thread shows that too."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.fakes.llm_scripts import Status
from tests.fakes.slack_faults import held, limited
from tests.fakes.slack_requests import event_request, mention
from tests.fakes.slack_workspace import BOT_USER, Message
from tests.scenarios.slack_talk import Talk, talking
from tests.worker.waiting import wait_until

SESSION, ASSISTANT = "agents.sessions.setStatus", "assistant.threads.setStatus"


@pytest.fixture(scope="module")
def talk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Talk]:
    with talking(tmp_path_factory) as talk:
        yield talk


def _wait_status(talk: Talk, message: Message, status: str) -> None:
    wait_until(lambda: talk.status(message) == status)


def test_a_thread_shows_that_its_turn_runs_and_that_it_ended(talk: Talk) -> None:
    message, gate = talk.call_held("think")
    _wait_status(talk, message, "processing")

    gate.open()

    talk.wait_replies(message)
    _wait_status(talk, message, "active")


def test_a_turn_that_fails_is_over_too(talk: Talk) -> None:
    message = talk.slack.workspace.say(f"<@{BOT_USER}> try", channel=talk.channel())
    talk.platform.vendor.will(talk.session(message), Status(status=400))

    talk.deliver(event_request(mention(message)))

    talk.wait_replies(message)
    _wait_status(talk, message, "active")


def test_a_turn_that_was_stopped_is_over_too(talk: Talk) -> None:
    message, gate = talk.call_held("think")
    _wait_status(talk, message, "processing")

    talk.reply(message, "!stop")

    talk.wait_replies(message)
    _wait_status(talk, message, "active")
    gate.open()


def test_what_waited_behind_the_answer_is_shown_to_run(talk: Talk) -> None:
    message, gate = talk.call_held("first")
    second = talk.platform.vendor.hold(talk.session(message))
    talk.reply(message, "second")
    gate.open()
    talk.wait_replies(message)
    second.wait_entered()

    _wait_status(talk, message, "processing")
    second.open()

    talk.wait_replies(message, 2)
    _wait_status(talk, message, "active")


def test_nothing_waits_for_a_status_that_is_not_taken(talk: Talk) -> None:
    slow = held()
    talk.slack.will(slow, method=SESSION)
    message = talk.call("quick")

    talk.wait_replies(message)

    slow.opened.set()
    talk.slack.forget()
    _wait_status(talk, message, "active")


def test_a_status_that_is_limited_is_left_out(talk: Talk) -> None:
    talk.slack.will(limited(1), limited(1), method=SESSION)

    message = talk.call("quick")

    talk.wait_replies(message)
    talk.slack.forget()


def test_it_is_over_also_after_the_worker_was_killed(tmp_path_factory: pytest.TempPathFactory) -> None:
    with talking(tmp_path_factory) as talk:
        message, gate = talk.call_held("think")
        _wait_status(talk, message, "processing")

        talk.platform.parts["worker-1"].kill()
        gate.open()
        talk.platform.start_worker("worker-1")

        talk.wait_replies(message, within_s=60)
        _wait_status(talk, message, "active")


def test_where_the_workspace_knows_no_status_a_reaction_stands_for_it(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    with talking(tmp_path_factory) as talk:
        talk.slack.unavailable |= {SESSION, ASSISTANT}
        message, gate = talk.call_held("think")
        wait_until(lambda: message.reactions == {"eyes": {BOT_USER}})

        gate.open()

        talk.wait_replies(message)
        wait_until(lambda: message.reactions == {"eyes": set()})
