"""The verdict over a simulated day: every due time once in the ledger, every tick that was done once in its session."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from services.sessions.trigger_values import TickView
from tests.chaos.api import Detail, Event
from tests.chaos.day_case import Case, Tick, first_due, full, local
from tests.chaos.day_plan import Body
from tests.chaos.day_rules import broken_policies


@dataclass(frozen=True, slots=True, kw_only=True)
class Fire:
    """A person's wish, repeated under one key: the ticks that the answers named."""

    trigger: str
    key: str
    ticks: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DayEvidence:
    """What was seen. `given` are the definitions that were accepted, in order; None for a removal."""

    cases: Mapping[str, Case]
    given: Mapping[str, Sequence[Body | None]]
    fires: Sequence[Fire]
    sessions: Mapping[str, Sequence[Event]]
    statuses: Mapping[str, Detail]
    owed: Mapping[str, float]


@dataclass(slots=True)
class DayVerdict:
    """What was promised and not kept, by trigger, session or what is owed."""

    broken: dict[str, list[str]] = field(default_factory=dict)


def judge_day(evidence: DayEvidence) -> DayVerdict:
    """Hold the evidence against every promise."""
    found: dict[str, list[str]] = defaultdict(list)
    said = _said(evidence.sessions)
    for trigger, case in evidence.cases.items():
        found[trigger] += _ledger(case)
        found[trigger] += broken_policies(case)
        found[trigger] += _sessions(case, said.pop(trigger, {}))
        found[trigger] += _definitions(case, evidence.given.get(trigger, ()))
        found[trigger] += _at_the_end(case)
    for trigger, ticks in said.items():
        found[trigger].append(f"said {sorted(ticks)} and is no trigger")
    for fire in evidence.fires:
        found[fire.trigger] += _fired(evidence.cases[fire.trigger], fire)
    for fires in _by_tick(evidence.fires).values():
        if len({one.key for one in fires}) > 1:
            found[fires[0].trigger].append(f"{len(fires)} keys came to one tick: {fires}")
    for session, events in evidence.sessions.items():
        found[session] += _answers(events)
        if evidence.statuses[session].status != "idle":
            found[session].append(f"its status is {evidence.statuses[session]}")
    found["owed"] += [f"{kind}: {count:g}" for kind, count in evidence.owed.items() if count]
    return DayVerdict({who: broken for who, broken in found.items() if broken})


def _ledger(case: Case) -> Iterator[str]:
    """Every due time is accounted for once, and the rows say so too."""
    rows = Counter(row.due for row in case.rows if not row.tick.startswith("manual-") and row.due <= case.end)
    for due, time in case.expected.items():
        is_pending = bool(time.body["paused"]) and not time.until
        if len(accounts := case.accounts.get(due, ())) != (0 if is_pending else 1):
            yield f"{due} is accounted for {len(accounts)} times: {accounts}"
        if rows[due] != 1:
            yield f"{due} has {rows[due]} rows in the ledger"
    for due in (case.accounts.keys() | rows.keys()) - case.expected.keys():
        yield f"{due} was not due and is in the ledger"
    for row in case.rows:
        if row.due <= case.end and (wrong := _row(case, row)):
            yield f"row {row.tick} {row.state} {row.reason}: {wrong}"


def _row(case: Case, row: TickView) -> str:
    tick = case.ticks.get(row.tick)
    if tick is None:
        return "" if row.state in ("skipped", "expired") else "nothing says so"
    if not tick.ends or tick.ends[0].type != f"tick.{row.state}":
        return f"its stream says {[one.type for one in tick.ends]}"
    if row.state == "dispatched" and not (row.recorded_at and row.claimed_at and row.dispatched_at):
        return "it lacks a time"
    outcomes = [one.payload["outcome"] for one in tick.settled]
    return "" if outcomes == ([row.outcome] if row.outcome else []) else f"its stream says {outcomes}"


def _said(sessions: Mapping[str, Sequence[Event]]) -> dict[str, dict[str, list[tuple[str, Event]]]]:
    """The inputs that ticks made, by trigger and tick."""
    found: dict[str, dict[str, list[tuple[str, Event]]]] = {}
    for session, events in sessions.items():
        for event in events:
            if event.type == "input.received":
                trigger, _, tick = str(event.payload.get("tick")).partition("@")
                found.setdefault(trigger, {}).setdefault(tick, []).append((session, event))
    return found


