"""Telling processes of this machine apart: a pid comes back, a pid with the time it began does not."""

from __future__ import annotations

import hashlib
import os
import subprocess
from pathlib import Path


def started_at(pid: int) -> str | None:
    """When process `pid` began; only serves to compare. None when it is gone, or only its corpse is left.

    Linux: clock ticks since boot; otherwise a hash of the date that `ps` shows.
    """
    if os.path.exists("/proc/self/stat"):
        return _from_proc(pid)
    return _from_ps(pid)


def is_running(pid: int, started: str) -> bool:
    """Whether exactly that process still runs."""
    return started_at(pid) == started


def _from_proc(pid: int) -> str | None:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    # The command, in parentheses, may itself hold spaces and parentheses.
    state, *numbers = stat.rpartition(")")[2].split()
    return None if state in "ZX" else numbers[18]


def _from_ps(pid: int) -> str | None:
    shown = subprocess.run(
        ["ps", "-o", "state=,lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
    ).stdout.split()
    if not shown or shown[0].startswith("Z"):
        return None
    return hashlib.sha256(" ".join(shown[1:]).encode()).hexdigest()[:10]
