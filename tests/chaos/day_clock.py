"""The clock of a simulated day: the store's time, moved in steps, and what it showed when.

Writes the offset key of every shard, all at once: whatever a worker reads, the shards agree.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from itertools import pairwise

import redis

from services.streams.keys import Keys

FAR = 2**60


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """`moves` are (real time, shift from then on); at `marks`, real times, nothing was being worked on. All in ms."""

    moves: tuple[tuple[int, int], ...]
    marks: tuple[int, ...] = ()

    def first_seen(self, due: int, *, by: int) -> int:
        """The earliest time at or after `due` that a worker can have seen whose commit was written at `by`.

        It read the clock after the last mark before it. Walks through what the clock showed since: with a step from
        08:50 to 09:05 after the mark, who did what was due at nine saw 09:05 at the earliest.
        """
        real = self._shown_at(by)
        marked = max((mark for mark in self.marks if mark <= min(real)), default=0)
        seen = [
            max(due, max(begins, marked) + shift)
            for (begins, shift), (ends, _) in pairwise((*self.moves, (FAR, 0)))
            if marked < ends and begins <= max(real) and ends + shift > due
        ]
        return min(seen, default=due)

    def went_back(self, *, by: int) -> int:
        """By how much the clock had been set back up to `by`, all in all."""
        steps = (new - old for (_, old), (at, new) in pairwise(self.moves) if at + new <= by)
        return -sum(step for step in steps if step < 0)

    def shown_last(self) -> int:
        """What it showed at the last mark."""
        mark = self.marks[-1]
        return mark + next(shift for at, shift in reversed(self.moves) if at <= mark)

    def _shown_at(self, time: int) -> list[int]:
        """When it showed a time: more than once where it was set back, and never where it was set forward over it,
        which is then."""
        steps = list(pairwise((*self.moves, (FAR, 0))))
        found = [time - shift for (begins, shift), (ends, _) in steps if begins <= time - shift < ends]
        return found or [max(begins for begins, shift in self.moves if begins + shift <= time)]


class DayClock:
    """Moves the time of the store at `url`."""

    def __init__(self, url: str) -> None:
        self._url, self._keys = url, Keys()
        self._moves: list[tuple[int, int]] = []
        self._marks: list[int] = []

    @property
    def course(self) -> Course:
        """What it showed so far."""
        return Course(moves=tuple(self._moves), marks=tuple(self._marks))

    def now(self) -> int:
        """What the store's clock shows, epoch ms."""
        return self._real() + (self._moves[-1][1] if self._moves else 0)

    def move(self, ms: int) -> None:
        """Set it forward at once, or back."""
        with closing(redis.Redis.from_url(self._url)) as client:
            pipe = client.pipeline(transaction=True)
            pipe.time()
            for shard in range(self._keys.shards):
                pipe.incrby(self._keys.clock(shard), ms)
            (seconds, micros), shift, *_ = pipe.execute()
        self._moves.append((seconds * 1000 + micros // 1000, int(shift)))

    def move_to(self, at: int) -> None:
        """Set it forward to `at`, unless it is later."""
        if (ms := at - self.now()) > 0:
            self.move(ms)

    def mark(self) -> None:
        """Note that nothing is being worked on."""
        self._marks.append(self._real())

    def _real(self) -> int:
        with closing(redis.Redis.from_url(self._url)) as client:
            seconds, micros = client.time()
        return int(seconds) * 1000 + int(micros) // 1000
