"""What views are given of what may come later than they do: the sessions, once the log store was reached."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias, TypeVar

T = TypeVar("T")

# Gives it, always the same. Raises: Unavailable, with the reason, while it is not there.
Later: TypeAlias = Callable[[], T]
