"""Who is guilty of a crash: processors in which processes ended, not those that are merely run at the same time."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator, Sequence

import msgspec
import pytest

from services.processors.advance import Advancer
from services.processors.contract import Contract, Processor
from services.processors.isolation import ENDED_RUNS, WINDOW_MS, Isolation
from services.processors.registry import ProcessorRegistry
from services.processors.rows import rows_of
from services.streams.event import Event, EventInput, StreamId
from services.streams.vocabulary import ProcessorFaulted, ProcessorUnparked
from tests.fakes.puppet import CREATED, Puppet, Told, tell
from tests.fakes.store_stage import LEASE_MS, Stage

BUSY = StreamId("app:busy")
VERSIONS = {"agent": 1, "brittle": 1, "harmless": 1}


class Seen(msgspec.Struct, frozen=True):
    """No state."""


class Brittle(Processor[Seen]):
    """Stands still at the word `die`, until the test is over, and at `wait` until `goes_on`."""

    contract = Contract(name="brittle", version=1, consumes=frozenset({"puppet.told"}))
    state = Seen

    def __init__(self) -> None:
        self.is_in, self.is_over = threading.Semaphore(0), threading.Event()
        self.goes_on = threading.Event()

    def reduce(self, state: Seen, event: Event) -> Seen:
        """Stumble."""
        if event.decode(Told).text == "die":
            self.is_in.release()
            self.is_over.wait()
            raise InterruptedError
        if event.decode(Told).text == "wait":
            self.is_in.release()
            self.goes_on.wait()
        return state


def _run_until(
    stage: Stage, processor: str, *, worker: str, stream: StreamId = BUSY, version: int = 1
) -> set[str]:
    """A watched run that is at `processor` and does not come back; who was guilty when it began."""
    stage.hand(worker)
    run = Isolation(stage.store, stage.keys, stream, worker)
    guilty = _guilty(run, version)
    run.watch("harmless", 6)
    run.watch(processor, 7)
    return guilty


def _guilty(run: Isolation, version: int = 1) -> set[str]:
    found = run.begin(dict.fromkeys(VERSIONS, version))
    return {name for name, guilt in found.items() if guilt.is_proven(builtin=name == "agent")}


def _end_runs(stage: Stage, processor: str, streams: Sequence[StreamId], *, version: int = 1) -> None:
    for i, stream in enumerate(streams):
        _run_until(stage, processor, worker=f"{processor}-{i}", stream=stream, version=version)
        stage.pass_time(LEASE_MS + 1)


def _at(stage: Stage, stream: StreamId, name: str = "late") -> Isolation:
    stage.hand(name)
    return Isolation(stage.store, stage.keys, stream, name)


def test_a_processor_in_which_three_processes_ended_is_guilty(stage: Stage) -> None:
    for i in range(ENDED_RUNS):
        assert _run_until(stage, "brittle", worker=f"worker-{i}") == set()
        stage.pass_time(LEASE_MS + 1)

    guilt = _at(stage, BUSY).begin(VERSIONS)["brittle"]

    assert (guilt.anywhere, guilt.here, guilt.offset) == (3, 3, 7)


def test_runs_of_living_workers_at_the_same_time_make_nobody_guilty(stage: Stage) -> None:
    for i in range(3 * ENDED_RUNS):
        assert _run_until(stage, "agent", worker=f"worker-{i}") == set()


def test_two_that_see_the_same_ended_run_count_it_once(stage: Stage) -> None:
    _end_runs(stage, "brittle", [BUSY] * (ENDED_RUNS - 1))

    seen = [_guilty(_at(stage, BUSY, name)) for name in ("first", "second")]

    assert seen == [set(), set()]


def test_a_plugin_is_guilty_of_what_it_did_to_other_streams_and_a_builtin_is_not(stage: Stage) -> None:
    streams = [StreamId(f"app:poisoned-{n}") for n in range(ENDED_RUNS)]
    _end_runs(stage, "brittle", streams)
    _end_runs(stage, "agent", streams)

    assert _guilty(_at(stage, BUSY)) == {"brittle"}


def test_another_version_of_a_processor_is_not_guilty_and_neither_is_one_whose_crashes_are_old(
    stage: Stage,
) -> None:
    _end_runs(stage, "brittle", [BUSY] * ENDED_RUNS)
    assert _guilty(_at(stage, BUSY), version=2) == set()

    stage.pass_time(WINDOW_MS + 1)

    assert _guilty(_at(stage, BUSY, "later")) == set()


def test_a_process_known_to_be_gone_counts_before_its_lease_is_over(stage: Stage) -> None:
    for i in range(ENDED_RUNS):
        _run_until(stage, "brittle", worker=f"worker-{i}")
    stage.hand("late")

    run = Isolation(stage.store, stage.keys, BUSY, "late", lambda name: name.startswith("worker"))

    assert _guilty(run) == {"brittle"}


def test_a_process_that_ended_in_two_processors_at_once_accuses_neither(stage: Stage) -> None:
    for i in range(ENDED_RUNS):
        _run_until(stage, "brittle", worker=f"worker-{i}")
        other = Isolation(stage.store, stage.keys, StreamId("app:other"), f"worker-{i}")
        other.begin(VERSIONS)
        other.watch("harmless", 3)
        stage.pass_time(LEASE_MS + 1)

    run = _at(stage, BUSY)

    assert (_guilty(run), run.is_suspicious) == (set(), True)


def test_a_commit_forgets_earlier_ends_of_whom_it_does_not_park(stage: Stage) -> None:
    _end_runs(stage, "brittle", [BUSY] * ENDED_RUNS)
    run = _at(stage, BUSY)
    assert _guilty(run) == {"brittle"}

    run.end()
    run.committed(["brittle"])
    assert _guilty(_at(stage, BUSY)) == {"brittle"}
    run.committed([])

    assert _guilty(_at(stage, BUSY)) == set()


class Fragile:
    """A stage where `brittle` runs beside the puppet on every stream, and one worker after the other ends in it."""

    def __init__(self, stage: Stage) -> None:
        self.stage, self.brittle = stage, Brittle()
        self.registry = ProcessorRegistry([Puppet()], {"brittle": self.brittle}, [("brittle", "*")])
        self.dead: set[str] = set()
        self.threads: list[threading.Thread] = []

    def say(self, stream: StreamId, text: str, event: EventInput | None = None) -> None:
        """Append; the stream begins with it."""
        self.stage.log.append(stream, [event or tell(Told(text=text))], create=CREATED)

    def worker(self) -> Advancer:
        """A new worker."""
        name = self.stage.hand(f"w{uuid.uuid4().hex}").name
        return Advancer(self.stage.log, self.registry, name, is_dead=self.dead.__contains__)

    def advance(self, stream: StreamId) -> None:
        """A new worker takes the stream and outlives it."""
        self.worker().advance(stream)

    def ends(self, stream: StreamId) -> None:
        """A new worker takes the stream and ends in it."""
        worker = self.worker()
        self.starts(stream, worker)
        assert self.brittle.is_in.acquire(timeout=10)
        self.dead.add(worker.incarnation)

    def starts(self, stream: StreamId, worker: Advancer) -> threading.Thread:
        """A worker takes the stream."""
        self.threads.append(threading.Thread(target=lambda: worker.advance(stream), daemon=True))
        self.threads[-1].start()
        return self.threads[-1]

    def faults(self, stream: StreamId) -> list[tuple[str, int]]:
        """Who was parked, before which event."""
        return [(one.name, one.offset) for one in self._faults(stream)]

    def errors(self, stream: StreamId) -> list[str]:
        """Why they were parked."""
        return [one.error for one in self._faults(stream)]

    def _faults(self, stream: StreamId) -> list[ProcessorFaulted]:
        return [e.decode(ProcessorFaulted) for e in self.stage.events(stream) if e.type.endswith("faulted")]

    def close(self) -> None:
        """Let the threads end."""
        self.brittle.is_over.set()
        self.brittle.goes_on.set()
        for thread in self.threads:
            thread.join(10)


@pytest.fixture
def fragile(stage: Stage) -> Iterator[Fragile]:
    made = Fragile(stage)
    yield made
    made.close()


POISONED = [StreamId(f"app:poisoned-{n}") for n in range(7)]


def test_a_plugin_that_ends_whoever_runs_it_ends_three_however_many_streams_are_poisoned(
    fragile: Fragile,
) -> None:
    for stream in POISONED:
        fragile.say(stream, "die")
    for stream in POISONED[:ENDED_RUNS]:
        fragile.ends(stream)

    for stream in POISONED:
        fragile.advance(stream)

    assert [fragile.faults(stream) for stream in POISONED] == [[("brittle", 2)]] * len(POISONED)
    assert all("puppet.did" in fragile.stage.types(stream) for stream in POISONED)


def test_a_stream_that_goes_on_without_a_parked_plugin_does_not_clear_it_for_others(fragile: Fragile) -> None:
    for stream in POISONED:
        fragile.say(stream, "die")
    for stream in POISONED[:ENDED_RUNS]:
        fragile.ends(stream)
    for stream in POISONED[:ENDED_RUNS]:
        fragile.advance(stream)
        fragile.say(stream, "fine")
        fragile.advance(stream)

    fragile.advance(POISONED[-1])

    assert fragile.faults(POISONED[-1]) == [("brittle", 2)]


def test_who_waited_for_its_turn_learns_whom_others_ended_in_meanwhile(fragile: Fragile) -> None:
    fragile.say(BUSY, "wait")
    for stream in POISONED:
        fragile.say(stream, "die")
    fragile.ends(POISONED[0])
    worker = fragile.worker()
    fragile.starts(BUSY, worker)
    assert fragile.brittle.is_in.acquire(timeout=10)
    waiting = fragile.starts(POISONED[2], worker)
    for stream in POISONED[3:5]:
        fragile.ends(stream)

    fragile.brittle.goes_on.set()
    waiting.join(10)

    assert fragile.errors(POISONED[2]) == ["CrashOrHang"]


def test_a_plugin_that_was_parked_for_crashes_is_named_once_and_goes_on_when_a_person_says_so(
    fragile: Fragile,
) -> None:
    stream = POISONED[0]
    fragile.say(stream, "die")
    for _ in range(ENDED_RUNS):
        fragile.ends(stream)
    fragile.advance(stream)
    fragile.say(stream, "fine")
    fragile.advance(stream)
    assert fragile.faults(stream) == [("brittle", 2)]

    skipped = EventInput.of("processor.skipped", ProcessorUnparked(name="brittle"))
    fragile.say(stream, "", skipped)
    fragile.advance(stream)
    fragile.advance(stream)

    row = rows_of(fragile.stage.log.load(stream).fields)["brittle"]
    assert (row.status, row.offset, row.skips) == ("ok", None, (2,))
    assert fragile.faults(stream) == [("brittle", 2)]


def test_a_plugin_is_not_parked_where_nothing_is_for_it(fragile: Fragile) -> None:
    for stream in POISONED[:ENDED_RUNS]:
        fragile.say(stream, "die")
        fragile.ends(stream)
    quiet = EventInput(type="nobody.listens", payload=msgspec.Raw(b"{}"))
    fragile.say(BUSY, "", quiet)

    fragile.advance(BUSY)

    assert fragile.faults(BUSY) == []


def test_a_run_without_crashes_leaves_nothing_behind(fragile: Fragile) -> None:
    fragile.say(BUSY, "fine")

    fragile.advance(BUSY)

    assert fragile.stage.store.client.hgetall(fragile.stage.keys.guilt) == {}
