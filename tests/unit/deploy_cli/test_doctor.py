"""`turnwright doctor`: how it counts what it found, and how it ends."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploy.cli.main import run


def test_a_warning_is_counted_beside_the_problems(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing runs on an empty directory: that is a warning, and both stores that are not there are problems."""
    monkeypatch.setenv("TURNWRIGHT_HOME", str(tmp_path / "data"))
    monkeypatch.delenv("TURNWRIGHT_STORE_URL", raising=False)
    monkeypatch.delenv("TURNWRIGHT_BROKER_URL", raising=False)

    assert run(["doctor"]) == 1

    rows, last = capsys.readouterr().out.rstrip().rsplit("\n", 1)
    warnings = rows.count("  warning  ")
    assert warnings >= 1
    assert last == f"2 problem(s) found, {warnings} warning(s)"
