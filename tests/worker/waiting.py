"""Waiting for a condition with a deadline, instead of sleeping; and when a process counts as dead."""

from __future__ import annotations

import time
from collections.abc import Callable

import psutil


def wait_until(condition: Callable[[], bool], *, within_s: float = 15.0) -> None:
    """Come back as soon as `condition` is true; fail when it is not in time."""
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, f"it did not come true within {within_s} s"
        time.sleep(0.02)


def is_gone(pid: int) -> bool:
    """Whether `pid` runs no more; it may still wait to be reaped."""
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True
