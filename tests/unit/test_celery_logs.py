"""Which role the log lines of Celery's two commands name."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.architecture.sources import ROOT

SPEAK = """
import sys
from celery import signals
from services.logs import get_logger
import tasks.celery
signals.setup_logging.send(sender=None)
for name in sys.argv[1:]:
    getattr(signals, name).send(sender=None)
get_logger("jobs").warning("said")
"""


@pytest.mark.parametrize(("began", "role"), [((), "worker"), (("beat_init",), "beat")])
def test_a_log_line_names_the_role_of_its_process(began: tuple[str, ...], role: str) -> None:
    spoke = subprocess.run(
        [sys.executable, "-c", SPEAK, *began],
        env={"PYTHONPATH": str(ROOT), "TURNWRIGHT_LOG_FORMAT": "json"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )

    assert json.loads(spoke.stderr)["role"] == role
