"""What counts as a command in a thread, and whose; how what was said before is told."""

from __future__ import annotations

import pytest

from services.channels.slack.events import Arrival
from services.channels.slack.facts import Earlier
from services.inbound.slack_words import EARLIER_LIMIT, command_of, told_of

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


def _earlier(*texts: str) -> list[Earlier]:
    return [Earlier(ts=f"{n}.1", author="U1", text=text) for n, text in enumerate(texts)]


def test_what_was_said_before_is_quoted_line_by_line() -> None:
    told = told_of(_earlier("it broke\nbadly", "", "why?"), {"U1": "ana"})

    assert told == "Earlier in this thread:\n> @ana: it broke\n> badly\n> @ana: why?"
    assert told_of(_earlier("", " "), {}) == ""


def test_of_a_thread_too_long_to_read_its_beginning_and_its_end_are_told() -> None:
    told = told_of(_earlier("how it began", *(f"{n:03} {'x' * 900}" for n in range(100))), {})

    assert len(told) < EARLIER_LIMIT + 100
    first, gap, *rest = told.splitlines()[1:]
    assert (first, gap) == ("> @U1: how it began", "> [some messages are left out]")
    assert [each[7:10] for each in rest] == [f"{n:03}" for n in range(100 - len(rest), 100)]


@pytest.mark.parametrize("text", ["x" * 40_000, "\n".join("x" * 20_000), "x\u2028" * 20_000])
def test_long_words_are_cut(text: str) -> None:
    told = told_of(_earlier("began", *[text] * 101), {})

    assert len(told) < EARLIER_LIMIT + 100
    assert told.endswith(" […]")
    assert all(line.startswith("> ") for line in told.splitlines()[1:])


def test_who_we_are_is_not_guessed() -> None:
    assert command_of(Arrival(kind="reply", text="<@U0OTHER> !stop")) == ""


def test_the_stop_button_stops_whatever_else_it_says() -> None:
    assert command_of(Arrival(kind="stopped")) == "stop"
