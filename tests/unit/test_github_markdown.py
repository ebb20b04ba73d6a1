"""Where names call somebody: in words, not in code, quotations or comments; and how a model's text calls nobody."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.channels.github.markdown import pieces
from services.channels.github.mentions import is_login, mentions, without_calls

TEXTS = st.text(alphabet=st.sampled_from(list("ab @`~->\n<!/.[]")), max_size=80)
PAUSE = "\u200b"


@pytest.mark.parametrize(
    "text",
    [
        "@turnwright please",
        "Hey @TurnWright, look",
        "look (@turnwright)",
        "@turnwright's turn",
        "thanks @turnwright.",
        "@turnwright[bot] go",
        "first\r\n@turnwright\r\nlast",
        "> quoted\n\n@turnwright",
        "```\ncode\n```\n@turnwright",
        "`code` @turnwright `more`",
        "one ` alone @turnwright",
        "    @turnwright",
    ],
)
def test_a_name_behind_a_sign_calls(text: str) -> None:
    assert mentions(text, "turnwright")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "turnwright",
        "@turnwright-bot",
        "@turnwrighter",
        "@my-turnwright",
        "mail@turnwright",
        "@turnwright/team",
        "a/@turnwright",
        "@@turnwright",
        "`@turnwright`",
        "``a ` @turnwright``",
        "```\n@turnwright\n```",
        "~~~py\n@turnwright",
        "````\n```\n@turnwright\n````",
        "> @turnwright said",
        "> one\n> @turnwright",
        "<!-- @turnwright -->",
        "<!-- never closed @turnwright",
    ],
)
def test_what_is_no_name_or_not_said_does_not(text: str) -> None:
    assert not mentions(text, "turnwright")


def test_without_a_name_nobody_is_called() -> None:
    assert not mentions("@ and @[bot]", "")
    assert not is_login("", "")


def test_an_app_is_called_by_its_name_with_and_without_its_suffix() -> None:
    assert mentions("@turnwright go", "turnwright[bot]")
    assert is_login("Turnwright[bot]", "turnwright")
    assert not is_login("turnwright2", "turnwright")


def test_a_model_calls_nobody_but_who_asked() -> None:
    said = without_calls("@ada and @bob, @ada/team, mail a@b.c, @Ada!", author="ada")

    assert said == f"@ada and @{PAUSE}bob, @{PAUSE}ada/team, mail a@b.c, @Ada!"


def test_code_stays_as_it_is() -> None:
    text = "Use `@cache`:\n\n```py\n@dataclass\n<!-- x -->\n```\n"

    assert without_calls(text) == text


def test_a_model_hides_nothing() -> None:
    assert without_calls("a <!-- b --> c") == "a &lt;!-- b --> c"


@given(TEXTS)
def test_the_pieces_are_the_text(text: str) -> None:
    assert "".join(piece.text for piece in pieces(text)) == text


@given(TEXTS)
def test_no_name_outside_of_code_is_left_to_call(text: str) -> None:
    left = [piece.text for piece in pieces(without_calls(text)) if not piece.is_code]

    assert not [each for each in left if re.search(r"(?<![\w@`/])@[A-Za-z0-9]", each) or "<!--" in each]


@given(TEXTS)
def test_making_it_calm_twice_changes_nothing(text: str) -> None:
    once = without_calls(text)

    assert without_calls(once) == once


def test_long_hostile_texts_are_read_in_no_time() -> None:
    for text in ("`" * 100_000, "` `` " * 30_000, "<!--" * 30_000, "@a" * 50_000, "> \n" * 50_000):
        assert not mentions(text, "turnwright")
        without_calls(text)
