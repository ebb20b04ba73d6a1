"""From what was read to what one commit writes. Pure: reads no store, calls nothing outside.

All processors reduce what was read; then each new event is reacted to, and what a reaction emits is fed
back to all of them until nothing more arises. A processor that raises is parked and the rest planned anew.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence

import msgspec

from services.processors.bounds import STATES_LIMIT, TooMany, check_weight
from services.processors.contract import Decision, Moment
from services.processors.decided import Decided
from services.processors.plan import Claimer, NewerVersion, Plan, Reading, claim_nothing
from services.processors.rows import Row, encode_row, left_behind
from services.processors.unit import AnyProcessor, Fault, Unit, Watch, open_unit, watch_nothing
from services.streams.event import Event, EventInput
from services.streams.vocabulary import ProcessorAttached, ProcessorFaulted, ProcessorUnparked

TIME_ROUNDS = 4


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
    rounds = TIME_ROUNDS
    while True:
        try:
            cut = msgspec.structs.replace(reading, events=events)
            made = _Pass(cut, processors, faults, claimer, watch, rounds=rounds).run()
            if not (made.pause and made.claimed):
                return made
            # A paused stream starts no job, not even one that is decided before its pause.
            claimer = claim_nothing
        except Fault as fault:
            faults.append(fault)
        except TooMany as flood:
            if rounds > 1:
                # What time leads to in one round may fit where that of several does not; the next commit goes on.
                rounds = 1
                continue
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
        *,
        rounds: int,
    ) -> None:
        self.reading = reading
        self.rounds = rounds
        self.watch = watch
        self.moment = Moment(stream=reading.stream, now_ms=reading.now_ms)
        self.read_to = reading.events[-1].offset if reading.events else reading.at
        self.out = Plan(read_to=self.read_to, at_ms=reading.now_ms, before={}, after={})
        self.decided = Decided(self.out, claimer)
        self.faults = {fault.name: fault for fault in faults}
        self.others: dict[str, Row] = {}
        self.units = [unit for p in processors if (unit := self._open(p)) is not None]
        known = {p.contract.name for p in processors}
        self.others |= {
            name: left_behind(row, reading.at) for name, row in reading.rows.items() if name not in known
        }
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
                self.decided.add(unit.name, unit.react(event, self.moment), event)
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
        for _ in range(self.rounds):
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
        # At once is a time too: without one nobody would come.
        return min((max(1, at) for at in wakes if at is not None), default=None)

    def _drain(self) -> None:
        while self.queue:
            event, units = self.queue.popleft()
            for unit in units:
                self._decide_fed(unit, unit.react(event, self.moment), event)

    def _decide_fed(self, unit: Unit, decisions: Sequence[Decision], event: Event | None) -> None:
        if not decisions:
            return
        start = len(self.out.events)
        self.decided.add(unit.name, decisions, event)
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

    def _store(self, fields: dict[str, bytes]) -> None:
        sizes: dict[str, int] = {}
        for unit in self.units:
            fields[f"p:{unit.name}"], state = unit.encode(self.read_to)
            fields[f"s:{unit.name}"], sizes[unit.name] = state, len(state)
        if sum(sizes.values()) > STATES_LIMIT:
            raise Fault(max(sizes, key=lambda name: sizes[name]), self.read_to, "StateTooLarge")
