"""How the command line shows things to people, and hands them to programs (`--json`)."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import datetime

import click

_COLUMN_GAP = "  "


def as_json(raw: bytes) -> None:
    """Print a JSON document of the server as it came, on one line."""
    click.echo(raw)


def table(heads: Sequence[str], rows: Sequence[Sequence[str]], *, none: str = "") -> None:
    """Print rows under their heads, in columns as wide as needed; without any, only the remark `none`."""
    if not rows and none:
        note(none)
        return
    lines = [[plain(cell, one_line=True) for cell in row] for row in (heads, *rows)]
    widths = [max(len(row[i]) for row in lines) for i in range(len(heads))]
    for row in lines:
        click.echo(
            _COLUMN_GAP.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        )


def say(text: str) -> None:
    """Print a line for people."""
    click.echo(plain(text))


def write(text: str) -> None:
    """Print a piece of text at once."""
    click.echo(plain(text), nl=False)


def note(text: str) -> None:
    """Print a remark beside the result, on stderr."""
    click.echo(plain(text, one_line=True), err=True)


def clock(at_ms: int) -> str:
    """A time of day with its date, in the local zone."""
    return datetime.fromtimestamp(at_ms / 1000).astimezone().isoformat(sep=" ", timespec="seconds")


def plain(text: str, *, one_line: bool = False) -> str:
    """`text` without what could steer a terminal: control characters become U+FFFD."""
    kept = "" if one_line else "\n\t"
    return "".join(char if char.isprintable() or char in kept else _replacement(char) for char in text)


def is_terminal() -> bool:
    """Whether a person reads stdout as it is written."""
    return sys.stdout.isatty()


def _replacement(char: str) -> str:
    return " " if char in "\n\t\r" else "\N{REPLACEMENT CHARACTER}"
