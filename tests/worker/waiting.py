"""Waiting for a condition with a deadline, instead of sleeping; and when a process counts as dead."""

from __future__ import annotations

import time
from collections.abc import Callable

import psutil

# Who waits long asks less often: asking takes time from those who are waited for.
_OFTEN_S, _SELDOM_S = 0.02, 0.1


def wait_until(condition: Callable[[], bool], *, within_s: float = 15.0) -> None:
    """Come back as soon as `condition` is true, at most a tenth later; fail when it is not in time."""
    began = time.monotonic()
    while not condition():
        waited = time.monotonic() - began
        assert waited < within_s, f"it did not come true within {within_s} s"
        time.sleep(max(_OFTEN_S, min(_SELDOM_S, waited / 10)))


def is_gone(pid: int) -> bool:
    """Whether `pid` runs no more; it may still wait to be reaped."""
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True
