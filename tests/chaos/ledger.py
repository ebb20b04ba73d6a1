"""What was acknowledged and what of it was seen settled: the driver's own bookkeeping. Thread-safe."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

STARTS_NO_TURN = frozenset({"silent"})


@dataclass(slots=True, kw_only=True)
class Ack:
    """One acknowledged prompt; `is_told`: its answer is owed to a callback too.

    Times are epoch seconds; `ended_at` None while its turn is open.
    """

    session: str
    offset: int
    policy: str
    text: str
    acked_at: float
    is_told: bool = False
    ended_at: float | None = None


class Ledger:
    """The prompts of one run."""

    def __init__(self) -> None:
        self._acks: dict[tuple[str, int], Ack] = {}
        self._lock = threading.Lock()

    def acknowledged(
        self, session: str, offset: int, policy: str, text: str, *, is_told: bool = False
    ) -> None:
        """The platform said that it has the prompt."""
        ack = Ack(
            session=session, offset=offset, policy=policy, text=text, acked_at=time.time(), is_told=is_told
        )
        with self._lock:
            known = self._acks.setdefault((session, offset), ack)
        assert known is ack, f"{session}@{offset} was given to two prompts: {known.text!r} and {text!r}"

    def ended(self, session: str, offset: int) -> None:
        """The turn of that prompt was seen settled, or the prompt withdrawn."""
        with self._lock:
            ack = self._acks.get((session, offset))
            if ack is not None and ack.ended_at is None:
                ack.ended_at = time.time()

    def acks(self) -> list[Ack]:
        """Every acknowledged prompt."""
        with self._lock:
            return list(self._acks.values())

    def turns(self) -> int:
        """How many prompts were acknowledged that start a turn."""
        return sum(1 for ack in self.acks() if ack.policy not in STARTS_NO_TURN)

    def open(self, session: str | None = None) -> list[Ack]:
        """Acknowledged prompts whose turn was not seen settled yet."""
        return [
            ack
            for ack in self.acks()
            if ack.ended_at is None and ack.policy not in STARTS_NO_TURN and session in (None, ack.session)
        ]

    def waiting(self) -> list[str]:
        """The names of those."""
        return [f"{ack.session}@{ack.offset}" for ack in self.open()]
