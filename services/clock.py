"""The clock that leases are measured by on the holder's side."""

from __future__ import annotations

import time

# macOS has no clock of this name; its monotonic one is what comes nearest.
_BOOT = getattr(time, "CLOCK_BOOTTIME", None)


def boot_s() -> float:
    """Seconds since the machine started, time asleep included. Only differences mean something."""
    return time.monotonic() if _BOOT is None else time.clock_gettime(_BOOT)
