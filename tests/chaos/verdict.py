"""The checker: only what HTTP tells and the fakes noted decides whether a promise was broken."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tests.chaos.api import API, Detail, Event
from tests.chaos.ledger import STARTS_NO_TURN, Ack
from tests.chaos.monkey import Blow
from tests.fakes.callback_server import Received
from tests.fakes.llm_server import Recorded

# A thread of the fake notes a request some time after its first byte came.
NOTED_WITHIN_S = 0.25
# What a process that stood still does at once when it goes on.
WAKING_S = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What a run left behind. `events` by session; `notes` are the lines of the writing tool; `letters` what
    callbacks were told.
    """

    acks: Sequence[Ack]
    events: Mapping[str, Sequence[Event]]
    calls: Sequence[Recorded]
    notes: Sequence[str]
    blows: Sequence[Blow]
    statuses: Mapping[str, Detail]
    due: Mapping[str, float]
    letters: Sequence[Received] = ()


@dataclass(slots=True, kw_only=True)
class Verdict:
    """`broken` promises by session, empty for a run that kept all; `late` calls of processes that stood still."""

    broken: dict[str, list[str]] = field(default_factory=dict)
    late: list[str] = field(default_factory=list)

    def blame(self, session: str, what: str) -> None:
        """Note a broken promise."""
        self.broken.setdefault(session, []).append(what)


def collect(api: API, sessions: Sequence[str]) -> dict[str, list[Event]]:
    """Every event of every session."""
    return {session: api.events(session) for session in sorted(sessions)}


def judge(evidence: Evidence) -> Verdict:
    """Compare what was promised with what happened."""
    verdict = Verdict()
    judge_turns(verdict, evidence)
    _written_once(verdict, evidence)
    _told(verdict, evidence)
    return verdict


def judge_turns(verdict: Verdict, evidence: Evidence) -> None:
    """What is promised of every session, whoever its answers are for."""
    for session, events in evidence.events.items():
        _dense(verdict, session, events)
        _settled_once(verdict, session, events, [ack for ack in evidence.acks if ack.session == session])
        _jobs_settled_once(verdict, session, events)
        _answered(verdict, session, events)
    _no_late_calls(verdict, evidence)
    for session, detail in evidence.statuses.items():
        if detail.status != "idle":
            verdict.blame(session, f"its status is {detail.status}: {detail.wait}")
    for kind, size in evidence.due.items():
        if size:
            verdict.blame("/metrics", f"turnwright_due{{kind={kind}}} is {size:g}")


def counted(blow: Blow, evidence: Evidence) -> bool:
    """Whether an acknowledged turn was not settled at that instant, by the log's own times."""
    ends = _settled_at(evidence.events)
    return any(
        ack.policy not in STARTS_NO_TURN
        and ack.acked_at < blow.at < ends.get((ack.session, ack.offset), float("inf"))
        for ack in evidence.acks
    )


def settled_at(events: Mapping[str, Sequence[Event]]) -> dict[tuple[str, int], float]:
    """When the turn of each input was settled, or the input withdrawn; epoch seconds."""
    return _settled_at(events)


def _settled_at(events: Mapping[str, Sequence[Event]]) -> dict[tuple[str, int], float]:
    found: dict[tuple[str, int], float] = {}
    for session, each in events.items():
        for event in each:
            inputs = event.payload.get("inputs", ()) if event.type == "turn.settled" else ()
            if event.type == "input.withdrawn":
                inputs = (event.payload["input"],)
            for offset in inputs:
                found.setdefault((session, offset), event.created_at / 1000)
    return found


def _dense(verdict: Verdict, session: str, events: Sequence[Event]) -> None:
    offsets = [event.offset for event in events]
    if offsets != list(range(1, len(offsets) + 1)):
        verdict.blame(session, f"its offsets are not dense: {offsets}")


def _settled_once(verdict: Verdict, session: str, events: Sequence[Event], acks: Sequence[Ack]) -> None:
    withdrawn = {event.payload["input"] for event in events if event.type == "input.withdrawn"}
    settled = Counter(
        offset
        for event in events
        if event.type == "turn.settled"
        for offset in event.payload.get("inputs", ())
    )
    for ack in acks:
        times = settled.pop(ack.offset, 0)
        least = 0 if ack.policy in STARTS_NO_TURN or ack.offset in withdrawn else 1
        most = 0 if ack.policy in STARTS_NO_TURN else 1
        if not least <= times <= most:
            verdict.blame(session, f"input {ack.offset} ({ack.policy}) was settled {times} times")
    if settled:
        verdict.blame(session, f"inputs were settled that nobody was told of: {dict(settled)}")


