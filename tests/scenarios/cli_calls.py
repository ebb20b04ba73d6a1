"""Runs the `turnwright` command as people do: in a process of its own, with an environment of its own.

Or in this process, where a test asks for many: starting one takes most of a second.
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from deploy.cli.main import run

COMMAND = (sys.executable, "-c", "from deploy.cli.main import main; main()")
ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a command ended."""

    status: int
    out: str
    err: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Shell:
    """An environment to run commands in."""

    home: Path
    variables: dict[str, str]

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start a command; its output can be read while it runs."""
        clean = {name: value for name, value in os.environ.items() if not name.startswith("TURNWRIGHT_")}
        return subprocess.Popen(
            [*COMMAND, *arguments],
            cwd=self.home,
            env={**clean, "PYTHONPATH": str(ROOT), "TURNWRIGHT_HOME": str(self.home), **self.variables},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str) -> Ended:
        """Run a command to its end."""
        process = self.start(*arguments)
        out, err = process.communicate(timeout=30)
        assert "Traceback" not in err, err
        return Ended(status=process.returncode, out=out, err=err)


class Here:
    """The environment of this process, changed for one test."""

    def __init__(
        self,
        home: Path,
        patch: pytest.MonkeyPatch,
        capture: pytest.CaptureFixture[str],
        variables: dict[str, str],
    ) -> None:
        self._capture = capture
        for name in [name for name in os.environ if name.startswith("TURNWRIGHT_")]:
            patch.delenv(name)
        for name, value in {"TURNWRIGHT_HOME": str(home), **variables}.items():
            patch.setenv(name, value)
        patch.chdir(home)

    def run(self, *arguments: str) -> Ended:
        """Run a command to its end."""
        self._capture.readouterr()
        status = run(list(arguments))
        out, err = self._capture.readouterr()
        return Ended(status=status, out=out, err=err)
