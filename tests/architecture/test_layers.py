"""Imports point one way. The contracts stand in pyproject.toml; here they are part of the test suite."""

from __future__ import annotations

import os

import pytest
from importlinter.cli import EXIT_STATUS_SUCCESS, lint_imports

from tests.architecture.sources import ROOT


def test_every_import_contract_is_kept(capsys: pytest.CaptureFixture[str]) -> None:
    before = os.getcwd()
    os.chdir(ROOT)
    try:
        status = lint_imports(no_cache=True)
    finally:
        os.chdir(before)
    assert status == EXIT_STATUS_SUCCESS, capsys.readouterr().out
