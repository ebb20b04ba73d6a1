"""What Slack sends is read as it is meant, and nothing that is sent makes reading fail."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.channels.slack.content import content_of
from services.channels.slack.events import Arrival, Kind, read_event
from services.channels.slack.payloads import Unreadable
from tests.fakes.slack_requests import changed, deleted, envelope, mention, our_own, said, twins
from tests.fakes.slack_requests import verification as verification_request
from tests.fakes.slack_workspace import APP, BOT, BOT_USER, TEAM, Message

ASKED = Message(ts="1764000000.000100", channel="C0GENERAL", text=f"<@{BOT_USER}> hello", user="U0ANA")
REPLY = Message(
    ts="1764000001.000200", channel="C0GENERAL", text="and?", user="U0BEN", thread_ts="1764000000.000100"
)

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
FIELDS = (
    *("type", "subtype", "channel", "channel_type", "user", "bot_id", "text", "ts", "thread_ts", "edited"),
    *("files", "attachments", "message", "previous_message", "assistant_thread", "deleted_ts", "event_ts"),
)
OUTSIDE = ("type", "team_id", "api_app_id", "event", "event_id", "event_time", "authorizations", "challenge")


def arrived(event: dict[str, Any], **facts: Any) -> Arrival:
    """`event` in its envelope, read."""
    found = read_event(json.dumps(envelope(event, **facts)).encode())
    assert isinstance(found, Arrival)
    return found


def test_a_mention_says_who_said_what_where() -> None:
    found = arrived(mention(ASKED), event_id="Ev1")

    assert (found.kind, found.team, found.channel, found.author) == ("mention", TEAM, "C0GENERAL", "U0ANA")
    assert (found.ts, found.thread_ts, found.text) == (ASKED.ts, "", ASKED.text)
    assert (found.event_id, found.app_id, found.bot_user) == ("Ev1", APP, BOT_USER)
    assert found.event_time_s == 1764000000
    assert found.stream == f"inbound:slack:{TEAM}:C0GENERAL"
    assert found.session == f"slack:{TEAM}:C0GENERAL:{ASKED.ts}"


def test_a_reply_belongs_to_the_session_of_its_thread() -> None:
    found = arrived(said(REPLY))

    assert found.kind == "reply"
    assert found.session == f"slack:{TEAM}:C0GENERAL:{ASKED.ts}"


def test_both_twins_of_a_mention_have_a_key_in_common_and_one_of_their_own() -> None:
    first, second = (read_event(each.body) for each in twins(ASKED))
    assert isinstance(first, Arrival)
    assert isinstance(second, Arrival)

    assert set(first.keys) & set(second.keys) == {f"slack:{TEAM}:C0GENERAL:{ASKED.ts}"}
    assert first.keys[0] != second.keys[0]
    assert first.session == second.session


def test_an_edit_has_no_key_in_common_with_what_it_edits() -> None:
    assert not set(arrived(changed(ASKED, "new")).keys) & set(arrived(said(ASKED)).keys)


def previewed(**attachment: Any) -> dict[str, Any]:
    """What a message says is as before, but something came to stand below it."""
    change = changed(ASKED, ASKED.text)
    change["message"]["attachments"] = [attachment]
    return change


KINDS: list[tuple[Kind, dict[str, Any]]] = [
    ("message", said(ASKED)),
    ("direct", said(Message(ts="1.1", channel="D0DIRECT", text="hi", user="U0ANA"))),
    ("message", said(ASKED, subtype="file_share", files=[])),
    ("reply", said(REPLY, subtype="thread_broadcast")),
    ("bot", our_own(REPLY)),
    ("bot", said(ASKED, subtype="bot_message", bot_id="B1")),
    ("bot", mention(ASKED, bot_id="B1")),
    ("edited", changed(ASKED, "new")),
    ("edited", mention(ASKED, edited={"user": "U0ANA", "ts": "1.1"})),
    ("housekeeping", changed(ASKED, ASKED.text)),
    ("housekeeping", previewed(title="A page", text="of somebody's")),
    ("edited", previewed(is_msg_unfurl=True, text="what ben said")),
    ("deleted", deleted(ASKED)),
    ("housekeeping", said(ASKED, subtype="channel_join")),
    ("housekeeping", said(ASKED, subtype="something_new")),
    ("uninstalled", {"type": "tokens_revoked", "tokens": {"bot": ["U1"]}}),
    ("uninstalled", {"type": "app_uninstalled"}),
    ("other", {"type": "reaction_added", "user": "U1", "item": {"type": "message"}}),
    ("other", {"type": "something_new"}),
    ("other", {"type": "something_new", "text": {"plain": "x"}, "ts": 7, "subtype": [], "thread_ts": {}}),
    ("uninstalled", {"type": "app_uninstalled", "text": 7}),
]


@pytest.mark.parametrize(("kind", "event"), KINDS)
def test_every_event_is_of_one_kind(kind: Kind, event: dict[str, Any]) -> None:
    assert arrived(event).kind == kind


def test_a_stop_button_names_its_thread() -> None:
    pressed = {"type": "agent_session_stopped", "channel": "C1", "user": "U1", "thread_ts": "1.2"}

    found = arrived(pressed | {"streaming_message_ts": ["1.3"], "event_ts": "1.4"})

    assert (found.kind, found.author, found.session) == ("stopped", "U1", f"slack:{TEAM}:C1:1.2")


def test_an_assistants_thread_is_found_inside_its_event() -> None:
    thread = {"user_id": "U1", "channel_id": "D1", "thread_ts": "1.2", "context": {"channel_id": "C9"}}

    found = arrived({"type": "assistant_thread_started", "assistant_thread": thread, "event_ts": "1.3"})

    assert (found.kind, found.channel, found.author) == ("assistant_started", "D1", "U1")
    assert found.session == f"slack:{TEAM}:D1:1.2"


def test_an_edit_tells_of_the_message_as_it_is_now() -> None:
    found = arrived(changed(ASKED, "new"))

    assert (found.text, found.ts, found.author) == ("new", ASKED.ts, "U0ANA")


def test_a_deletion_tells_which_message_it_was() -> None:
    found = arrived(deleted(ASKED))

    assert (found.ts, found.text) == (ASKED.ts, ASKED.text)


def test_the_team_is_the_one_that_the_app_is_installed_in() -> None:
    body = envelope(mention(ASKED)) | {"team_id": "T0STRANGER"}

    found = read_event(json.dumps(body).encode())

    assert isinstance(found, Arrival)
    assert found.team == TEAM


def test_the_own_address_is_verified_by_its_challenge() -> None:
    found = read_event(verification_request("abc").body)

    assert isinstance(found, Arrival)
    assert (found.kind, found.challenge) == ("verification", "abc")


def test_what_belongs_to_no_channel_is_kept_in_the_stream_of_its_team() -> None:
    found = arrived({"type": "tokens_revoked"})

    assert (found.stream, found.session) == (f"inbound:slack:{TEAM}", None)


def test_what_begins_a_thread_is_deleted_though_slack_calls_it_a_change() -> None:
    change = changed(ASKED, "This message was deleted.")
    change["message"] |= {"subtype": "tombstone", "user": "USLACKBOT"}

    found = arrived(change)

    assert (found.kind, found.ts) == ("deleted", ASKED.ts)


@pytest.mark.parametrize(
    ("event", "is_own"),
    [
        (our_own(REPLY), True),
        (said(REPLY, user=BOT_USER), True),
        (said(REPLY, bot_id="B0OTHER", app_id="A0OTHER"), False),
        (said(REPLY), False),
        (said(REPLY, user=None), False),
        ({"type": "tokens_revoked"}, False),
    ],
)
def test_what_we_said_ourselves_is_known_as_ours(event: dict[str, Any], is_own: bool) -> None:
    assert arrived(event).is_own is is_own


def test_a_change_of_what_we_said_is_known_as_ours() -> None:
    change = changed(REPLY, "new")
    change["message"] |= {"bot_id": BOT, "app_id": APP}

    assert arrived(change).is_own


def test_the_author_of_what_a_bot_said_is_known_as_a_bot() -> None:
    found = arrived(our_own(REPLY))

    assert (found.bot, found.app) == (BOT, APP)


@pytest.mark.parametrize("hostile", ["C1:evil", "C1 1", "C1\n", "C" * 41, "../x", "ｃ1", ""])
def test_an_id_that_is_none_of_slacks_names_nothing(hostile: str) -> None:
    found = arrived(mention(ASKED) | {"channel": hostile})

    assert found.channel == ""
    assert found.stream == f"inbound:slack:{TEAM}"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "not_json"),
        (b"{", "not_json"),
        (b"\xff\xfe", "not_utf8"),
        (b'{"type": "event_callback", "x": "\xff"}', "not_utf8"),
        (b"[" * 100_000, "wrong_shape"),
        (b'{"a":' * 100_000, "too_deep"),
        (b'{"event": {"a":' + b"[" * 100_000, "too_deep"),
        (b"[]", "wrong_shape"),
        (b"null", "wrong_shape"),
        (b"{}", "wrong_shape"),
        (b'{"type": 7}', "wrong_shape"),
        (b'{"type": "event_callback", "event": 7}', "wrong_shape"),
        (b'{"type": "event_callback", "event": {}}', "wrong_shape"),
        (b'{"type": "event_callback", "event": {"text": 7}}', "wrong_shape"),
        (b'{"type": "event_callback", "event": {"type": "message", "text": 7}}', "wrong_shape"),
        (b'{"type": "event_callback", "event": {"type": "message", "text": "\\ud800x"}}', "not_json"),
    ],
)
def test_what_is_no_event_has_a_reason(body: bytes, reason: str) -> None:
    assert read_event(body) == Unreadable(reason)


@pytest.mark.parametrize("at", ["1" + "0" * 400, "1e300", "-1e300", "-1", "1e12", "null"])
def test_a_moment_that_is_none_is_not_told(at: str) -> None:
    body = json.dumps(envelope(mention(ASKED)) | {"event_time": "AT"}).replace('"AT"', at).encode()

    found = read_event(body)

    assert isinstance(found, Arrival)
    assert (found.kind, found.event_time_s) == ("mention", 0.0)


@given(st.binary(max_size=200))
@settings(max_examples=300)
def test_no_bytes_make_reading_fail(body: bytes) -> None:
    assert isinstance(read_event(body), Unreadable)


@given(
    st.dictionaries(st.sampled_from(OUTSIDE), anything, max_size=3),
    st.dictionaries(st.sampled_from(FIELDS), anything, max_size=6),
    st.sampled_from(["message", "app_mention", "assistant_thread_started", "other"]),
)
@settings(max_examples=400, deadline=None)
def test_no_shape_whatever_makes_reading_fail(
    outside: dict[str, Any], inside: dict[str, Any], type: str
) -> None:
    body = json.dumps(envelope({"type": type, **inside}) | outside).encode()

    found = read_event(body)

    if isinstance(found, Arrival):
        assert found.stream.startswith("inbound:slack:")
        assert isinstance(content_of(found), str)
        assert all(key.startswith("slack:") for key in found.keys)
