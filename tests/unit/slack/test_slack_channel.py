"""Exactly one reply in a thread, whole and in order, wherever an attempt at it ended."""

from __future__ import annotations

import msgspec
import pytest

from services.channels.contract import DeliveryError, Receipt
from services.channels.slack.channel import SlackChannel
from services.channels.slack.marks import PAGE, mark
from services.streams.vocabulary import TurnOutcome
from tests.fakes.letters import FakeSending, Posting, deliver, failure
from tests.fakes.slack_faults import Fault, bad_gateway, dropped, gibberish, held, limited, lost, refused
from tests.fakes.slack_letters import again, client_of, reply_to
from tests.fakes.slack_server import SlackServer
from tests.fakes.slack_workspace import TOKEN, Message

POST = "chat.postMessage"
LONG = "\n\n".join(f"paragraph {n} " + "word " * 400 for n in range(20))


@pytest.fixture
def channel(slack: SlackServer) -> SlackChannel:
    return SlackChannel(client_of(slack))


@pytest.fixture
def asked(slack: SlackServer) -> Message:
    return slack.workspace.say("<@U0TURNWRI> tell me")


def _texts(slack: SlackServer, asked: Message) -> list[str]:
    return [each.said for each in slack.workspace.thread(asked.channel, asked.ts)]


def test_a_reply_is_markdown_in_its_thread_with_its_mark(
    slack: SlackServer, channel: SlackChannel, asked: Message
) -> None:
    letter = reply_to(asked, "**yes** & <no>")

    assert channel.send(letter, FakeSending()) == Receipt()

    [reply] = slack.workspace.thread(asked.channel, asked.ts)
    assert reply.blocks == [{"type": "markdown", "text": "**yes** & <no>"}]
    assert reply.text == "**yes** &amp; &lt;no&gt;"
    assert reply.metadata is not None
    assert reply.metadata["event_payload"] == {"marker": letter.marker, "part": 0, "parts": 1}
    [call] = slack.of(POST)
    assert (call.params["unfurl_links"], call.params["unfurl_media"]) == (False, False)


def test_a_long_reply_is_several_messages_in_order(
    slack: SlackServer, channel: SlackChannel, asked: Message
) -> None:
    sending = FakeSending()

    channel.send(reply_to(asked, LONG), sending)

    texts = _texts(slack, asked)
    assert len(texts) > 3
    assert "\n\n".join(texts).split() == LONG.split()
    assert sending.starts == len(texts)


