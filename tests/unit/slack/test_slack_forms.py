"""Buttons and slash commands are read as they are meant, and nothing that is sent makes reading fail."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.channels.slack.forms import Command, Interaction, read_command, read_interaction
from services.channels.slack.payloads import Unreadable
from tests.fakes.slack_requests import click, command
from tests.fakes.slack_workspace import TEAM, Message
from tests.unit.slack.test_slack_events import anything

URL = "https://hooks.slack.com/actions/T1/2/3"
ASKED = Message(ts="1764000000.000100", channel="C1", text="ok?", user="U1", thread_ts="1763999999.000100")


def _read(payload: object) -> Interaction | Unreadable:
    return read_interaction(urlencode({"payload": json.dumps(payload)}).encode())


def test_a_click_says_who_pressed_what_where() -> None:
    found = read_interaction(click(ASKED, action_id="allow", value="s:7", response_url=URL).body)

    assert isinstance(found, Interaction)
    assert (found.type, found.team, found.channel, found.author) == ("block_actions", TEAM, "C1", "U0BEN")
    assert [(each.id, each.value) for each in found.actions] == [("allow", "s:7")]
    assert found.response_url == URL
    assert found.stream == f"inbound:slack:{TEAM}:C1"


def test_the_same_click_has_the_same_key_and_another_one_another() -> None:
    first, other = (click(ASKED, action_id="allow", value="", response_url=URL).body for _ in range(2))
    keys = [
        found.key
        for each in (first, first, other)
        if isinstance(found := read_interaction(each), Interaction)
    ]

    assert keys[0] == keys[1] != keys[2]
    assert keys[0].startswith(f"slack:did:{ASKED.ts}:")


def test_a_command_is_its_text_and_who_gave_it_where() -> None:
    found = read_command(command("status now", response_url=URL).body)

    assert isinstance(found, Command)
    assert (found.text, found.team) == ("status now", TEAM)
    assert (found.channel, found.author, found.response_url) == ("C0GENERAL", "U0ANA", URL)
    assert found.key.startswith("slack:command:")


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "no_payload"),
        (b"\xff", "not_utf8"),
        (b"payload=%FF", "not_utf8"),
        (b"&".join([b"a=1"] * 100), "not_a_form"),
        (b"text=hi", "no_payload"),
        (b"payload=", "not_json"),
        (b"payload=[]", "wrong_shape"),
        (b"payload={}", "wrong_shape"),
        (b"payload=" + b'{"a":' * 100_000, "too_deep"),
    ],
)
def test_what_is_no_interaction_has_a_reason(body: bytes, reason: str) -> None:
    assert read_interaction(body) == Unreadable(reason)


@pytest.mark.parametrize("body", [b"", b"text=hi", b"command=deploy", b"command="])
def test_what_is_no_command_has_a_reason(body: bytes) -> None:
    assert read_command(body) == Unreadable("wrong_shape")


@given(st.binary(max_size=200))
def test_no_bytes_make_reading_fail(body: bytes) -> None:
    assert isinstance(read_interaction(body), Unreadable)
    assert isinstance(read_command(body), Unreadable)


@given(
    st.dictionaries(
        st.sampled_from(
            ["team", "user", "channel", "message", "container", "actions", "response_url", "trigger_id"]
        ),
        anything,
        max_size=6,
    )
)
@settings(max_examples=200, deadline=None)
def test_no_shape_whatever_makes_reading_fail(payload: dict[str, Any]) -> None:
    found = _read({"type": "block_actions", **payload})

    if isinstance(found, Interaction):
        assert found.stream.startswith("inbound:slack:")
