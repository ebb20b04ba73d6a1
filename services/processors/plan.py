"""From what was read to what one commit writes. Pure: reads no store, calls nothing outside.

All processors reduce what was read; then each new event is reacted to, and what a reaction emits is fed
back to all of them until nothing more arises. A processor that raises is parked and the rest planned anew.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence

import msgspec

from services.processors.bounds import STATES_LIMIT, TooMany, check_decided, check_weight
from services.processors.contract import (
    AppendTo,
    CancelJob,
    Decision,
    Emit,
    Moment,
    SettleJob,
    StartJob,
)
from services.processors.rows import Row, encode_row, left_behind
from services.processors.unit import AnyProcessor, Fault, Unit, Watch, open_unit, watch_nothing
from services.streams.event import Event, EventInput, StreamId
from services.streams.keys import JobKind
from services.streams.vocabulary import (
    JobStarted,
    ProcessorAttached,
    ProcessorFaulted,
    ProcessorUnparked,
    StreamPaused,
)

TIME_ROUNDS = 4
# What the events of a kind of job begin with; the scripts have the same table.
EVENTS: Mapping[JobKind, str] = {"llm": "llm", "tool": "tool", "deliver": "reply"}


class NewerVersion(Exception):
    """The stream was last folded by a newer processor than this worker has."""

    def __init__(self, name: str, version: int) -> None:
        super().__init__(f"{name} v{version}")
        self.name = name
        self.version = version


class Owner(msgspec.Struct, frozen=True):
    """Who decided something, and at which event."""

    name: str
    offset: int


class Plan(msgspec.Struct, kw_only=True):
    """One commit, ready to be encoded. `before`: fields if others appended meanwhile, `after`: if not.

    `at_ms` becomes the time of its events, so that whoever folds them again comes to the same state.
    `parked` are the processors that it parks, `owners` tell who started or settled a job.
    """

    read_to: int
    at_ms: int
    before: dict[str, bytes]
    after: dict[str, bytes]
    events: list[EventInput] = []
    jobs: list[StartJob] = []
    settles: list[SettleJob] = []
    cancels: list[CancelJob] = []
    appends: list[AppendTo] = []
    claimed: dict[str, JobStarted] = {}
    parked: list[str] = []
    owners: dict[str, Owner] = {}
    timer: int | None = None
    behind: bool = False
    pause: str = ""
    waiting: int = 0


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """What a plan starts from: the checkpoint, the new events, and what laggards have not seen.

    `lagging[name]` are events between that processor's offset and the checkpoint.
    """

    stream: StreamId
    at: int
    own: tuple[int, int]
    rows: Mapping[str, Row]
    states: Mapping[str, bytes]
    events: Sequence[Event]
    lagging: Mapping[str, Sequence[Event]]
    now_ms: int


Claimer = Callable[[StartJob], JobStarted | None]
"""Says whether a job just decided is claimed in the same commit, and as what."""


def claim_nothing(job: StartJob) -> JobStarted | None:
    """The claimer of a worker without a free slot."""
    return None


def plan(
    reading: Reading,
    processors: Sequence[AnyProcessor],
    claimer: Claimer = claim_nothing,
    *,
    watch: Watch = watch_nothing,
    guilty: Mapping[str, int] = {},
    known: Sequence[Fault] = (),
) -> Plan:
    """Plan the next commit. A processor's fault parks that processor only; so does being
    `guilty` of crashes or hangs at an offset, and a `known` fault.

    Raises: NewerVersion.
    """
    faults = [*known, *(Fault(name, offset, "CrashOrHang") for name, offset in guilty.items())]
    events = list(reading.events)
    while True:
        try:
            cut = msgspec.structs.replace(reading, events=events)
            made = _Pass(cut, processors, faults, claimer, watch).run()
            if not (made.pause and made.claimed):
                return made
            # A paused stream starts no job, not even one that is decided before its pause.
            claimer = claim_nothing
        except Fault as fault:
            faults.append(fault)
        except TooMany as flood:
            least = max(1, reading.own[1] - reading.at)
            if len(events) <= least:
                faults.append(Fault(flood.name, reading.at + 1, "TooManyEvents"))
            events = events[: max(least, len(events) // 2)]


class _Pass:
    def __init__(
        self,
        reading: Reading,
        processors: Sequence[AnyProcessor],
        faults: Sequence[Fault],
        claimer: Claimer,
        watch: Watch,
    ) -> None:
        self.reading = reading
        self.claimer = claimer
        self.watch = watch
        self.moment = Moment(stream=reading.stream, now_ms=reading.now_ms)
        self.read_to = reading.events[-1].offset if reading.events else reading.at
        self.out = Plan(read_to=self.read_to, at_ms=reading.now_ms, before={}, after={})
        self.faults = {fault.name: fault for fault in faults}
        self.others: dict[str, Row] = {}
        self.units = [unit for p in processors if (unit := self._open(p)) is not None]
        known = {p.contract.name for p in processors}
        self.others |= {
            name: left_behind(row, reading.at) for name, row in reading.rows.items() if name not in known
        }
        self.named: set[str] = set()
        self.main: list[Unit] = []
        self.has_skips = False
        self.audiences: dict[str, tuple[list[Unit], list[Unit]]] = {}
        self.pending: dict[int, tuple[Event, list[Unit]]] = {}
        self.queue: deque[tuple[Event, list[Unit]]] = deque()

    def run(self) -> Plan:
        for fault in self.faults.values():
            self._park(fault)
        self.main = [unit for unit in self.units if self._catch_up(unit)]
        self.has_skips = any(unit.row.skips for unit in self.main)
        for event in self.reading.events:
            self._read(event)
        self._store(self.out.before)
        self._react()
        timer = self._pass_time()
        if self.out.events:
            self._store(self.out.after)
        else:
            self.out.after |= self.out.before
        check_weight(self.out.before, self.out.after, self.out.events, self.out.appends)
        for name, row in self.others.items():
            self.out.before[f"p:{name}"] = self.out.after[f"p:{name}"] = encode_row(row)
        self.out.behind |= any(unit.row.offset is not None for unit in self.units)
        self.out.waiting = sum(unit.waiting(self.read_to) for unit in self.main)
        self.out.timer = timer
        return self.out

    def _read(self, event: Event) -> None:
        """Fold a new event. To be reacted to is what is newer than the anchor and was not fed back already."""
        first, last = self.reading.own
        is_fed = first <= event.offset <= last
        takers, answerers = self._audience(event)
        for unit in takers:
            unit.reduce(event)
        for unit in answerers:
            if unit.row.reacts_to(event.offset) and (unit.lagged or not is_fed):
                self._note(event, unit)
        self._govern(event)

    def _note(self, event: Event, unit: Unit) -> None:
        self.pending.setdefault(event.offset, (event, []))[1].append(unit)

    def _audience(self, event: Event) -> tuple[list[Unit], list[Unit]]:
        """Who of those at the checkpoint the event is for, and who of them answers it."""
        found = self.audiences.get(event.type)
        if found is None:
            takers = [unit for unit in self.main if unit.processor.contract.takes(event.type)]
            answerers = [unit for unit in takers if unit.processor.contract.answers(event.type)]
            found = self.audiences[event.type] = takers, answerers
        if self.has_skips:
            takers, answerers = found
            return [u for u in takers if u.takes(event)], [u for u in answerers if u.takes(event)]
        return found

    def _open(self, processor: AnyProcessor) -> Unit | None:
        contract = processor.contract
        row = self.reading.rows.get(contract.name)
        if row is None:
            anchor = self._attach(contract.name, contract.version)
            row = Row(version=contract.version, anchor=anchor, offset=0 if self.reading.at else None)
            return self._fresh(processor, row)
        if row.version > contract.version:
            raise NewerVersion(contract.name, row.version)
        if contract.name in self.faults or row.status == "parked":
            self.others[contract.name] = row
            return None
        if row.version < contract.version:
            return self._fresh(processor, self._raised(row, contract.version))
        raw = self.reading.states.get(contract.name)
        return open_unit(processor, row, raw, watch=self.watch, offset=self.reading.at + 1)

    def _raised(self, row: Row, version: int) -> Row:
        """The row of a processor that folds the stream anew and goes on reacting where it stood."""
        if row.offset is not None:
            anchor = max(row.anchor, row.offset)
            return msgspec.structs.replace(row, version=version, anchor=anchor, offset=0)
        anchor = max(row.anchor, self.reading.at)
        return msgspec.structs.replace(
            row, version=version, anchor=anchor, offset=0, answered=self.reading.own
        )

    def _fresh(self, processor: AnyProcessor, row: Row) -> Unit | None:
        if processor.contract.name in self.faults:
            self.others[processor.contract.name] = row
            return None
        return open_unit(processor, row, None, watch=self.watch, offset=self.reading.at + 1)

    def _attach(self, name: str, version: int) -> int:
        """The anchor of a processor that is new to the stream: older events are only reduced."""
        for event in self.reading.events:
            if event.type == "processor.attached" and event.decode(ProcessorAttached).name == name:
                return event.offset
        if self.reading.at:
            payload = ProcessorAttached(name=name, version=version)
            self.out.events.append(EventInput.of("processor.attached", payload))
        return self.reading.at

    def _park(self, fault: Fault) -> None:
        row = self.others[fault.name]
        self.out.parked.append(fault.name)
        start = self.reading.at if row.offset is None else row.offset
        self.others[fault.name] = msgspec.structs.replace(
            row,
            status="parked",
            offset=start,
            error=fault.error,
            fault=fault.offset,
            parked_at=self.moment.now_ms,
        )
        payload = ProcessorFaulted(
            name=fault.name, version=row.version, offset=fault.offset, error=fault.error
        )
        self.out.events.append(EventInput.of("processor.faulted", payload))

    def _catch_up(self, unit: Unit) -> bool:
        """Feed a laggard what it missed; True when it stands at the checkpoint now."""
        if unit.row.offset is None:
            return True
        offset = unit.row.offset
        missed = []
        for event in self.reading.lagging.get(unit.name, ()):
            if offset < event.offset <= self.reading.at:
                offset = event.offset
                if not unit.takes(event):
                    continue
                unit.reduce(event)
                if unit.answers(event) and unit.row.reacts_to(offset):
                    missed.append(event)
        caught_up = offset >= self.reading.at
        unit.row = msgspec.structs.replace(unit.row, offset=None if caught_up else offset)
        for event in missed:
            if caught_up:
                self._note(event, unit)
            else:
                self._decide(unit, unit.react(event, self.moment), event)
        return caught_up

    def _govern(self, event: Event) -> None:
        """Decisions of people about parked processors."""
        if event.type not in ("processor.resumed", "processor.skipped"):
            return
        name = event.decode(ProcessorUnparked).name
        row = self.others.get(name)
        if row is None or row.status != "parked" or name in self.faults:
            return
        skips = (*row.skips, row.fault) if event.type == "processor.skipped" else row.skips
        self.others[name] = msgspec.structs.replace(row, status="ok", error="", fault=0, skips=skips)
        self.out.behind = True

    def _react(self) -> None:
        for i, made in enumerate(self.out.events):
            self._feed(self._provisional(made, i))
        for _, (event, units) in sorted(self.pending.items()):
            for unit in units:
                self._decide_fed(unit, unit.react(event, self.moment), event)
                self._drain()

    def _pass_time(self) -> int | None:
        """React to time having passed; when the stream wants to be woken next."""
        for _ in range(TIME_ROUNDS):
            count = len(self.out.events)
            wakes = []
            for unit in self.main:
                at, decisions = unit.on_time(self.moment, self.read_to)
                wakes.append(at)
                self._decide_fed(unit, decisions, None)
                self._drain()
            if len(self.out.events) == count:
                break
        else:
            wakes = [unit.wakes_at(self.read_to) for unit in self.main]
        return min((at for at in wakes if at is not None), default=None)

    def _drain(self) -> None:
        while self.queue:
            event, units = self.queue.popleft()
            for unit in units:
                self._decide_fed(unit, unit.react(event, self.moment), event)

    def _decide_fed(self, unit: Unit, decisions: Sequence[Decision], event: Event | None) -> None:
        if not decisions:
            return
        start = len(self.out.events)
        self._decide(unit, decisions, event)
        for i in range(start, len(self.out.events)):
            self._feed(self._provisional(self.out.events[i], i))

    def _feed(self, event: Event) -> None:
        takers, answerers = self._audience(event)
        for unit in takers:
            unit.reduce(event)
        if answerers:
            self.queue.append((event, answerers))

    def _provisional(self, one: EventInput, index: int) -> Event:
        return one.at(self.read_to + 1 + index, self.reading.now_ms)

    def _decide(self, unit: Unit, decisions: Sequence[Decision], event: Event | None) -> None:
        for one in decisions:
            match one:
                case Emit(event=made):
                    self.out.events.append(_traced(made, event))
                    if made.type == "stream.paused":
                        self.out.pause = msgspec.json.decode(made.payload, type=StreamPaused).reason
                case StartJob():
                    if one.id in self.named:
                        raise Fault(unit.name, event.offset if event else self.read_to, "JobTwice")
                    self.named.add(one.id)
                    self.out.owners[one.id] = Owner(unit.name, event.offset if event else self.read_to)
                    self.out.jobs.append(one)
                    if started := self.claimer(one):
                        self.out.claimed[one.id] = started
                        made = EventInput.of(f"{EVENTS[one.kind]}.started", started)
                        self.out.events.append(_traced(made, event))
                case SettleJob():
                    self.out.owners.setdefault(
                        one.id, Owner(unit.name, event.offset if event else self.read_to)
                    )
                    self._settle(one)
                case CancelJob():
                    self.out.cancels.append(one)
                case AppendTo():
                    traced = msgspec.structs.replace(one, event=_traced(one.event, event))
                    self.out.appends.append(traced)
        out = self.out
        counts = (len(out.events), len(out.jobs), len(out.appends))
        check_decided(unit.name, counts=counts, appends=out.appends)

    def _settle(self, settled: SettleJob) -> None:
        """End a job; one that this very commit would start never comes into being."""
        kept = [job for job in self.out.jobs if job.id != settled.id]
        if len(kept) == len(self.out.jobs):
            self.out.settles.append(settled)
            return
        self.out.jobs = kept
        self.out.claimed.pop(settled.id, None)

    def _store(self, fields: dict[str, bytes]) -> None:
        sizes: dict[str, int] = {}
        for unit in self.units:
            fields[f"p:{unit.name}"], state = unit.encode(self.read_to)
            fields[f"s:{unit.name}"], sizes[unit.name] = state, len(state)
        if sum(sizes.values()) > STATES_LIMIT:
            raise Fault(max(sizes, key=lambda name: sizes[name]), self.read_to, "StateTooLarge")


def _traced(made: EventInput, cause: Event | None) -> EventInput:
    """What follows from an event belongs to its trace and to its chain of causes."""
    if cause is None or (made.trace and made.cause):
        return made
    trace, baggage = (made.trace, made.baggage) if made.trace else (cause.trace, cause.baggage)
    return msgspec.structs.replace(made, trace=trace, baggage=baggage, cause=made.cause or cause.cause)