FAULTS = {
    "lost": lost,
    "dropped": dropped,
    "bad_gateway_after": lambda: bad_gateway(does=True),
    "bad_gateway_before": lambda: bad_gateway(does=False),
    "gibberish": gibberish,
    "internal_error": lambda: refused("internal_error"),
    "unknown": lambda: refused("no_such_error_yet"),
    "overloaded": lambda: limited(0),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
@pytest.mark.parametrize("before", range(5))
def test_a_fault_at_any_part_doubles_and_loses_none(
    slack: SlackServer, channel: SlackChannel, asked: Message, fault: type[Fault], before: int
) -> None:
    slack.will(*[None] * before, fault(), method=POST)
    letter = reply_to(asked, LONG)

    deliver(channel, letter)

    whole = _texts(slack, asked)
    assert "\n\n".join(whole).split() == LONG.split()


def test_faults_at_every_part_double_and_lose_none(
    slack: SlackServer, channel: SlackChannel, asked: Message
) -> None:
    slack.will(lost(), dropped(), bad_gateway(does=True), lost(), gibberish(), lost(), method=POST)

    assert deliver(channel, reply_to(asked, LONG)) > 4

    assert "\n\n".join(_texts(slack, asked)).split() == LONG.split()


@pytest.mark.parametrize("fault", [lost(), dropped(), limited(0), refused("internal_error"), gibberish()])
def test_a_look_that_fails_says_nothing_of_what_is_there(
    slack: SlackServer, channel: SlackChannel, asked: Message, fault: Fault
) -> None:
    letter = reply_to(asked)
    channel.send(letter, FakeSending())
    slack.will(fault, method="conversations.replies")

    with pytest.raises(DeliveryError) as caught:
        channel.find(again(letter), FakeSending())

    assert caught.value.kind == "ambiguous"
    assert channel.find(again(letter), FakeSending()) == Receipt()


@pytest.mark.parametrize("state", ["token_revoked", "missing_scope", "channel_not_found"])
def test_a_look_that_is_forbidden_says_nothing_of_what_is_there(
    slack: SlackServer, channel: SlackChannel, asked: Message, state: str
) -> None:
    slack.will(refused(state), method="conversations.replies")

    with pytest.raises(DeliveryError) as caught:
        channel.find(again(reply_to(asked)), FakeSending())

    assert (caught.value.kind, caught.value.code) == ("ambiguous", state)


def test_once_a_part_is_there_whatever_may_be_mended_makes_the_next_attempt_look(
    slack: SlackServer, channel: SlackChannel, asked: Message
) -> None:
    slack.will(None, limited(7), method=POST)

    error = failure(channel, reply_to(asked, LONG))

    assert (error.kind, error.code, error.retry_after_s) == ("ambiguous", "ratelimited", 7.0)


def test_a_part_that_is_missing_is_not_found(
    slack: SlackServer, channel: SlackChannel, asked: Message
) -> None:
    letter = reply_to(asked, LONG)
    slack.will(None, None, dropped(), method=POST)
    failure(channel, letter)

    assert channel.find(again(letter), FakeSending()) is None

    channel.send(again(letter), FakeSending())
    assert channel.find(again(letter), FakeSending()) == Receipt()


def test_parts_that_were_cut_in_another_way_are_not_mixed(
    slack: SlackServer, channel: SlackChannel, asked: Message
) -> None:
    letter = reply_to(asked, LONG)
    slack.will(None, dropped(), method=POST)
    failure(channel, letter)
    other = msgspec.structs.replace(letter, turn=msgspec.structs.replace(letter.turn, text="short"))

    with pytest.raises(DeliveryError) as caught:
        channel.find(again(other), FakeSending())

    assert (caught.value.kind, caught.value.code) == ("ambiguous", "parts_differ")


def test_a_mark_is_found_behind_pages_of_other_replies(
    slack: SlackServer, channel: SlackChannel, asked: Message
) -> None:
    letter = reply_to(asked)
    for n in range(2 * PAGE + 3):
        slack.workspace.say(f"{n}", thread_ts=asked.ts)
    channel.send(letter, FakeSending())

    assert channel.find(again(letter), FakeSending()) == Receipt()
    assert len(slack.of("conversations.replies")) == 3


def test_what_is_older_than_the_letter_is_not_read(
    slack: SlackServer, channel: SlackChannel, asked: Message
) -> None:
    for n in range(PAGE + 3):
        slack.workspace.say(f"{n}", thread_ts=asked.ts)
    letter = msgspec.structs.replace(reply_to(asked), queued_at=int(float(asked.ts) * 1000) + 3_600_000)

    assert channel.find(again(letter), FakeSending()) is None
    assert len(slack.of("conversations.replies")) == 1


def test_the_mark_of_another_letter_is_not_this_ones(
    slack: SlackServer, channel: SlackChannel, asked: Message
) -> None:
    channel.send(reply_to(asked), FakeSending())

    assert channel.find(again(reply_to(asked)), FakeSending()) is None


def test_the_same_mark_on_what_another_app_posted_is_not_ours(
    slack: SlackServer, channel: SlackChannel, asked: Message
) -> None:
    theirs = slack.workspace.say("not ours", channel=asked.channel, user="U0OTHERAPP", thread_ts=asked.ts)
    letter = reply_to(asked, "ours")
    theirs.bot_id, theirs.metadata = "B0OTHERAPP", mark(letter.marker, 0, 1)
    slack.will(dropped(), method=POST)

    deliver(channel, letter)

    assert _texts(slack, asked) == ["not ours", "ours"]


@pytest.mark.parametrize("code", ["invalid_blocks", "msg_blocks_too_long"])
def test_what_slack_will_not_take_as_markdown_is_said_as_plain_text(
    slack: SlackServer, channel: SlackChannel, asked: Message, code: str
) -> None:
    letter = reply_to(asked, "a <b>")
    slack.will(refused(code), method=POST)

    channel.send(letter, FakeSending())

    [reply] = slack.workspace.thread(asked.channel, asked.ts)
    assert (reply.text, reply.blocks) == ("a &lt;b&gt;", [])
    assert channel.find(again(letter), FakeSending()) == Receipt()


@pytest.mark.parametrize("text", ["<" * 12_000, "&" * 12_000, "<!channel> & >" * 750])
def test_plain_text_fits_whatever_has_to_be_escaped(
    slack: SlackServer, channel: SlackChannel, asked: Message, text: str
) -> None:
    slack.will(refused("invalid_blocks"), method=POST)

    channel.send(reply_to(asked, text), FakeSending())

    [reply] = slack.workspace.thread(asked.channel, asked.ts)
    assert "<" not in reply.text


def test_a_reply_pages_nobody(slack: SlackServer, channel: SlackChannel, asked: Message) -> None:
    channel.send(reply_to(asked, "<!channel> and @here"), FakeSending())

    [reply] = slack.workspace.thread(asked.channel, asked.ts)
    for said in (reply.said, reply.text):
        assert "<!channel" not in said
        assert "@here" not in said


@pytest.mark.parametrize(
    ("outcome", "said"),
    [
        ("failed", "I could not answer this. (auth)"),
        ("cancelled", "Stopped. (auth)"),
        ("limited", "I stopped here, because a limit was reached. (auth)"),
        ("answered", "I have nothing to say to that."),
    ],
)
def test_a_turn_without_an_answer_is_not_met_with_silence(
    slack: SlackServer, channel: SlackChannel, asked: Message, outcome: TurnOutcome, said: str
) -> None:
    letter = reply_to(asked, "")
    turn = msgspec.structs.replace(letter.turn, outcome=outcome, reason="auth")

    channel.send(msgspec.structs.replace(letter, turn=turn), FakeSending())

    assert _texts(slack, asked) == [said]


def test_a_note_is_said_as_it_is(slack: SlackServer, channel: SlackChannel, asked: Message) -> None:
    note = msgspec.structs.replace(reply_to(asked), note="Still working on this.")

    channel.send(note, FakeSending())

    assert _texts(slack, asked) == ["Still working on this."]
    assert channel.find(note, FakeSending()) is not None


def test_a_thread_that_is_gone_wants_nothing_more(
    slack: SlackServer, channel: SlackChannel, asked: Message
) -> None:
    slack.workspace.delete(asked)

    error = failure(channel, reply_to(asked))

    assert (error.kind, error.code) == ("gone", "thread_not_found")


@pytest.mark.parametrize("code", ["channel_not_found", "is_archived", "not_in_channel"])
def test_where_we_can_not_speak_the_reply_is_refused_with_a_reason(
    slack: SlackServer, channel: SlackChannel, asked: Message, code: str
) -> None:
    found = slack.workspace.channels[asked.channel]
    if code == "channel_not_found":
        del slack.workspace.channels[asked.channel]
    found.is_archived = code == "is_archived"
    found.is_member = code != "not_in_channel"

    error = failure(channel, reply_to(asked))

    assert (error.kind, error.code) == ("refused", code)


@pytest.mark.parametrize("state", ["token_revoked", "account_inactive", "invalid_auth"])
def test_a_bad_token_is_tried_again_as_it_may_be_mended(
    slack: SlackServer, channel: SlackChannel, asked: Message, state: str
) -> None:
    slack.workspace.token_state[TOKEN] = state

    error = failure(channel, reply_to(asked))

    assert (error.kind, error.code) == ("rejected", state)


def test_a_scope_that_is_missing_is_named_as_such(
    slack: SlackServer, channel: SlackChannel, asked: Message
) -> None:
    slack.workspace.scopes.discard("chat:write")

    assert failure(channel, reply_to(asked)).code == "missing_scope"


def test_a_letter_without_a_thread_is_refused(slack: SlackServer, channel: SlackChannel) -> None:
    message = slack.workspace.say("hi")
    letter = reply_to(message)
    nowhere = msgspec.structs.replace(letter, input=msgspec.structs.replace(letter.input, reply_to=None))

    error = failure(channel, nowhere)

    assert (error.kind, error.code) == ("refused", "no_such_thread")


def test_a_cancel_between_two_parts_posts_no_more(
    slack: SlackServer, channel: SlackChannel, asked: Message
) -> None:
    slack.will(None, held(), method=POST)
    posting = Posting(channel, reply_to(asked, LONG))
    slack.wait_for(lambda server: len(server.of(POST)) == 2)

    posting.sending.cancel()

    error = posting.wait(2).error
    assert error is not None
    assert error.kind == "cancelled"
    assert len(slack.of(POST)) == 2


def test_a_look_that_hangs_is_freed_by_a_cancel(
    slack: SlackServer, channel: SlackChannel, asked: Message
) -> None:
    letter, sending = again(reply_to(asked, LONG)), FakeSending()
    slack.will(held(), method="conversations.replies")
    posting = Posting(channel, letter, sending)
    slack.wait_for(lambda server: len(server.of("conversations.replies")) == 1)

    sending.cancel()

    error = posting.wait(2).error
    assert error is not None
    assert error.kind == "cancelled"
    assert slack.of(POST) == []
