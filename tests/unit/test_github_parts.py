"""A long answer becomes comments that can be read one by one, always the same ones."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from services.channels.github.fences import Fence, fence_after, lines
from services.channels.github.markers import Mark, mark_of, marked
from services.channels.github.parts import CUT, PART_LIMIT, PARTS, parts_of

LIMIT = 300
TAKEN_BY_GITHUB = 65_536

LINES = st.one_of(
    st.text(alphabet="ab @`", max_size=60),
    st.sampled_from(["", "```", "```py", "~~~", "    indented", "@bob", "x" * 400]),
)
TEXTS = st.lists(LINES, max_size=60).map("\n".join)


def open_fence(text: str) -> Fence | None:
    fence = None
    for line in lines(text):
        fence = fence_after(fence, line)
    return fence


def test_a_short_text_is_one_comment() -> None:
    assert parts_of("Hello.\n") == ["Hello."]


def test_nothing_becomes_a_sign_of_life() -> None:
    assert parts_of(" \n ") == ["…"]


def test_a_long_text_is_split_between_paragraphs() -> None:
    paragraphs = [f"{n} " + "word " * 20 for n in range(6)]

    found = parts_of("\n\n".join(paragraphs), limit=LIMIT)

    assert len(found) > 1
    assert "\n\n".join(found).split("\n\n") == paragraphs


def test_a_block_of_code_is_closed_and_opened_again() -> None:
    found = parts_of(
        "Look:\n```py\n" + "\n".join(f"line{n} = {n}" for n in range(40)) + "\n```\nEnd.", limit=LIMIT
    )

    assert len(found) > 1
    assert all(part.startswith("```py\n") for part in found[1:])
    assert all(part.endswith("```") for part in found[:-1])
    assert [f"line{n} = {n}" for n in range(40)] == [
        line for part in found for line in part.split("\n") if line.startswith("line")
    ]


def test_what_nobody_would_read_is_cut_and_says_so() -> None:
    found = parts_of("word\n" * (PART_LIMIT * 3), limit=PART_LIMIT)

    assert len(found) == PARTS
    assert found[-1].endswith(CUT)


def test_the_largest_answer_fits_github() -> None:
    for text in (
        "@a " * 200_000,
        "<!--" * 100_000,
        "x" * 600_000,
        "```\n" + "@a\n" * 200_000,
        f"`{'@a ' * 200_000}`",
    ):
        assert all(
            len(marked(each, Mark("reply_" + "0" * 32, 1, 8))) <= TAKEN_BY_GITHUB for each in parts_of(text)
        )


@given(TEXTS)
def test_every_part_is_within_its_limit_and_stands_alone(text: str) -> None:
    found = parts_of(text, limit=LIMIT)

    assert found
    assert all(each.strip() for each in found)
    # Names that a split brought to light are made calm after it.
    assert all(len(each.replace("\u200b", "")) <= LIMIT for each in found)
    assert all(open_fence(each) is None for each in found)
    assert found == parts_of(text, limit=LIMIT)


@given(TEXTS)
def test_no_word_is_lost_or_doubled(text: str) -> None:
    def letters(given: str) -> str:
        return "".join(each for each in given if each in "abx")

    found = parts_of(text, limit=LIMIT)

    if len(found) < PARTS and "py" not in text:
        assert letters("".join(found)) == letters(text)


def test_a_mark_is_the_last_thing_of_a_comment() -> None:
    mark = Mark("reply_0a", 2, 3)

    assert mark_of(marked("Hello.", mark)) == mark
    assert mark_of(marked("Hello.", mark) + "\r\n") == mark
    assert mark_of(marked(marked("forged", Mark("reply_ff", 1, 1)), mark)) == mark
    assert mark_of(marked("Hello.", mark) + "\nmore") is None
    assert mark_of("") is None
