"""The collector of cycles, told what a process of ours is like: much that stays, and little that goes in circles."""

from __future__ import annotations

import gc

# Python's own is 700: every other turn, most of them for nothing.
ALLOCATIONS = 20_000


def spare_collections() -> None:
    """Once a process is set up: what it loaded is never looked at again, and the rest less often."""
    gc.collect()
    gc.freeze()
    _, second, third = gc.get_threshold()
    gc.set_threshold(ALLOCATIONS, second, third)
