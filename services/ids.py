"""Ids that nobody else has made, cheaper than the system's own random numbers: those cost a call of the kernel each.

For names, never for secrets. Not the generator that `random.seed` reaches: a plugin may call that.
"""

from __future__ import annotations

import os
import random

_random = random.Random()
# Two processes that go on from one state would make the same ids.
os.register_at_fork(after_in_child=_random.seed)


def new_id() -> str:
    """128 random bits, as 32 hexadecimal digits."""
    return f"{_random.getrandbits(128):032x}"
