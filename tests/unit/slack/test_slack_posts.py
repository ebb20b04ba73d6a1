"""What no thread asked for: a message in a channel that begins one, and what is too long for it below; exactly once."""

from __future__ import annotations

import msgspec
import pytest

from services.channels.contract import Letter
from services.channels.slack.channel import SlackChannel
from tests.fakes.letters import FakeSending, deliver, letter_to
from tests.fakes.slack_faults import Fault, bad_gateway, dropped, gibberish, limited, lost, refused
from tests.fakes.slack_letters import client_of
from tests.fakes.slack_server import SlackServer
from tests.fakes.slack_workspace import BOT, TEAM, Message

POST = "chat.postMessage"
LONG = "\n\n".join(f"paragraph {n} " + "word " * 400 for n in range(20))


@pytest.fixture
def channel(slack: SlackServer) -> SlackChannel:
    return SlackChannel(client_of(slack))


@pytest.fixture
def before(slack: SlackServer) -> Message:
    """Something people say in the channel, which is no concern of ours."""
    return slack.workspace.say("Good morning")


def report(before: Message, text: str) -> Letter:
    letter = letter_to(f"slack:{TEAM}:{before.channel}", text=text, timeout_s=10.0)
    return msgspec.structs.replace(letter, queued_at=int(float(before.ts) * 1000) + 5)


def top(slack: SlackServer, before: Message) -> list[Message]:
    """What we said in the channel itself."""
    said = slack.workspace.found(before.channel).messages.values()
    return [each for each in said if not each.thread_ts and each.bot_id == BOT]


def test_a_report_is_a_message_of_the_channel(
    slack: SlackServer, channel: SlackChannel, before: Message
) -> None:
    receipt = channel.send(report(before, "All is well."), FakeSending())

    (message,) = top(slack, before)
    assert receipt.begun == f"slack:{TEAM}:{before.channel}:{message.ts}"
    assert message.said == "All is well."
    assert slack.workspace.thread(before.channel, before.ts) == []


def test_a_long_report_goes_on_in_its_own_thread(
    slack: SlackServer, channel: SlackChannel, before: Message
) -> None:
    channel.send(report(before, LONG), FakeSending())

    (first,) = top(slack, before)
    rest = [each.said for each in slack.workspace.thread(before.channel, first.ts)]
    assert "\n\n".join([first.said, *rest]).split() == LONG.split()


FAULTS = {
    "lost": lost,
    "dropped": dropped,
    "bad_gateway_after": lambda: bad_gateway(does=True),
    "bad_gateway_before": lambda: bad_gateway(does=False),
    "gibberish": gibberish,
    "internal_error": lambda: refused("internal_error"),
    "overloaded": lambda: limited(0),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
@pytest.mark.parametrize("parts_before", range(3))
@pytest.mark.parametrize("text", ["short", LONG], ids=["one", "several"])
def test_a_fault_at_any_part_doubles_and_loses_none(
    slack: SlackServer,
    channel: SlackChannel,
    before: Message,
    fault: type[Fault],
    parts_before: int,
    text: str,
) -> None:
    slack.will(*[None] * parts_before, fault(), method=POST)

    deliver(channel, report(before, text))

    (first,) = top(slack, before)
    rest = [each.said for each in slack.workspace.thread(before.channel, first.ts)]
    assert "\n\n".join([first.said, *rest]).split() == text.split()


@pytest.mark.parametrize("method", ["conversations.history", "conversations.replies", "auth.test"])
def test_a_look_that_fails_is_repeated_before_anything_is_said_again(
    slack: SlackServer, channel: SlackChannel, before: Message, method: str
) -> None:
    slack.will(None, lost(), method=POST)
    slack.will(lost(), refused("internal_error"), method=method)

    deliver(channel, report(before, LONG))

    (first,) = top(slack, before)
    rest = [each.said for each in slack.workspace.thread(before.channel, first.ts)]
    assert "\n\n".join([first.said, *rest]).split() == LONG.split()


def test_a_report_is_found_behind_all_that_people_say_meanwhile(
    slack: SlackServer, channel: SlackChannel, before: Message
) -> None:
    slack.will(lost(), method=POST)
    letter = report(before, "All is well.")
    with pytest.raises(Exception, match="ambiguous"):
        channel.send(letter, FakeSending())
    for n in range(450):
        slack.workspace.say(f"chatter {n}")

    found = channel.find(letter, FakeSending())

    (message,) = top(slack, before)
    assert found is not None
    assert found.begun == f"slack:{TEAM}:{before.channel}:{message.ts}"
