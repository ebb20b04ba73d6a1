"""A model's markdown in Slack: cut within the limits, nothing lost, nobody paged."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.channels.slack.text import BLOCK_LIMIT, escaped, parts, unpaged, width

LIMIT = 600

words = st.text(alphabet="abé漢👩\u200d🚀👍🏽🇩🇪 \n", max_size=400)
fences = st.sampled_from(["```", "~~~~", "```"])
code = st.builds(lambda mark, inside: f"\n{mark}\n{inside.replace('`', '')}\n{mark}\n", fences, words)
texts = st.lists(st.one_of(words, code), max_size=12).map("".join)


def _bare(text: str) -> str:
    """Without white space and fences, which cutting may add and drop."""
    return re.sub(r"[\s`~]", "", text)


@given(texts)
@settings(max_examples=200, deadline=None)
def test_nothing_is_lost_and_every_part_is_within_the_limit(text: str) -> None:
    found = parts(text, LIMIT)

    assert all(0 < width(each) <= LIMIT for each in found) or found == [text]
    assert _bare("".join(found)) == _bare(text)


@given(texts)
@settings(max_examples=200, deadline=None)
def test_every_part_closes_the_code_it_opens(text: str) -> None:
    whole = text + "\n```\n" if _opened(text) else text
    if _opened(whole):
        return

    assert not any(_opened(each) for each in parts(whole, LIMIT))


@given(st.text(alphabet="👩🚀👍\u200d\U0001f3fd🇩🇪e\u0301\ufe0f", min_size=LIMIT, max_size=3 * LIMIT))
@settings(max_examples=50, deadline=None)
def test_a_text_without_a_place_to_cut_is_cut_all_the_same(text: str) -> None:
    found = parts(text, LIMIT)

    assert "".join(found) == text
    assert all(width(each) <= LIMIT for each in found)


def test_no_emoji_is_cut_in_two() -> None:
    for emoji in ("👩‍🚀", "👍🏽", "❤️", "e\u0301"):
        for shift in range(8):
            text = "x" * shift + emoji * 400

            assert all(each.replace(emoji, "").strip("x") == "" for each in parts(text, LIMIT))


def test_a_short_text_is_one_part_and_stays_as_it_is() -> None:
    text = "  indented\n\n```\nopen"

    assert parts(text, LIMIT) == [text]
    assert len(parts("x" * BLOCK_LIMIT)) == 1
    assert len(parts("x" * (BLOCK_LIMIT + 1))) == 2


def test_it_is_cut_at_a_blank_line_where_there_is_one_far_enough() -> None:
    first, second = "line\n" * 60, "line\n" * 60

    assert parts(f"{first}\n{second}", LIMIT) == [first.rstrip(), second.rstrip()]


def test_code_that_was_cut_is_closed_and_opened_in_its_language() -> None:
    lines = [f"x = {n}" for n in range(200)]
    text = "Look:\n\n```python\n" + "\n".join(lines) + "\n```\n\nThat is all."

    first, *middle, last = parts(text, LIMIT)

    assert first.startswith("Look:\n\n```python\nx = 0\n")
    assert first.endswith("\n```")
    assert all(each.startswith("```python\nx = ") and each.endswith("\n```") for each in middle)
    assert last.endswith("```\n\nThat is all.")
    assert [line for each in (first, *middle, last) for line in each.split("\n") if "=" in line] == lines


def test_code_within_a_list_stays_within_it() -> None:
    text = "1. Run\n\n   ```sh\n" + "   echo\n" * 100 + "   ```\n\n2. Done"

    first, *middle, last = parts(text, LIMIT)

    assert all(each.endswith("\n   ```") for each in (first, *middle))
    assert all(each.startswith("   ```sh\n   echo") for each in (*middle, last))
    assert last.endswith("\n   ```\n\n2. Done")


@pytest.mark.parametrize(
    "line", ["```\n", "~~~\n```\n", "```", "x ```\n", "```" + "x" * 190 + "\n", "\u0301"]
)
def test_no_text_takes_long_to_cut(line: str) -> None:
    text = line * (200_000 // len(line))
    before_s = time.process_time()

    assert "".join(parts(text))

    assert time.process_time() - before_s < 2.0


def test_a_line_of_code_keeps_its_indentation_in_the_next_part() -> None:
    text = "```\n" + "    indented\n" * 100 + "```"

    assert all(set(each.split("\n")[1:-1]) == {"    indented"} for each in parts(text, LIMIT))


def test_words_are_not_cut_while_there_are_spaces() -> None:
    found = parts("wörter " * 300, LIMIT)

    assert {word for each in found for word in each.split(" ")} == {"wörter"}


def test_nobody_is_paged_by_what_a_model_says() -> None:
    at = ("@here", "(@channel)", "_@channel_", "**@Everyone**", "__@here__!", "`@here`", "@here's")
    for paging in ("<!channel>", "<!here|here>", "<!EVERYONE>", "<!subteam^S1|@team>", *at):
        quiet = unpaged(f"hello {paging}!")

        assert paging not in quiet
        assert quiet.replace("\u200b", "") == f"hello {paging}!"


def test_what_pages_nobody_stays_as_it_is() -> None:
    text = "<!DOCTYPE html> <!-- here --> me@here.com @hereafter <@U1>"

    assert unpaged(text) == text


def test_text_for_mrkdwn_holds_no_markup_of_slack() -> None:
    assert escaped("a & <!channel> <https://x|y>") == "a &amp; &lt;!channel&gt; &lt;https://x|y&gt;"


def _opened(text: str) -> bool:
    """Whether a reader of markdown is still in code at the end of `text`."""
    mark = ""
    for line in text.split("\n"):
        found = re.match(r" {0,3}(`{3,}|~{3,})([^\n]*)$", line)
        if found and not mark:
            mark = found[1]
        elif found and found[1][0] == mark[0] and len(found[1]) >= len(mark) and not found[2].strip():
            mark = ""
    return bool(mark)
