"""What the supervisor prints of its roles."""

from __future__ import annotations

import io
import os
import threading

import pytest

from deploy.supervisor.console import Console


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def printed(out: io.StringIO, console: Console) -> list[str]:
    console.close()
    return out.getvalue().splitlines()


def test_lines_of_a_role_stand_under_its_name_and_own_lines_as_they_are() -> None:
    out = io.StringIO()
    console = Console(out)

    console.relay("web", "hello")
    console.say("ready http://127.0.0.1:8080")

    assert printed(out, console) == ["web       | hello", "ready http://127.0.0.1:8080"]


def test_each_role_has_its_colour_on_a_terminal_unless_colours_are_unwanted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    out = Terminal()
    console = Console(out)
    console.relay("web", "a")
    console.relay("beat", "b")
    console.relay("web", "c")
    first, second, third = printed(out, console)
    assert first.split("web")[0] == third.split("web")[0] != second.split("beat")[0]

    monkeypatch.setenv("NO_COLOR", "1")
    plain = Terminal()
    console = Console(plain)
    console.relay("web", "a")
    assert printed(plain, console) == ["web       | a"]


def test_a_terminal_that_is_held_up_costs_lines_and_nothing_else() -> None:
    read_end, write_end = os.pipe()
    with os.fdopen(read_end) as terminal:
        with os.fdopen(write_end, "w") as out:
            console = Console(out)
            for number in range(20_000):
                console.relay("web", f"{number} {'x' * 100}")

            seen: list[str] = []
            reader = threading.Thread(target=lambda: seen.extend(terminal))
            reader.start()
            console.close()
        reader.join()

    assert seen[0].startswith("web       | 0 ")
    assert 10_000 < len(seen) < 20_000
    assert any("lines were dropped" in line for line in seen)
