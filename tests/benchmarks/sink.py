"""Where replies arrive, as a process: notes for each order number when the first reply about it came.

`python -m tests.benchmarks.sink` prints its address. `GET /count` answers how many orders were replied to,
`GET /arrivals` a JSON object {order: seconds on the system's monotonic clock}, and forgets them.
"""

from __future__ import annotations

import re
import time

import msgspec

from tests.benchmarks.endpoint import Caller, serve

_ORDER = re.compile(rb"order (\d+)")


class Sink:
    """What arrived so far, and how many replies came again."""

    def __init__(self) -> None:
        self._arrivals: dict[int, float] = {}
        self._repeats = 0

    def received(self, caller: Caller, first_line: bytes, body: bytes) -> None:
        """See `endpoint.Caller`."""
        if first_line.startswith(b"POST"):
            self._note(body, time.monotonic())
            caller.answer()
        elif b"/count" in first_line:
            caller.answer(msgspec.json.encode({"orders": len(self._arrivals), "repeats": self._repeats}))
        else:
            caller.answer(msgspec.json.encode(self._arrivals))
            self._arrivals, self._repeats = {}, 0

    def _note(self, body: bytes, now: float) -> None:
        if found := _ORDER.search(body):
            self._repeats += int(found[1]) in self._arrivals
            self._arrivals.setdefault(int(found[1]), now)


if __name__ == "__main__":
    serve(Sink().received)
