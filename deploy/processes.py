"""Telling processes apart: a pid comes back, a pid with its start time does not."""

from __future__ import annotations

import calendar
import os
import subprocess
import time
from pathlib import Path


def start_time_of(pid: int) -> int | None:
    """When process `pid` started, in a unit of the platform's own that only serves to compare.

    Linux: clock ticks since boot; otherwise epoch seconds. None when there is no such process.
    """
    if os.path.exists("/proc/self/stat"):
        return _start_time_proc(pid)
    return _start_time_ps(pid)


def is_running(pid: int, start_time: int) -> bool:
    """Whether exactly that process still runs; a zombie does not."""
    return start_time_of(pid) == start_time


def own_start_time() -> int:
    """When this process started."""
    started = start_time_of(os.getpid())
    return started if started is not None else 0


def _start_time_proc(pid: int) -> int | None:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    # The command, in parentheses, may itself hold spaces and parentheses.
    state, *numbers = stat.rpartition(")")[2].split()
    return None if state in "ZX" else int(numbers[18])


def _start_time_ps(pid: int) -> int | None:
    shown = subprocess.run(
        ["ps", "-o", "stat=,lstart=", "-p", str(pid)],
        capture_output=True,
        text=True,
        check=False,
        env={"LC_ALL": "C", "TZ": "UTC", "PATH": os.environ.get("PATH", os.defpath)},
    ).stdout.split()
    if not shown or shown[0].startswith("Z"):
        return None

    return calendar.timegm(time.strptime(" ".join(shown[1:]), "%a %b %d %H:%M:%S %Y"))
