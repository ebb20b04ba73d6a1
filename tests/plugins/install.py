"""Installs an example plugin the way a user does: with pip, from its sources."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

SOURCES = Path(__file__).parent


def install_plugin(name: str, target: Path) -> None:
    """Build and install the package `name` of this folder into `target`, a folder for `sys.path`.

    Its dependencies must be there already: nothing is fetched. The sources are copied first, as building
    leaves files beside them.
    """
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(scratch) / name
        shutil.copytree(SOURCES / name, copy)
        flags = ["--no-deps", "--no-index", "--no-build-isolation", "--disable-pip-version-check", "--quiet"]
        done = subprocess.run(
            [sys.executable, "-m", "pip", "install", *flags, "--target", str(target), str(copy)],
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode:
        raise RuntimeError(f"{name} can not be installed: {done.stderr.strip()}")
