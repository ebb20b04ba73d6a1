"""Scripts say what they take and return, never swallow an error, never spread arguments over the stack."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.architecture.sources import LUA

SCRIPTS = sorted(LUA.glob("*.lua"))
KEYLESS = ("TIME", "PUBLISH")
READING = ("load",)


def header(script: Path) -> str:
    lines = script.read_text().splitlines()
    end = next(number for number, line in enumerate(lines) if not line.startswith("--"))
    return "\n".join(lines[:end])


def code(script: Path) -> str:
    return re.sub(r"--.*", "", script.read_text())


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_a_script_begins_by_saying_what_it_does_takes_and_returns(script: Path) -> None:
    said = header(script)
    if script.name.startswith("_"):
        assert said.startswith("-- Included by "), said
        return
    assert said.startswith(f"-- {script.stem}: "), said
    for word in ("KEYS", "ARGV", "Returns"):
        assert re.search(rf"\b{word}\b", said), f"{script.name} does not say its {word}"


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_a_script_lets_errors_through_and_keeps_arguments_off_the_stack(script: Path) -> None:
    found = code(script)
    assert "pcall" not in found
    assert not re.search(r"unpack\s*\(\s*(ARGV|KEYS)", found)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_a_script_touches_no_key_but_those_it_was_given(script: Path) -> None:
    for command, key in re.findall(r"redis\.call\('(\w+)'(?:, 'STREAM')?(?:, ([^,)]+))?", code(script)):
        assert command in KEYLESS or not re.search(r"['\"]|\.\.", key), f"{script.name}: {command} {key}"


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_a_script_checks_types_before_its_first_write(script: Path) -> None:
    if script.name.startswith("_") or script.stem in READING:
        return
    found = code(script)
    first = re.search(
        r"redis\.call\('(?:X?ADD|XDEL|Z?REM|[HZ]\w*(?:SET|ADD|REM|DEL|INCRBY)|SET|DEL|PERSIST)'", found
    )
    assert first is None or 0 <= found.find("_types(") < first.start()


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_a_script_has_a_use(script: Path) -> None:
    name = script.stem
    users = [*LUA.parents[1].rglob("*.py"), *LUA.glob("*.lua")]
    assert any(f'"{name}"' in user.read_text() for user in users), f"nobody runs {name}"
