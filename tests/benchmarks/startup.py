"""`make up` on a fresh clone, and again on the same data. The packages are in the installer's cache before."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from tests.benchmarks.figures import Conditions, Figure, NotMeasured
from tests.benchmarks.load import ROOT
from tests.benchmarks.platform import free_port, plain_environment, started

SECOND_STARTS = 3


def measure_startup(conditions: Conditions) -> Sequence[Figure]:
    """From the command to the `ready` line. The clone has what is committed; a first one warms the cache."""
    warm, fresh = conditions.scratch / "warm", conditions.scratch / "fresh"
    if conditions.share == 1:
        _clone(warm)
        _run(["make", "install"], warm)
    _clone(fresh)
    first_s = _start_s(fresh)
    again_s = sorted(_start_s(fresh) for _ in range(conditions.count(SECOND_STARTS)))
    return [
        Figure(name="first start", value=first_s, unit="s", samples=1, bound=60, note="fresh clone, make up"),
        Figure(
            name="second start",
            value=again_s[-1],
            unit="s",
            samples=len(again_s),
            bound=5,
            note=f"slowest of {', '.join(f'{each:.1f}' for each in again_s)}",
        ),
    ]


def _start_s(clone: Path) -> float:
    environment = plain_environment() | {"TURNWRIGHT_PORT": str(free_port())}
    began = time.monotonic()
    with started(["make", "up"], folder=clone, environment=environment, output=clone / "up.txt"):
        return time.monotonic() - began


def _clone(folder: Path) -> None:
    _run(["git", "clone", "--quiet", str(ROOT), str(folder)], folder.parent)


def _run(command: Sequence[str], folder: Path) -> None:
    done = subprocess.run(
        command, cwd=folder, env=plain_environment(), capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise NotMeasured(f"{' '.join(command[:2])}: {done.stderr.strip()[-300:]}")
