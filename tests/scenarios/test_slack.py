"""Slack on the real platform: who calls us is answered once, in the thread, whatever Slack sends twice."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.fakes.slack_faults import refused
from tests.fakes.slack_requests import changed, deleted, event_request, mention, our_own, said, twins
from tests.fakes.slack_workspace import BOT_USER
from tests.scenarios.slack_talk import Talk, talking


@pytest.fixture(scope="module")
def talk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Talk]:
    with talking(tmp_path_factory) as talk:
        yield talk


def test_a_mention_is_answered_in_its_thread(talk: Talk) -> None:
    message = talk.call("hello there")

    (reply,) = talk.wait_replies(message)
    assert "hello there" in reply
    assert "@" not in talk.asked(message)[0]


def test_a_mention_that_comes_twice_is_answered_once(talk: Talk) -> None:
    message = talk.slack.workspace.say(f"<@{BOT_USER}> only once, please", channel=talk.channel())
    first, second = twins(message)

    talk.deliver(first, second, first.retried(1), second.retried(2))

    assert talk.fates(message.channel) == [("mention", "routed", "")]
    assert len(talk.wait_replies(message)) == 1


def test_the_message_of_a_mention_may_come_first(talk: Talk) -> None:
    message = talk.slack.workspace.say(f"<@{BOT_USER}> either way", channel=talk.channel())
    first, second = twins(message)

    talk.deliver(second, first)

    assert talk.fates(message.channel) == [("message", "routed", "")]
    assert len(talk.wait_replies(message)) == 1


def test_ten_at_the_same_moment_are_one(talk: Talk) -> None:
    message = talk.slack.workspace.say(f"<@{BOT_USER}> all at once", channel=talk.channel())
    first, second = twins(message)

    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(talk.send, [first, second] * 5))

    assert {each.status_code for each in answers} == {200}
    assert len(talk.fates(message.channel)) == 1
    assert len(talk.wait_replies(message)) == 1


def test_a_direct_message_is_answered_without_a_name(talk: Talk) -> None:
    message = talk.slack.workspace.say("are you there?", channel=talk.channel("im"))

    talk.deliver(event_request(said(message)))

    assert "are you there?" in talk.wait_replies(message)[0]


def test_what_nobody_said_to_us_is_not_answered(talk: Talk) -> None:
    message = talk.slack.workspace.say("good morning everybody", channel=talk.channel())

    talk.deliver(event_request(said(message)))

    assert talk.fates(message.channel) == [("message", "ignored", "no_route")]


def test_a_reply_in_our_thread_is_answered_and_one_in_another_is_not(talk: Talk) -> None:
    ours = talk.call("first")
    talk.wait_replies(ours)
    theirs = talk.slack.workspace.say("lunch?", channel=ours.channel)
    asked = len(talk.slack.of("users.info")) + len(talk.slack.of("conversations.replies"))

    talk.reply(theirs, "yes")
    assert talk.fates(ours.channel)[-1] == ("reply", "ignored", "not_our_thread")
    later = len(talk.slack.of("users.info")) + len(talk.slack.of("conversations.replies"))
    assert later == asked, "nobody is asked about what is not meant for us"
    talk.reply(ours, "and second")

    assert "and second" in talk.wait_replies(ours, 2)[1]


def test_what_we_say_ourselves_and_what_becomes_of_it_triggers_nothing(talk: Talk) -> None:
    message = talk.call("say something")
    talk.wait_replies(message)
    (own,) = talk.slack.workspace.thread(message.channel, message.ts)

    talk.deliver(event_request(our_own(own)))
    edit = changed(own, "with a preview")
    edit["message"] |= {"bot_id": own.bot_id, "app_id": "A0TURNWRI"}
    talk.deliver(event_request(edit))

    assert [fate.reason for fate in talk.fates(message.channel)] == ["", "own", "own"]
    assert len(talk.replies(message)) == 1


def test_another_bot_is_not_answered(talk: Talk) -> None:
    message = talk.slack.workspace.say(f"<@{BOT_USER}> deploy failed", channel=talk.channel(), user="U0BOT")

    talk.deliver(event_request(said(message, bot_id="B0OTHER", app_id="A0OTHER")))

    assert talk.fates(message.channel) == [("bot", "ignored", "bot")]


def test_what_is_edited_before_it_is_read_is_read_as_it_is_then(talk: Talk) -> None:
    first, gate = talk.call_held("begin")
    second = talk.reply(first, "go left")
    talk.deliver(event_request(changed(second, "go right")))
    talk.fates(first.channel)
    gate.open()

    talk.wait_replies(first, 2)
    assert not any("go left" in text for text in talk.asked(first))
    assert any("go right" in text for text in talk.asked(first))


def test_an_edit_that_names_us_begins(talk: Talk) -> None:
    message = talk.slack.workspace.say("please look at this", channel=talk.channel())
    talk.deliver(event_request(said(message)))

    talk.deliver(event_request(changed(message, f"<@{BOT_USER}> please look at this")))

    assert "please look" in talk.wait_replies(message)[0]
    assert [fate.state for fate in talk.fates(message.channel)] == ["ignored", "routed"]


def test_an_edit_that_names_us_is_one_however_slack_tells_of_it(talk: Talk) -> None:
    message = talk.slack.workspace.say("please look at this", channel=talk.channel())
    text = f"<@{BOT_USER}> please look at this"
    called = mention(message, text=text, edited={"user": message.user, "ts": message.ts})

    talk.deliver(event_request(called), event_request(changed(message, text)))

    assert len(talk.fates(message.channel)) == 2
    talk.wait_replies(message)
    other = talk.call("afterwards", channel=message.channel)
    talk.wait_replies(other)
    assert len(talk.replies(message)) == 1


def test_an_edit_of_something_long_ago_begins_nothing(talk: Talk) -> None:
    message = talk.slack.workspace.say(f"<@{BOT_USER}> plese look", channel=talk.channel())
    long_ago = changed(message, f"<@{BOT_USER}> please look") | {
        "event_ts": f"{float(message.ts) + 864_000:.6f}"
    }

    talk.deliver(event_request(long_ago))

    assert talk.fates(message.channel) == [("edited", "ignored", "not_said_here")]


def test_an_edit_of_what_was_answered_changes_nothing(talk: Talk) -> None:
    message = talk.call("two and two")
    talk.wait_replies(message)

    talk.deliver(event_request(changed(message, f"<@{BOT_USER}> three and three")))

    assert talk.fates(message.channel)[-1] == ("edited", "ignored", "can_not_be_changed")
    assert len(talk.replies(message)) == 1


def test_what_is_deleted_before_it_is_read_is_never_read(talk: Talk) -> None:
    first, gate = talk.call_held("wait for me")
    second = talk.reply(first, "a secret, by mistake")
    talk.fates(first.channel)
    talk.deliver(event_request(deleted(second)))
    assert talk.fates(first.channel)[-1].state == "routed"
    gate.open()
    talk.reply(first, "done")

    talk.wait_replies(first, 2)
    assert not any("a secret" in text for text in talk.asked(first))


@pytest.mark.parametrize("kind", ["channels", "im"])
def test_what_was_deleted_before_it_arrived_is_never_read(talk: Talk, kind: str) -> None:
    message = talk.slack.workspace.say(f"<@{BOT_USER}> never mind", channel=talk.channel(kind))
    talk.deliver(event_request(deleted(message)))
    talk.fates(message.channel)

    talk.deliver(*(each.retried(1) for each in twins(message)))

    assert talk.fates(message.channel)[-1].reason == "taken_back"
    assert (talk.asked(message), talk.replies(message)) == ([], [])


def test_a_message_whose_deletion_is_told_twice_is_taken_back_once(talk: Talk) -> None:
    message = talk.call("hello")
    talk.wait_replies(message)

    talk.deliver(event_request(deleted(message)), event_request(deleted(message)))

    assert [each.kind for each in talk.fates(message.channel)] == ["mention", "deleted"]


def test_a_thread_that_we_come_into_late_is_read_so_far(talk: Talk) -> None:
    first = talk.slack.workspace.say("the server is down", channel=talk.channel())
    talk.slack.workspace.say("since noon", channel=first.channel, user="U0BEN", thread_ts=first.ts)
    call = talk.slack.workspace.say(f"<@{BOT_USER}> help", channel=first.channel, thread_ts=first.ts)

    talk.deliver(event_request(mention(call)))

    talk.wait_replies(call)
    assert "> @ana: the server is down\n> @ben: since noon" in talk.asked(call)[0]


def test_a_thread_that_may_not_be_read_is_answered_all_the_same(talk: Talk) -> None:
    first = talk.slack.workspace.say("the server is down", channel=talk.channel())
    call = talk.slack.workspace.say(f"<@{BOT_USER}> help", channel=first.channel, thread_ts=first.ts)
    talk.slack.will(refused("missing_scope"), method="conversations.replies")

    talk.deliver(event_request(mention(call)))

    talk.wait_replies(call)
    assert "server" not in talk.asked(call)[0]


def test_what_is_forwarded_and_attached_is_content(talk: Talk) -> None:
    shared = {"is_msg_unfurl": True, "author_name": "Ben", "text": "the *report*"}
    file = {"id": "F1", "name": "log.txt", "mimetype": "text/plain", "size": 2048}

    message = talk.call("look", attachments=[shared], files=[file])

    talk.wait_replies(message)
    (asked,) = talk.asked(message)
    assert "Forwarded message from Ben:\n> the *report*" in asked
    assert "[file: log.txt, text/plain, 2 KB]" in asked


def test_the_message_behind_a_link_is_content_though_it_comes_a_moment_later(talk: Talk) -> None:
    first, gate = talk.call_held("wait for me")
    linked = talk.reply(first, "what of this? <https://acme.slack.com/archives/C1/p1>")
    change = changed(linked, linked.text)
    change["message"]["attachments"] = [
        {"is_msg_unfurl": True, "author_name": "Ben", "text": "it is on fire"}
    ]
    talk.fates(first.channel)

    talk.deliver(event_request(change))

    assert talk.fates(first.channel)[-1] == ("edited", "routed", "")
    gate.open()
    talk.wait_replies(first, 2)
    assert talk.asked(first)[-1].endswith("Forwarded message from Ben:\n> it is on fire")


def test_somebody_elses_workspace_is_refused_visibly(talk: Talk) -> None:
    message = talk.slack.workspace.say(f"<@{BOT_USER}> hello", channel=talk.channel())

    talk.deliver(event_request(mention(message), team="T0OTHERS"))

    assert talk.fates(message.channel, team="T0OTHERS") == [("mention", "dropped", "other_workspace")]
    assert talk.replies(message) == []
