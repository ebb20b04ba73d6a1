"""Appends to one stream at a steady rate, from a process of its own, the way a web process does: durably, then a
hint. Finds the platform by the environment. `python -m tests.benchmarks.appender STREAM RATE COUNT` writes JSON.
"""

from __future__ import annotations

import sys
import threading
import time

import msgspec

from services.engine import Engine
from services.foundation import Foundation
from services.settings import load_settings
from services.streams.event import EventInput, StreamId
from services.streams.payload import Policy
from services.streams.vocabulary import InputReceived, StreamCreated
from tasks.celery import create_app
from tasks.hints import CeleryHints

THREADS = 8
TURN_EVERY = 50


class Flood(msgspec.Struct, frozen=True, kw_only=True):
    """What was appended, how fast, and at what cost to this process."""

    appended: int
    turns: int
    wall_s: float
    cpu_s: float


def main() -> None:
    """Append COUNT inputs to STREAM, RATE a second; every 50th starts a turn, the others are silent."""
    stream, rate_per_s, count = StreamId(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3])
    settings = load_settings()
    engine = Engine(Foundation(settings), CeleryHints(create_app(), settings.namespace))
    engine.wake.start()
    created = EventInput.of("stream.created", StreamCreated(source="app"))
    engine.log.append(stream, [_input(1)], create=created)
    began, cpu_s = time.monotonic(), time.process_time()

    def append_share(first: int) -> None:
        for number in range(first, count, THREADS):
            time.sleep(max(0.0, began + number / rate_per_s - time.monotonic()))
            engine.log.append(stream, [_input(number)], external=True)

    threads = [threading.Thread(target=append_share, args=(first,)) for first in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    flood = Flood(
        appended=count,
        turns=len(range(0, count, TURN_EVERY)),
        wall_s=time.monotonic() - began,
        cpu_s=time.process_time() - cpu_s,
    )
    engine.wake.stop()
    engine.store.close()
    sys.stdout.buffer.write(msgspec.json.encode(flood))


def _input(number: int) -> EventInput:
    policy: Policy = "silent" if number % TURN_EVERY else "follow_up"
    return EventInput.of("input.received", InputReceived(text=f"Line {number} of the build.", policy=policy))


if __name__ == "__main__":
    main()