def _sessions(case: Case, said: Mapping[str, Sequence[tuple[str, Event]]]) -> Iterator[str]:
    """What was dispatched was said once, as it should; nothing else was; in one session in order."""
    rows = {row.tick: row for row in case.rows}
    for name, tick in case.ticks.items():
        is_done = [one.type for one in tick.ends] == ["tick.dispatched"]
        inputs = said.get(name, ())
        if len(inputs) != is_done:
            yield f"{name} {'was' if is_done else 'was not'} dispatched and was said {len(inputs)} times"
        elif is_done and (wrong := _input(case, tick, *inputs[0], row=rows.get(name))):
            yield f"{name} {wrong}"
    if unknown := said.keys() - case.ticks.keys() - {row.tick for row in case.rows if row.due > case.end}:
        yield f"was said to and is no tick of the ledger: {sorted(unknown)}"
    yield from _order(case, said)


def _input(case: Case, tick: Tick, session: str, event: Event, *, row: TickView | None) -> str:
    if row is None or (row.session, row.offset) != (session, event.offset):
        return f"stands at {session}@{event.offset}, which its row does not say"
    body = case.time_of(tick.definition).body
    text = (
        str(body["prompt"]).replace("{due}", local(tick.due, body["tz"])).replace("{trigger}", case.trigger)
    )
    return "" if event.payload["text"] == text else f"said {event.payload['text']!r}, not {text!r}"


def _order(case: Case, said: Mapping[str, Sequence[tuple[str, Event]]]) -> Iterator[str]:
    placed = sorted(
        (one.offset, name)
        for name, inputs in said.items()
        for session, one in inputs
        if name in case.ticks and session == f"trigger:{case.trigger}"
    )
    ticks = [case.ticks[name] for _, name in placed]
    planned = [one.due for one in ticks if not one.is_manual]
    if planned != sorted(planned):
        yield f"the order in its session is not that of the due times: {[name for _, name in placed]}"
    if [one.left for one in ticks] != sorted(one.left for one in ticks):
        yield f"the order in its session is not the one they left in: {[name for _, name in placed]}"


def _definitions(case: Case, given: Sequence[Body | None]) -> Iterator[str]:
    """What people were told is accepted stands in the stream, in order and once."""
    changes = [one for one in case.events if one.type in ("trigger.defined", "trigger.removed")]
    bodies = {time.offset: time.body for time in case.times}
    stored = [bodies.get(one.offset) for one in changes]
    asked = [None if one is None else full(one) for one in given]
    wanted = [one for n, one in enumerate(asked) if not n or one != asked[n - 1]]
    if len(stored) != len(wanted):
        yield f"{len(wanted)} definitions were accepted, {len(stored)} are stored"
    for mine, its in zip(wanted, stored, strict=False):
        if mine != its:
            yield f"{mine} was accepted, {its} is stored"


def _fired(case: Case, fire: Fire) -> Iterator[str]:
    if len(set(fire.ticks)) != 1:
        yield f"the key {fire.key} came to {fire.ticks}"
    rows = [row for row in case.rows if row.tick == fire.ticks[0]]
    if len(rows) != 1 or rows[0].state not in ("dispatched", "skipped", "expired"):
        yield f"{fire.ticks[0]} was asked for and is in the ledger as {rows}"


def _by_tick(fires: Sequence[Fire]) -> dict[tuple[str, str], list[Fire]]:
    found: dict[tuple[str, str], list[Fire]] = defaultdict(list)
    for fire in fires:
        found[fire.trigger, fire.ticks[0]].append(fire)
    return found


def _answers(events: Sequence[Event]) -> Iterator[str]:
    """Every input is in one turn that was settled."""
    settled = Counter(n for one in events if one.type == "turn.settled" for n in one.payload["inputs"])
    for event in events:
        if event.type == "input.received" and settled[event.offset] != 1:
            yield f"input {event.offset} was settled {settled[event.offset]} times"


def _at_the_end(case: Case) -> Iterator[str]:
    """It is not stuck: nothing is open, and it knows when it is due next."""
    last = case.times[-1]
    if case.view.open:
        yield f"{case.view.open} ticks are open"
    if last.until:
        status, due = "removed", None
    elif last.body["paused"]:
        status, due = "paused", None
    else:
        due = first_due(last, case.end)
        status = "active" if due is not None else "done"
    if (case.view.status, case.view.next) != (status, due):
        yield f"it is {case.view.status}, next at {case.view.next}; it should be {status}, at {due}"
