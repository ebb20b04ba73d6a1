"""The line of every key and table, in every way TOML has to write them."""

from __future__ import annotations

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.config.toml_lines import KeyPath, LineMap

DOCUMENT = r'''# a comment with [brackets] = "and quotes
top = 1
dotted . "quoted key" .'literal' = 2

[table] # [not.this]
text = """
[fake]
key = "\"""
"""""
literal = \'\'\'
[[fake]]
\'\'\'\'
array = [ # ]
  "a]", '#',
  { x = 1, y = [ 2 ] },
]
inline = { a = 1, b.c = "}" }
after = 3

[[list]]
name = "one"
  [list.sub]
  key = 1
[[list]]
name = "two"
  [[list.inner]]
  key = 1
  [[list.inner]]
  key = 2
[ "a.b" . c ]
"\u0064" = 4
'''.replace("\\'", "'")


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ((), 1),
        (("top",), 2),
        (("dotted",), 3),
        (("dotted", "quoted key", "literal"), 3),
        (("table",), 5),
        (("table", "text"), 6),
        (("table", "literal"), 10),
        (("table", "array"), 13),
        (("table", "array", 2, "y"), 13),
        (("table", "inline", "b", "c"), 17),
        (("table", "after"), 18),
        (("table", "missing"), 5),
        (("list",), 20),
        (("list", 0), 20),
        (("list", 0, "name"), 21),
        (("list", 0, "sub"), 22),
        (("list", 0, "sub", "key"), 23),
        (("list", 1), 24),
        (("list", 1, "name"), 25),
        (("list", 1, "inner", 0, "key"), 27),
        (("list", 1, "inner", 1), 28),
        (("list", 1, "inner", 1, "key"), 29),
        (("a.b", "c"), 30),
        (("a.b", "c", "d"), 31),
        (("nowhere",), 1),
    ],
)
def test_a_path_has_the_line_it_is_written_in(path: KeyPath, line: int) -> None:
    tomllib.loads(DOCUMENT)

    assert LineMap(DOCUMENT).line_of(path) == line


def test_windows_line_ends_count_once() -> None:
    assert LineMap(DOCUMENT.replace("\n", "\r\n")).line_of(("a.b", "c", "d")) == 31


NAMES = st.sampled_from(["a", "b-c", "1", "d_e", '"x.y"', "'z # ['", '"\\u00e9"'])
VALUES = st.sampled_from(
    ["1", '"]"', "'''\n[x]\n'''", '"""\na = 1\n"""', "[\n1,\n]", "{ a = [1] }", '"" # "', "'' # ["]
)


@given(st.lists(st.tuples(st.lists(st.tuples(NAMES, VALUES), unique_by=lambda pair: pair[0]), NAMES)))
def test_the_lines_of_a_generated_document_are_those_it_was_written_with(
    tables: list[tuple[list[tuple[str, str]], str]],
) -> None:
    # given: arrays of tables with random keys, and the line each was put on
    lines: list[str] = []
    written: dict[KeyPath, int] = {}
    counts: dict[str, int] = {}
    for pairs, raw in tables:
        name = next(iter(tomllib.loads(f"{raw} = 1")))
        index = counts[name] = counts.get(name, -1) + 1
        lines.append(f"[[ {raw} ]]")
        written[name, index] = len(lines)
        for key, value in pairs:
            first = len(lines) + 1
            lines += f"{key} = {value}".split("\n")
            written[name, index, next(iter(tomllib.loads(f"{key} = 1")))] = first
    text = "\n".join(lines)
    tomllib.loads(text)

    # when, then
    found = LineMap(text)
    assert {path: found.line_of(path) for path in written} == written
