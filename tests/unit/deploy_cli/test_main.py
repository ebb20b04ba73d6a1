"""The command line as a whole: its commands, its exit status, its errors."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest

from deploy.cli.main import COMMANDS, run
from deploy.cli.main import turnwright as command_line

ROOT = Path(__file__).parents[3]


def turnwright(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TURNWRIGHT_")}
    return subprocess.run(
        [sys.executable, "-m", "turnwright", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**kept, **environment},
        cwd=ROOT,
    )


def test_the_version_is_the_one_of_the_package() -> None:
    shown = turnwright("--version")

    assert (shown.returncode, shown.stdout) == (0, "turnwright, version 0.1.0\n")


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_every_listed_command_can_be_loaded_and_explains_itself(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([command, "--help"]) == 0
    assert f"turnwright {command}" in capsys.readouterr().out


@pytest.mark.parametrize("command", [*sorted(set(COMMANDS) - {"config"}), "config check", "config schema"])
def test_every_help_ends_with_examples_that_the_command_understands(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    run([*command.split(), "--help"])
    _, _, end = capsys.readouterr().out.partition("  Examples:\n")

    assert end
    for line in end.splitlines():
        words = shlex.split(re.sub(r"( > \S+|<model>)", "", line))
        arguments = words[words.index("turnwright") + 1 :]
        assert arguments[: len(command.split())] == command.split()
        parse(command_line, arguments)


def parse(command: click.Command, arguments: list[str], parent: click.Context | None = None) -> None:
    """Take `arguments` apart as the command would before it runs. Raises: click.UsageError."""
    with command.make_context("turnwright", list(arguments), parent=parent) as context:
        if isinstance(command, click.Group):
            _, inner, rest = command.resolve_command(context, arguments)
            assert inner is not None
            parse(inner, rest, context)


def test_a_prompt_without_quotes_is_told_to_have_them(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["ask", "What", "time", "is", "it"]) == 2
    assert "TEXT is one argument: put it in quotes" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["nonsense"], ["ask"], ["web", "--listen-fd", "x"], ["--nonsense"]])
def test_wrong_usage_is_said_and_ends_with_status_2(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments) == 2
    assert "Usage:" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["ask", "caf\udcff"], ["pause", "app:x", "--reason", "\udcff"]])
def test_bytes_that_are_no_text_are_refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(arguments) == 2
    assert "is not valid UTF-8" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["doctor", "web", "worker", "beat"])
def test_an_address_of_a_store_with_unknown_options_is_refused_without_being_shown(command: str) -> None:
    refused = turnwright(command, TURNWRIGHT_STORE_URL="redis://127.0.0.1:1/0?pasword=canary")

    assert refused.returncode == (1 if command == "doctor" else 2)
    said = refused.stdout + refused.stderr
    assert "the store's address has an option" in said
    assert [word for word in ("Traceback", "canary") if word in said] == []


@pytest.mark.parametrize("role", ["up", "web", "worker", "beat"])
def test_every_mistake_in_the_environment_is_said_at_once_without_a_traceback(role: str) -> None:
    refused = turnwright(role, TURNWRIGHT_PORT="x", TURNWRIGHT_SLOTS="1")

    assert refused.returncode == 2
    assert "TURNWRIGHT_PORT" in refused.stderr
    assert "TURNWRIGHT_SLOTS" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_the_list_of_commands_loads_none_of_them() -> None:
    program = (
        "import sys; from deploy.cli.main import run; run(['--help'])\n"
        "print([name for name in ('flask', 'celery', 'redis', 'pydantic', 'httpx2') if name in sys.modules])"
    )

    shown = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT
    )

    assert shown.stdout.splitlines()[-1] == "[]"
