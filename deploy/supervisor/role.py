"""What a role is: one process to be kept running, and when to stop trying."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

EXITS_UNTIL_DOWN = 5
WINDOW_S = 60.0
SHORTEST_DELAY_S = 0.5
LONGEST_DELAY_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """One process. Without `is_ready` it counts as running once it was started.

    `is_ready` is asked from a thread of its own until it says so, and must come back within a second.
    `inherited` file descriptors stay open in it. `passing_causes` maps a text in its output to a cause of
    death that ends by itself (a full disk): such a role is never given up. Empty lines and lines that hold
    a text of `muted` are not shown. `on_down` is told when the role is given up.
    """

    name: str
    command: tuple[str, ...]
    is_ready: Callable[[], bool] | None = None
    inherited: tuple[int, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    passing_causes: Mapping[str, str] = field(default_factory=dict)
    muted: tuple[str, ...] = ()
    on_down: Callable[[], None] | None = None

    def cause_in(self, line: str) -> str:
        """The known passing cause that `line` of the output tells of, or nothing."""
        return next((cause for text, cause in self.passing_causes.items() if text in line), "")

    def is_muted(self, line: str) -> bool:
        """Whether `line` of the output means nothing here."""
        return not line.strip() or any(text in line for text in self.muted)


def restart_delay_s(exits: Sequence[float], *, now: float) -> float | None:
    """How long to wait after the last of `exits` (monotonic seconds); None: too many, leave it down.

    Example: the third exit within a minute waits 1.5 s, the fifth is the last.
    """
    recent = sum(1 for at in exits if now - at < WINDOW_S)
    if recent >= EXITS_UNTIL_DOWN:
        return None
    return min(LONGEST_DELAY_S, max(SHORTEST_DELAY_S, SHORTEST_DELAY_S * recent))
