"""An OTLP collector for measurements, as a process: takes everything over HTTP and keeps only counts.

`python -m tests.benchmarks.collector` prints its address; `GET /count` answers exports and bytes by path.
"""

from __future__ import annotations

from collections import Counter

import msgspec

from tests.benchmarks.endpoint import Caller, serve


class Collector:
    """Exports and bytes so far, by path."""

    def __init__(self) -> None:
        self._exports: Counter[str] = Counter()
        self._bytes: Counter[str] = Counter()

    def received(self, caller: Caller, first_line: bytes, body: bytes) -> None:
        """See `endpoint.Caller`. An empty answer is an empty protobuf message: all was accepted."""
        if first_line.startswith(b"POST"):
            path = first_line.split()[1].decode()
            self._exports[path] += 1
            self._bytes[path] += len(body)
            caller.answer(type="application/x-protobuf")
        else:
            caller.answer(msgspec.json.encode({"exports": self._exports, "bytes": self._bytes}))


if __name__ == "__main__":
    serve(Collector().received)
