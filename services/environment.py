"""Reading environment variables: each parsed once, a secret also from a file, all mistakes gathered."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

PREFIX = "TURNWRIGHT_"
_SECRET_FILE_LIMIT = 65536

T = TypeVar("T")
D = TypeVar("D")


class Environment:
    """Variables read by name; remembers which names exist and what was wrong. `prefix` is theirs."""

    def __init__(self, environ: Mapping[str, str], *, prefix: str = PREFIX) -> None:
        self._environ, self._prefix = environ, prefix
        self._known: list[str] = []
        self._problems: list[str] = []

    def read(self, name: str, parse: Callable[[str], T], default: D) -> T | D:
        """The parsed value; `default` where the variable is not set, or wrong."""
        self._known.append(name)
        text = self._text(name)
        parsed = self.parse(name, parse, text) if text else None
        return default if parsed is None else parsed

    def read_secret(self, name: str, parse: Callable[[str], T]) -> T | None:
        """The parsed value of a variable, or of the file that `<name>_FILE` names."""
        value = self.read(name, parse, None)
        self._known.append(file_name := f"{name}_FILE")
        path = self._text(file_name)
        if not path:
            return value
        if self._text(name):
            self.report(name, f"is given twice: unset it or {self._prefix}{file_name}")
            return None
        text = self.parse(file_name, _content_of, path)
        return None if text is None else self.parse(file_name, parse, text)

    def parse(self, name: str, parse: Callable[[str], T], text: str) -> T | None:
        """What `text` is; None, and a problem noted, where it is wrong."""
        try:
            return parse(text)
        except ValueError as wrong:
            self.report(name, str(wrong))
            return None

    def problems(self) -> tuple[str, ...]:
        """What was wrong so far, each with its variable."""
        return tuple(self._problems)

    def note(self, problems: Sequence[str]) -> None:
        """Add what somebody else found."""
        self._problems += problems

    def names(self, prefix: str, suffix: str) -> list[str]:
        """What stands between in the names of variables that are set, the content of a file included."""
        found = (name.removeprefix(self._prefix) for name in self._environ if name.startswith(self._prefix))
        cut = (name.removesuffix("_FILE") for name in found)
        return sorted(
            {
                name.removeprefix(prefix).removesuffix(suffix)
                for name in cut
                if name.startswith(prefix) and name.endswith(suffix) and len(name) > len(prefix + suffix)
            }
        )

    def is_given(self, name: str) -> bool:
        """Whether the variable, or the file that holds it, is set."""
        return bool(self._text(name) or self._text(f"{name}_FILE"))

    def unknown(self) -> None:
        """Report every variable of ours that nobody asked for."""
        for name in sorted(self._environ):
            if name.startswith(self._prefix) and name.removeprefix(self._prefix) not in self._known:
                near = difflib.get_close_matches(name.removeprefix(self._prefix), self._known, 1)
                hint = f", did you mean {self._prefix}{near[0]}?" if near else ""
                self.report(name.removeprefix(self._prefix), f"unknown variable{hint}")

    def report(self, name: str, wrong: str) -> None:
        """The variable is wrong."""
        self._problems.append(f"{self._prefix}{name}: {wrong}")

    def _text(self, name: str) -> str:
        return self._environ.get(self._prefix + name, "").strip()


def _content_of(path: str) -> str:
    try:
        with Path(path).open(encoding="utf-8") as file:
            text = file.read(_SECRET_FILE_LIMIT).strip()
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise ValueError(f"{path} can not be read: {why}") from None
    if not text:
        raise ValueError(f"{path} is empty")
    return text