def _jobs_settled_once(verdict: Verdict, session: str, events: Sequence[Event]) -> None:
    for kind in ("llm", "tool"):
        asked = Counter(event.payload["job"] for event in events if event.type == f"{kind}.requested")
        ended = Counter(event.payload["job"] for event in events if event.type == f"{kind}.settled")
        if asked != ended or any(times > 1 for times in asked.values()):
            verdict.blame(session, f"{kind} jobs asked for {dict(asked)} but settled {dict(ended)}")
    began = Counter(event.payload["turn"] for event in events if event.type == "turn.started")
    for turn, times in began.items():
        ends = sum(1 for e in events if e.type == "turn.settled" and e.payload["turn"] == turn)
        if times != 1 or ends != 1:
            verdict.blame(session, f"turn {turn} was started {times} times and settled {ends} times")


def _answered(verdict: Verdict, session: str, events: Sequence[Event]) -> None:
    """No vendor refuses for good here, so a turn that failed was given up too early."""
    for event in events:
        if event.type == "turn.settled" and event.payload["outcome"] in ("failed", "limited"):
            verdict.blame(session, f"turn {event.payload['turn']} failed: {event.payload.get('reason')}")
        if event.type == "processor.faulted":
            verdict.blame(session, f"a processor stopped: {event.payload}")


def overdue(evidence: Evidence) -> list[tuple[float, Recorded]]:
    """For every vendor call how long after its request's settlement it was noted; negative is before."""
    ends = {
        event.payload["job"]: event.created_at / 1000
        for events in evidence.events.values()
        for event in events
        if event.type == "llm.settled"
    }
    return [(call.received_at - ends.get(call.asked.job, 0.0), call) for call in evidence.calls]


def _no_late_calls(verdict: Verdict, evidence: Evidence) -> None:
    stops = [blow for blow in evidence.blows if blow.until]
    for over, call in overdue(evidence):
        if over <= NOTED_WITHIN_S:
            continue
        said = f"the vendor was called {over:.3f} s after {call.asked.job} was settled"
        waking = [blow for blow in stops if 0 <= call.received_at - blow.until <= WAKING_S]
        if waking:
            stops.remove(waking[0])
            verdict.late.append(said)
        else:
            verdict.blame(call.asked.session, said)


def _written_once(verdict: Verdict, evidence: Evidence) -> None:
    written = Counter(tuple(line.split("\t")[:2]) for line in evidence.notes)
    for (session, call), times in written.items():
        if times > 1:
            verdict.blame(session, f"the write of {call} was done {times} times")
    for session, events in evidence.events.items():
        calls = {e.payload["job"]: e.payload for e in events if e.type == "tool.requested"}
        for event in events:
            if event.type != "tool.settled" or event.payload["outcome"] != "succeeded":
                continue
            asked = calls[event.payload["job"]]
            if asked["name"] == "append_note" and not written[session, asked["call"]]:
                verdict.blame(session, f"the write of {asked['call']} is said to be done and is not")


def _told(verdict: Verdict, evidence: Evidence) -> None:
    """Whoever wanted to be called back was, in order, and knows a repeat by its id."""
    ids: dict[tuple[str, int], str] = {}
    for letter in evidence.letters:
        session, turn = letter.data["session"], letter.data["turn"]
        if ids.setdefault((session, turn), letter.id) != letter.id:
            verdict.blame(session, f"turn {turn} was told under two ids")
    order: dict[str, list[int]] = {}
    for session, turn in ids:
        order.setdefault(session, []).append(turn)
    for session, turns in order.items():
        # What waits behind a turn may be cancelled before the turn itself has ended.
        ended = [e.payload["turn"] for e in evidence.events[session] if e.type == "turn.settled"]
        if turns != [turn for turn in ended if turn in turns]:
            verdict.blame(session, f"turns {ended} were told in the order {turns}")
    heard = {(each.data["session"], offset) for each in evidence.letters for offset in each.data["inputs"]}
    ends = _settled_at(evidence.events)
    for ack in evidence.acks:
        gone = {e.payload["input"] for e in evidence.events[ack.session] if e.type == "input.withdrawn"}
        where = (ack.session, ack.offset)
        if ack.is_told and where in ends and ack.offset not in gone and where not in heard:
            verdict.blame(ack.session, f"the callback of input {ack.offset} was not told")
    for session, events in evidence.events.items():
        queued = Counter(e.payload["job"] for e in events if e.type == "reply.queued")
        delivered = Counter(e.payload["job"] for e in events if e.type == "reply.delivered")
        if queued != delivered:
            verdict.blame(session, f"queued replies {dict(queued)} were delivered {dict(delivered)} times")
