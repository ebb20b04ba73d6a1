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


@pytest.mark.parametrize(
    "text",
    [
        "- Step:\n  ```py\n  @property\n  ```\n- `@cache`\n",
        "- ```py\n  @property\n  ```\n\n```py\n@property\n```\n",
        "1. ```\n   @a\n   ```\n",
        "<details>\n<summary>More</summary>\n\n```py\n@property\n```\n\n</details>\n",
        "| `@a` | b |\n|-|-|\n",
    ],
)
def test_code_in_lists_tables_and_details_stays_too(text: str) -> None:
    assert without_calls(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "@@victim",
        "/@victim",
        "_@victim_",
        "é@victim",
        "one ` alone `` and @victim",
        "&#64;victim &#x40;victim &commat;victim",
        "@&#118;ictim",
        "\\`@victim`",
        "# `a\n@victim ` b",
        "- a ` b\n- @victim ` d",
        "| ` | @victim ` |\n|-|-|",
        "<a title='`'>@victim`",
        "<div>\n```\n@victim\n```\n</div>",
        "<pre>\n\n```\n</pre>\n@victim\n```",
        "- ```\n  code\n  ```\n@victim",
        "1. a\n   ```\n   code\n@victim\n   ```",
        "1.  a\n\n    ```\n   ```\n   @victim\n",
        "- [ ] ```\n@victim\n```",
        "~~~ | b\n--- | ---\n@victim",
    ],
)
def test_a_name_that_somebody_could_read_as_one_is_calmed(text: str) -> None:
    said = without_calls(text)

    assert said.replace(PAUSE, "") == text
    assert not re.search(r"(?:@|&#64;|&#x40;|&commat;)(?:victim|&)", said)


@pytest.mark.parametrize("text", ["@ada-evil", "@ada\\-evil", "@ada&#45;evil", "@ada/team"])
def test_nobody_is_called_whose_name_only_begins_like_the_authors(text: str) -> None:
    assert without_calls(text, author="ada") == text.replace("@", f"@{PAUSE}")


def test_a_model_hides_nothing() -> None:
    assert without_calls("a <!-- b --> c") == "a &lt;!-- b --> c"


@given(TEXTS)
def test_the_pieces_are_the_text(text: str) -> None:
    assert "".join(piece.text for piece in pieces(text)) == text


@given(TEXTS)
def test_no_name_outside_of_code_is_left_to_call(text: str) -> None:
    left = [piece.text for piece in pieces(without_calls(text)) if not piece.is_code]

    assert not [each for each in left if re.search(r"(?<![A-Za-z0-9])@[A-Za-z0-9]", each) or "<!--" in each]


@given(TEXTS)
def test_making_it_calm_twice_changes_nothing(text: str) -> None:
    once = without_calls(text)

    assert without_calls(once) == once


def test_long_hostile_texts_are_read_in_no_time() -> None:
    for text in (
        "-    " * 20_000,
        "- " * 50_000 + "```",
        "<a " * 50_000 + "`",
        "`" * 100_000,
        "` `` " * 30_000,
        "<!--" * 30_000,
        "@a" * 50_000,
        "> \n" * 50_000,
    ):
        assert not mentions(text, "turnwright")
        without_calls(text)
