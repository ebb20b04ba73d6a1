"""Commands in Slack, in a thread, by slash command, by button: done and answered, and no model hears of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from urllib.parse import parse_qsl, urlencode

import pytest

from services.channels.slack.buttons import RETRY
from services.inbound.commands import AGAIN, FORGOTTEN, HELP, NO_THREAD, NOT_KNOWN
from services.inbound.slack import ELSEWHERE, MAY_NOT
from services.streams.event import StreamId
from tests.fakes.llm_scripts import Status
from tests.fakes.slack_requests import (
    SlackRequest,
    changed,
    click,
    command,
    event_request,
    mention,
    said,
    signed,
    stopped,
)
from tests.fakes.slack_server import ResponseURL
from tests.fakes.slack_workspace import BOT_USER, TEAM, Channel, Message
from tests.scenarios.slack_talk import Talk, talking
from tests.worker.waiting import wait_until

GUARDED = "C0GUARDED"
CONFIG = f"""
[[routes]]
source = "slack"
places = ["{GUARDED}"]
text = "please"
commands = ["U0ANA"]
"""


@pytest.fixture(scope="module")
def talk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Talk]:
    with talking(tmp_path_factory, config=CONFIG) as talk:
        talk.slack.workspace.channels[GUARDED] = Channel(id=GUARDED)
        yield talk


def _slash(talk: Talk, text: str, channel: str, **more: str) -> ResponseURL:
    url = talk.slack.response_url()
    answer = talk.send(command(text, response_url=url.url, channel=channel, **more))
    assert answer.json() == {"response_type": "ephemeral", "text": "One moment\u2026"}
    return url


def _told(talk: Talk, url: ResponseURL, count: int = 1) -> list[str]:
    talk.slack.wait_for(lambda slack: len(url.posts) >= count)
    return [each["text"] for each in url.posts]


def test_stop_ends_what_is_going_on_and_what_waits_behind_it(talk: Talk) -> None:
    message, gate = talk.call_held("count to a million")
    talk.reply(message, "and then to two")

    talk.reply(message, "!stop")

    assert all("Stopped." in each for each in talk.wait_replies(message, 2))
    gate.open()
    assert talk.fates(message.channel)[-1] == ("reply", "routed", "")


def test_the_stop_button_of_an_agents_session_is_a_command(talk: Talk) -> None:
    message, gate = talk.call_held("think for long")

    talk.deliver(event_request(stopped(message)))

    assert "Stopped." in talk.wait_replies(message)[0]
    gate.open()


def test_the_stop_button_ends_a_status_that_was_left_behind(talk: Talk) -> None:
    message = talk.call("quick")
    talk.wait_replies(message)
    wait_until(lambda: talk.status(message) == "active")
    talk.slack.workspace.statuses[message.channel, message.ts] = "processing"

    talk.deliver(event_request(stopped(message)))

    assert talk.wait_replies(message, 2)[1] == "Nothing is going on here."
    assert talk.status(message) == "active"


def test_stop_says_so_where_nothing_is_going_on(talk: Talk) -> None:
    message = talk.call("quick")
    talk.wait_replies(message)

    talk.reply(message, f"<@{BOT_USER}> !STOP")

    assert talk.wait_replies(message, 2)[1] == "Nothing is going on here."


def test_why_says_what_the_command_line_says(talk: Talk) -> None:
    message, gate = talk.call_held("hold on")

    talk.reply(message, "!why")

    (told,) = talk.wait_replies(message)
    assert told.startswith("running attempt 1: the model's answer, since ")
    gate.open()
    talk.reply(message, "!status")
    assert "Idle: everything that was asked here is answered." in talk.wait_replies(message, 3)


def test_status_says_that_it_is_at_work(talk: Talk) -> None:
    message, gate = talk.call_held("hold on")
    talk.reply(message, "one more")

    talk.reply(message, "!status")

    assert talk.wait_replies(message) == ["At work. 1 more waits."]
    gate.open()


def test_retry_asks_the_last_input_again(talk: Talk) -> None:
    message = talk.call("what is new?")
    talk.wait_replies(message)

    talk.reply(message, "!retry")

    assert "what is new?" in talk.wait_replies(message, 2)[1]
    assert len(talk.asked(message)) == 2


def test_reset_makes_the_model_forget(talk: Talk) -> None:
    message = talk.call("my name is Ana")
    talk.wait_replies(message)

    talk.reply(message, "!reset")
    assert talk.wait_replies(message, 2)[1] == FORGOTTEN
    talk.reply(message, "what is my name?")

    talk.wait_replies(message, 3)
    last = talk.platform.vendor.asked(talk.session(message))[-1]
    assert [each.text.partition("\n")[2] for each in last.messages if each.role == "user"] == [
        "what is my name?"
    ]


def test_no_model_hears_of_commands(talk: Talk) -> None:
    message = talk.call("hello")
    talk.wait_replies(message)

    for n, word in enumerate(("!help", "!status", "!why"), start=2):
        talk.reply(message, word)
        talk.wait_replies(message, n)

    assert talk.replies(message)[1] == HELP
    assert len(talk.asked(message)) == 1


def test_a_command_outside_of_threads_means_the_thread_that_was_last_spoken_to(talk: Talk) -> None:
    direct = talk.slack.workspace.say("count to a million", channel=talk.channel("im"))
    gate = talk.platform.vendor.hold(talk.session(direct))
    talk.deliver(event_request(said(direct)))
    gate.wait_entered()

    status = talk.slack.workspace.say("!status", channel=direct.channel)
    talk.deliver(event_request(said(status)))
    assert talk.wait_replies(status) == ["At work."]
    talk.deliver(event_request(said(talk.slack.workspace.say("!stop", channel=direct.channel))))
    assert "Stopped." in talk.wait_replies(direct)[0]
    gate.open()
    talk.deliver(event_request(said(talk.slack.workspace.say("!retry", channel=direct.channel))))

    assert "count to a million" in talk.wait_replies(direct, 2)[1]
    assert {each.state for each in talk.fates(direct.channel)} == {"routed"}


def test_a_command_where_nobody_talked_to_us_says_so(talk: Talk) -> None:
    message = talk.call("!stop")

    assert talk.wait_replies(message) == [NO_THREAD]


def test_help_is_given_before_anything_else_was_said(talk: Talk) -> None:
    message = talk.call("!help")

    assert talk.wait_replies(message) == [HELP]
    assert talk.asked(message) == []


def test_what_only_looks_like_a_command_is_said(talk: Talk) -> None:
    message = talk.call("!important look at this")

    assert "!important" in talk.wait_replies(message)[0]


def test_a_command_in_a_thread_that_is_not_ours_is_none(talk: Talk) -> None:
    message = talk.slack.workspace.say("lunch?", channel=talk.channel())

    talk.reply(message, "!stop")

    assert talk.fates(message.channel) == [("reply", "ignored", "not_our_thread")]
    assert talk.replies(message) == []


def test_a_command_that_comes_twice_is_done_once(talk: Talk) -> None:
    message = talk.call("hello")
    talk.wait_replies(message)
    again = talk.slack.workspace.say("!retry", channel=message.channel, thread_ts=message.ts)
    request = event_request(said(again))

    talk.deliver(request, request.retried(1), event_request(said(again)))

    assert len(talk.fates(message.channel)) == 2
    talk.wait_replies(message, 2)
    talk.reply(message, "!status")
    assert len(talk.wait_replies(message, 3)) == 3


def test_a_command_that_is_edited_is_done_once_and_no_model_hears_of_it(talk: Talk) -> None:
    message = talk.call("!help")
    talk.wait_replies(message)

    talk.deliver(event_request(changed(message, f"<@{BOT_USER}> !help me")))
    talk.deliver(event_request(mention(message, text=f"<@{BOT_USER}> !help!", edited={"user": "U0ANA"})))

    assert {each.state for each in talk.fates(message.channel)} == {"routed"}
    assert (talk.replies(message), talk.asked(message)) == ([HELP], [])


def test_an_edit_that_makes_a_command_is_one(talk: Talk) -> None:
    message, gate = talk.call_held("hold on")
    typed = talk.slack.workspace.say("!sotp", channel=message.channel, thread_ts=message.ts)
    talk.deliver(event_request(said(typed)))

    talk.deliver(event_request(changed(typed, "!stop")))

    assert all("Stopped." in each for each in talk.wait_replies(message, 2))
    gate.open()


def test_a_command_of_long_ago_is_none_when_it_is_edited(talk: Talk) -> None:
    message, gate = talk.call_held("hold on")
    typed = talk.slack.workspace.say("!stop it", channel=message.channel, thread_ts=message.ts)
    long_after = {"event_ts": f"{float(typed.ts) + 2 * 86_400:.6f}"}

    talk.deliver(event_request(changed(typed, "!stop it.") | long_after))

    assert talk.fates(message.channel)[-1] == ("edited", "ignored", "edited_late")
    gate.open()


def test_who_may_not_give_commands_is_told_so(talk: Talk) -> None:
    message = talk.slack.workspace.say(f"<@{BOT_USER}> please hold on", channel=GUARDED)
    gate = talk.platform.vendor.hold(talk.session(message))
    talk.deliver(event_request(mention(message)))
    gate.wait_entered()
    tried = talk.slack.workspace.say("!stop", channel=GUARDED, thread_ts=message.ts, user="U0BEN")

    talk.deliver(event_request(said(tried)))
    assert talk.wait_replies(message) == [MAY_NOT]
    assert talk.fates(GUARDED)[-1] == ("reply", "dropped", "may_not_command")
    assert _told(talk, _slash(talk, "stop", GUARDED, user="U0BEN")) == [MAY_NOT]
    talk.reply(message, "!stop")

    assert "Stopped." in talk.wait_replies(message, 2)[1]
    gate.open()


def test_a_slash_command_is_answered_to_whoever_gave_it(talk: Talk) -> None:
    message = talk.call("hello")
    talk.wait_replies(message)

    url = _slash(talk, "status", message.channel)

    assert _told(talk, url) == ["Idle: everything that was asked here is answered."]
    assert url.posts[0]["response_type"] == "ephemeral"
    assert len(talk.replies(message)) == 1


def test_a_slash_command_means_the_thread_that_was_last_spoken_to(talk: Talk) -> None:
    first, held = talk.call_held("hold on")
    second = talk.call("quick", channel=first.channel)
    talk.wait_replies(second)

    assert _told(talk, _slash(talk, "stop", first.channel)) == ["Nothing is going on here."]
    link = f"https://acme.slack.com/archives/{first.channel}/p{first.ts.replace('.', '')}"
    assert _told(talk, _slash(talk, f"stop {link}", first.channel)) == ["Stopped."]

    assert "Stopped." in talk.wait_replies(first)[0]
    held.open()


def test_a_slash_command_reaches_no_thread_of_another_channel(talk: Talk) -> None:
    message, gate = talk.call_held("hold on")
    link = f"https://acme.slack.com/archives/{message.channel}/p{message.ts.replace('.', '')}"

    assert _told(talk, _slash(talk, f"stop {link}", talk.channel())) == [ELSEWHERE]

    assert talk.replies(message) == []
    gate.open()


def test_a_slash_command_where_nobody_talked_to_us_says_so(talk: Talk) -> None:
    channel = talk.channel()

    assert _told(talk, _slash(talk, "status", channel)) == [NO_THREAD]
    assert _told(talk, _slash(talk, "", channel))[0].startswith("I answer to these")


def test_the_address_of_the_answer_is_kept_nowhere_that_people_look(talk: Talk) -> None:
    message = talk.call("hello")
    talk.wait_replies(message)
    url = _slash(talk, "status", message.channel)
    _told(talk, url)
    talk.fates(message.channel)

    stream = StreamId(f"inbound:slack:{TEAM}:{message.channel}")
    kept = json.dumps(talk.events(stream, "inbound.received"))
    assert "turnwright" in kept
    assert "response_url" not in kept
    assert "/response/" not in kept
    assert url.url not in talk.platform.logs()


def _failed(talk: Talk) -> Message:
    message = talk.slack.workspace.say(f"<@{BOT_USER}> try", channel=talk.channel())
    talk.platform.vendor.will(talk.session(message), Status(status=400))
    talk.deliver(event_request(mention(message)))
    talk.wait_replies(message)
    return message


def test_a_failed_turn_can_be_asked_again_with_a_button_that_goes_away_at_once(talk: Talk) -> None:
    message = _failed(talk)
    (shown,) = talk.slack.workspace.thread(message.channel, message.ts)
    (button,) = shown.blocks[-1]["elements"]
    url = talk.slack.response_url()

    request = click(shown, action_id=button["action_id"], value=button["value"], response_url=url.url)
    answer = talk.send(request)

    assert (answer.status_code, answer.content) == (200, b"")
    assert _told(talk, url, 2)[1] == AGAIN
    assert all(each["replace_original"] for each in url.posts)
    kinds = [[block["type"] for block in each["blocks"]] for each in url.posts]
    assert kinds == [["markdown", "context"]] * 2
    assert "try" in talk.wait_replies(message, 2)[1]


def test_a_click_that_comes_twice_asks_once(talk: Talk) -> None:
    message = _failed(talk)
    (shown,) = talk.slack.workspace.thread(message.channel, message.ts)
    (button,) = shown.blocks[-1]["elements"]
    url = talk.slack.response_url()
    request = click(shown, action_id=button["action_id"], value=button["value"], response_url=url.url)

    talk.deliver(request, request)

    talk.wait_replies(message, 2)
    assert [fate.kind for fate in talk.fates(message.channel)] == ["mention", "interaction"]


def _pressed(shown: Message, url: ResponseURL, **more: str) -> SlackRequest:
    (button,) = shown.blocks[-1]["elements"]
    return click(shown, action_id=button["action_id"], value=button["value"], response_url=url.url, **more)


def test_a_button_of_long_ago_asks_what_it_stands_below(talk: Talk) -> None:
    message = _failed(talk)
    (shown,) = talk.slack.workspace.thread(message.channel, message.ts)
    talk.reply(message, "something newer")
    talk.wait_replies(message, 2)

    talk.deliver(_pressed(shown, talk.slack.response_url()))

    talk.wait_replies(message, 3)
    assert [each.partition("\n")[2] for each in talk.asked(message)] == ["try", "something newer", "try"]


def test_a_button_that_several_press_asks_once_and_tells_everybody(talk: Talk) -> None:
    message = _failed(talk)
    (shown,) = talk.slack.workspace.thread(message.channel, message.ts)
    urls = [talk.slack.response_url() for _ in range(3)]

    talk.deliver(*(_pressed(shown, url, user=f"U0{n}") for n, url in enumerate(urls)))

    assert [_told(talk, url, 2)[1] for url in urls] == [AGAIN] * 3
    talk.wait_replies(message, 2)
    assert len(talk.asked(message)) == 2


def test_a_button_brings_back_nothing_that_is_to_be_forgotten(talk: Talk) -> None:
    message = _failed(talk)
    (shown,) = talk.slack.workspace.thread(message.channel, message.ts)
    talk.reply(message, "!reset")
    talk.wait_replies(message, 2)
    url = talk.slack.response_url()

    talk.deliver(_pressed(shown, url))

    assert _told(talk, url, 2)[1] == NOT_KNOWN
    assert len(talk.asked(message)) == 1


@pytest.mark.parametrize(
    "value", ["", "x", "slack:T:C:1.2", "slack:T:C:1.2@", "@2", "a b@2", "slack:T:C:1.2@-2"]
)
def test_a_button_with_a_value_that_is_none_of_ours_is_ignored(talk: Talk, value: str) -> None:
    message = _failed(talk)
    (shown,) = talk.slack.workspace.thread(message.channel, message.ts)

    talk.deliver(click(shown, action_id=RETRY, value=value, response_url=talk.slack.response_url().url))

    assert talk.fates(message.channel)[-1] == ("interaction", "ignored", "unknown_action")


def test_a_button_whose_answer_nobody_takes_any_more_asks_again_all_the_same(talk: Talk) -> None:
    message = _failed(talk)
    (shown,) = talk.slack.workspace.thread(message.channel, message.ts)
    url = talk.slack.response_url()
    url.is_expired = True

    talk.deliver(_pressed(shown, url))

    talk.wait_replies(message, 2)
    assert (talk.fates(message.channel)[-1], url.posts) == (("interaction", "routed", ""), [])


def test_an_action_of_nobodys_is_ignored(talk: Talk) -> None:
    message = _failed(talk)
    (shown,) = talk.slack.workspace.thread(message.channel, message.ts)
    url = talk.slack.response_url()

    talk.deliver(click(shown, action_id="something_else", value="x", response_url=url.url))

    assert talk.fates(message.channel)[-1] == ("interaction", "ignored", "unknown_action")
    assert url.posts == []


def test_a_response_address_that_is_not_slacks_is_never_called(talk: Talk) -> None:
    message = talk.call("hello")
    talk.wait_replies(message)
    made = command("status", response_url="https://attacker.invalid/x", channel=message.channel)

    talk.deliver(made)

    assert talk.fates(message.channel)[-1] == ("command", "routed", "")
    fields = dict(parse_qsl(made.body.decode())) | {"team_id": "T0OTHERS", "trigger_id": "1.2.3"}
    body = urlencode(fields).encode()
    talk.deliver(signed(made.path, body, content_type="application/x-www-form-urlencoded"))
    assert talk.fates(message.channel, team="T0OTHERS") == [("command", "dropped", "other_workspace")]
