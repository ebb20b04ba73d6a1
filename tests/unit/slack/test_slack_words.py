"""What counts as a command in a thread, and whose."""

from __future__ import annotations

import pytest

from services.channels.slack.events import Arrival
from services.inbound.slack_words import command_of

US = "U0US"


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("!stop", "stop"),
        ("  !STOP now, please", "stop"),
        (f"<@{US}> !why", "why"),
        (f"<@{US}|turnwright>, !why", "why"),
        (f"<@{US}>!help", "help"),
        ("<@U0OTHER> !stop", ""),
        (f"<@U0OTHER> <@{US}> !stop", ""),
        (f"<@{US}> <@U0OTHER> !stop", ""),
        ("! stop", ""),
        ("!stopp", ""),
        ("stop!", ""),
        ("please !stop", ""),
        ("`!stop`", ""),
        ("> !stop", ""),
        ("!", ""),
        ("", ""),
    ],
)
def test_a_command_is_the_first_word_and_told_to_nobody_else(text: str, word: str) -> None:
    assert command_of(Arrival(kind="reply", text=text, bot_user=US)) == word


@pytest.mark.parametrize(
    "said", [Arrival(kind="bot", text="!stop"), Arrival(kind="edited", bot="B1", text="!stop")]
)
def test_no_bot_gives_commands(said: Arrival) -> None:
    assert command_of(said) == ""


def test_who_we_are_is_not_guessed() -> None:
    assert command_of(Arrival(kind="reply", text="<@U0OTHER> !stop")) == ""


def test_the_stop_button_stops_whatever_else_it_says() -> None:
    assert command_of(Arrival(kind="stopped")) == "stop"
