"""Telling processes apart."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

from services.processes import is_running, started_at
from tests.worker.waiting import wait_until


def test_a_process_is_told_from_another_one_with_its_number() -> None:
    started = started_at(os.getpid())

    assert started is not None
    assert started == started_at(os.getpid())
    assert is_running(os.getpid(), started)
    assert not is_running(os.getpid(), started + "1")


def test_a_process_that_ended_does_not_run_even_before_it_is_reaped() -> None:
    process = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])
    assert started_at(process.pid) is not None

    process.send_signal(signal.SIGKILL)

    wait_until(lambda: started_at(process.pid) is None)
    process.wait()
    assert started_at(process.pid) is None
