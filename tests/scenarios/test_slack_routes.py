"""Which agent answers what in Slack, who is listened to, and where: as the configuration has it."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from services.inbound.slack import MAY_NOT
from services.streams.event import StreamId
from tests.fakes.slack_requests import (
    EVENTS,
    command,
    envelope,
    event_request,
    mention,
    our_own,
    said,
    signed,
)
from tests.fakes.slack_workspace import BOT_USER, TEAM, Channel
from tests.scenarios.slack_talk import Talk, talking
from tests.worker.waiting import wait_until

LOUD, QUIET, BOTS, SHARED, NOTED = "C0LOUD", "C0QUIET", "C0BOTS", "C0SHARED", "C0NOTED"
GUESTS, ECHO = "C0GUESTS", "C0ECHO"
CONFIG = f"""
[agents.clerk]
system_prompt = "You are the clerk."
debounce_ms = 0

[agents.patient]
max_turns_without_human = 2

[[routes]]
source = "slack"
places = ["{LOUD}"]
events = ["mention", "message"]
agent = "clerk"

[[routes]]
source = "slack"
places = ["{QUIET}"]
ignore = true

[[routes]]
source = "slack"
places = ["{BOTS}", "{ECHO}"]
agent = "patient"
bots = true

[[routes]]
source = "slack"
places = ["{GUESTS}"]
text = "spam"
ignore = true

[[routes]]
source = "slack"
places = ["{GUESTS}"]
authors = ["U0BEN"]
ignore = true

[[routes]]
source = "slack"
places = ["{SHARED}"]
events = ["mention"]
session = "slack:{{team}}:{{channel}}"

[[routes]]
source = "slack"
places = ["{NOTED}"]
events = ["reply"]
policy = "silent"
"""


@pytest.fixture(scope="module")
def talk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Talk]:
    with talking(tmp_path_factory, config=CONFIG) as talk:
        for id in (LOUD, QUIET, BOTS, SHARED, NOTED, GUESTS, ECHO):
            talk.slack.workspace.channels[id] = Channel(id=id)
        yield talk


def test_a_channel_may_have_an_agent_that_hears_everything(talk: Talk) -> None:
    message = talk.slack.workspace.say("no name at all", channel=LOUD)

    talk.deliver(event_request(said(message)))

    assert "no name at all" in talk.wait_replies(message)[0]
    (asked,) = talk.platform.vendor.asked(talk.session(message))
    assert asked.system == "You are the clerk."


def test_a_channel_may_be_left_alone(talk: Talk) -> None:
    talk.call("hello?", channel=QUIET)

    assert talk.fates(QUIET) == [("mention", "ignored", "route_says_ignore")]


def test_other_bots_are_answered_where_a_route_says_so(talk: Talk) -> None:
    message = talk.slack.workspace.say(f"<@{BOT_USER}> build failed", channel=BOTS, user="U0CI")

    talk.deliver(event_request(mention(message, bot_id="B0OTHER", app_id="A0OTHER")))

    assert "build failed" in talk.wait_replies(message)[0]


def test_bots_that_answer_each_other_come_to_an_end(talk: Talk) -> None:
    message = talk.slack.workspace.say(f"<@{BOT_USER}> first", channel=BOTS, user="U0CI")
    bot = {"bot_id": "B0OTHER", "app_id": "A0OTHER"}
    talk.deliver(event_request(mention(message, **bot)))
    talk.wait_replies(message)

    for n in (2, 3):
        talk.reply(message, f"and then, {n}", **bot)
        talk.wait_replies(message, n)

    assert "a limit was reached. (max_turns_without_human)" in talk.replies(message)[2]
    assert len(talk.asked(message)) == 2

    talk.reply(message, "!retry")

    talk.wait_replies(message, 4)
    assert talk.asked(message)[2:] == ["[from ana on slack]\nand then, 3"]


def test_our_own_words_are_known_as_ours_also_where_slack_does_not_say_who_we_are(talk: Talk) -> None:
    message = talk.call("hello", channel=ECHO)
    talk.wait_replies(message)
    (reply,) = talk.slack.workspace.thread(ECHO, message.ts)
    told = envelope(our_own(reply) | {"app_id": None}) | {"authorizations": []}

    talk.deliver(signed(EVENTS, json.dumps(told).encode()))

    assert talk.fates(ECHO)[-1] == ("bot", "dropped", "own")
    assert len(talk.asked(message)) == 1


def test_a_bot_gives_no_commands_where_it_may_speak(talk: Talk) -> None:
    message = talk.slack.workspace.say(f"<@{BOT_USER}> !retry", channel=BOTS, user="U0CI")

    talk.deliver(event_request(mention(message, bot_id="B0OTHER", app_id="A0OTHER")))

    talk.wait_replies(message)
    assert talk.asked(message) == ["[from U0CI on slack]\n!retry"]


def test_what_is_ignored_for_its_words_silences_no_commands(talk: Talk) -> None:
    message = talk.call("hello", channel=GUESTS)
    talk.wait_replies(message)

    talk.reply(message, "spam for everybody")
    talk.reply(message, "!status")

    assert talk.wait_replies(message, 2)[1].startswith("Idle")
    assert [each.state for each in talk.fates(GUESTS)[-2:]] == ["ignored", "routed"]


def test_who_is_not_listened_to_gives_no_commands_by_another_way(talk: Talk) -> None:
    message = talk.call("hello", channel=GUESTS)
    talk.wait_replies(message)
    url = talk.slack.response_url()

    talk.deliver(command("reset", response_url=url.url, channel=GUESTS, user="U0BEN"))

    talk.slack.wait_for(lambda slack: bool(url.posts))
    assert url.posts[0]["text"] == MAY_NOT
    assert talk.fates(GUESTS)[-1] == ("command", "dropped", "may_not_command")


def test_a_channel_may_be_one_session_and_everybody_is_answered_in_his_thread(talk: Talk) -> None:
    first = talk.call("the code word is swordfish", channel=SHARED)
    talk.wait_replies(first)

    second = talk.call("what is the code word?", channel=SHARED)

    talk.wait_replies(second)
    asked = talk.platform.vendor.asked(StreamId(f"slack:{TEAM}:{SHARED}"))
    assert "swordfish" in asked[-1].messages[0].text
    assert len(talk.replies(first)) == len(talk.replies(second)) == 1


def test_what_is_only_to_be_noted_is_known_when_somebody_asks(talk: Talk) -> None:
    message = talk.call("watch this thread", channel=NOTED)
    talk.wait_replies(message)
    talk.reply(message, "the build is red")
    wait_until(lambda: talk.fates(NOTED)[-1] == ("reply", "routed", ""))

    talk.reply(message, f"<@{BOT_USER}> what is the build?")

    talk.wait_replies(message, 2)
    last = talk.platform.vendor.asked(talk.session(message))[-1]
    assert any("the build is red" in each.text for each in last.messages[:-1])
    assert len(talk.replies(message)) == 2
