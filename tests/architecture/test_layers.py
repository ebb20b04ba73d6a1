"""Imports point one way. The contracts stand in pyproject.toml; here they are part of the test suite."""

from __future__ import annotations

import subprocess
import sys

from tests.architecture.sources import ROOT

# In a process of its own: it configures logging, and thereby switches off every logger that exists.
LINT = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True))"


def test_every_import_contract_is_kept() -> None:
    linted = subprocess.run(
        [sys.executable, "-c", LINT], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )
    assert linted.returncode == 0, linted.stdout + linted.stderr
