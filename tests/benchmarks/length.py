"""What a long stream costs: an append to it, and a look at the session, beside the same on a short one.

In this process, on a log store of its own with the embedded default's configuration.
"""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import mkdtemp

from deploy.embedded import EmbeddedStore, make_socket_folder, run_store
from services.engine import Engine
from services.foundation import Foundation
from services.jobs.wake import Hint
from services.processors.advance import Advancer
from services.settings import load_settings
from services.streams.event import EventInput, StreamId
from services.streams.keys import Kind
from services.streams.vocabulary import InputReceived, StreamCreated
from tests.benchmarks.figures import Conditions, Figure, percentile

SHORT = 1_000
LONG = 1_000_000
LONG_SESSION = 100_000
BATCH = 128
RUNS = 5
APPENDS = 400
LOOKS = 100
BOUND = 1.3


def measure_append(conditions: Conditions) -> Sequence[Figure]:
    """Appends to a stream of 10^6 events and to one of 10^3, taking turns."""
    length = conditions.count(LONG)
    with _engine(conditions.scratch) as engine:
        long = _fill(engine, "app:long", length)
        runs = []
        for run in range(RUNS):
            short = _fill(engine, f"app:short-{run}", SHORT)
            runs.append(
                _alternate(
                    lambda short=short: _append(engine, short),  # type: ignore[misc]  # bound for this run
                    lambda: _append(engine, long),
                    conditions.count(APPENDS),
                )
            )
    return [_ratio("append", runs, length, conditions.count(APPENDS))]


def measure_session(conditions: Conditions) -> Sequence[Figure]:
    """What `GET /api/sessions/<id>` reads, of a session of 10^5 events and of one of 10^3, taking turns."""
    length = conditions.count(LONG_SESSION)
    with _engine(conditions.scratch) as engine:
        long, short = _fill(engine, "app:long", length), _fill(engine, "app:short", SHORT)
        advancer = Advancer(engine.log, engine.registry, "bench")
        for stream in (long, short):
            while advancer.advance(stream).behind:
                pass
        pages, looks = engine.sessions().pages, conditions.count(LOOKS)
        runs = [_alternate(lambda: pages.show(short), lambda: pages.show(long), looks) for _ in range(RUNS)]
    return [_ratio("session read", runs, length, looks)]


def _ratio(name: str, runs: Sequence[tuple[float, float]], length: int, samples: int) -> Figure:
    short, long = (statistics.median(run[side] for run in runs) for side in (0, 1))
    return Figure(
        name=f"{name} p50, long : short",
        value=statistics.median(run[1] / run[0] for run in runs),
        unit="x",
        samples=RUNS * samples,
        bound=BOUND,
        note=f"{long:.2f} ms at {length} events, {short:.2f} ms at {SHORT}; median of {RUNS} runs",
    )


def _alternate(short: Callable[[], object], long: Callable[[], object], count: int) -> tuple[float, float]:
    """The median times in ms of both, which take turns, so that both meet the same conditions."""
    times: tuple[list[float], list[float]] = ([], [])
    gc.collect()
    for _ in range(count):
        for act, into in zip((short, long), times, strict=True):
            began = time.perf_counter()
            act()
            into.append((time.perf_counter() - began) * 1000)
    return percentile(times[0], 50), percentile(times[1], 50)


def _append(engine: Engine, stream: StreamId) -> None:
    engine.log.append(stream, [_input(0)])


def _fill(engine: Engine, name: str, length: int) -> StreamId:
    stream = StreamId(name)
    created = EventInput.of("stream.created", StreamCreated(source="app"))
    head = 0
    while head < length:
        inputs = [_input(i) for i in range(min(BATCH - 1, length - head))]
        head = engine.log.append(stream, inputs, create=created).head
    return stream


def _input(number: int) -> EventInput:
    said = InputReceived(text=f"The build of revision {number} has passed.", policy="silent")
    return EventInput.of("input.received", said)


@contextmanager
def _engine(scratch: Path) -> Iterator[Engine]:
    folder = make_socket_folder()
    home = Path(mkdtemp(dir=scratch))
    try:
        with run_store(EmbeddedStore(kind="log", socket=folder / "log.sock", folder=home)) as store:
            settings = load_settings({"TURNWRIGHT_STORE_URL": store.url, "TURNWRIGHT_HOME": str(home)})
            engine = Engine(Foundation(settings), _NoHints())
            with closing(engine.store):
                yield engine
    finally:
        for left in folder.iterdir():
            left.unlink()
        folder.rmdir()


class _NoHints:
    """Nobody works on these streams."""

    def publish(self, hints: Sequence[Hint]) -> None:
        """Nowhere."""

    def backlog(self, kind: Kind) -> int:
        """None."""
        return 0
