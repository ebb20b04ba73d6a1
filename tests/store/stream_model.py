"""What streams, commits, jobs and outboxes should do, as plain lists and dicts. No store, no scripts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from tests.fakes.puppet import SETTLE_MS, Told

LEASE_MS = 15_000
GONE = -1
DELIVERY_LEASE_MS = 60_000
# What the events of a kind of job begin with, and its outcome.
EVENTS = {"llm": "llm", "tool": "tool", "deliver": "reply"}
OUTCOMES = {"llm": "llm.settled", "tool": "tool.settled", "deliver": "reply.delivered"}
UNDELIVERED = ("reply.failed", "reply.uncertain")
Happened = tuple[str, object]
Place = Literal["due", "held", "parked", "waiting", "settled"]


class Dead(Exception):
    """The hand has no lease."""


@dataclass
class Job:
    """One job: where it is, how often it was claimed, what of that cost nothing."""

    kind: str
    stream: str
    place: Place
    at: int
    token: int = 0
    free: int = 0
    holder: str = ""
    queue: str = ""
    leased_until: int = 0


@dataclass
class Entry:
    """Something owed to another stream."""

    target: str
    text: str
    arrived: bool = False


@dataclass
class Stream:
    """One stream: its events, how far they are reduced, and which of the rest need no reaction."""

    events: list[Happened] = field(default_factory=list)
    keys: dict[str, int] = field(default_factory=dict)
    outbox: list[Entry] = field(default_factory=list)
    at: int = 0
    own: tuple[int, int] = (0, 0)
    rev: int = 0
    paused: bool = False

    def unanswered(self) -> list[int]:
        """Offsets behind the checkpoint that are still to be reacted to."""
        return [n for n in range(self.at + 1, len(self.events) + 1) if not self.own[0] <= n <= self.own[1]]


@dataclass
class Draft:
    """What one commit is going to write."""

    read_to: int
    events: list[Happened] = field(default_factory=list)
    jobs: dict[str, Job] = field(default_factory=dict)
    ended: list[str] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)
    pauses: bool = False


class Model:
    """All streams of a key space, and who may work on them until when."""

    def __init__(self, streams: tuple[str, ...]) -> None:
        self.streams = {name: Stream() for name in streams}
        self.jobs: dict[str, Job] = {}
        self.letters: set[str] = set()
        self.leases: dict[str, int] = {}
        self.queues: dict[str, list[str]] = {}
        self.now = 0

    def is_alive(self, hand: str) -> bool:
        """Whether the hand's lease lasts."""
        return self.leases.get(hand, GONE) > self.now

    def append(self, name: str, told: Told, key: str | None = None) -> tuple[int, bool]:
        """Where the event is, and whether it was there before."""
        stream = self.streams[name]
        if key is not None and key in stream.keys:
            return stream.keys[key], True
        if not stream.events:
            stream.events.append(("stream.created", None))
        stream.events.append(("puppet.told", told))
        if key is not None:
            stream.keys[key] = len(stream.events)
        return len(stream.events), False

    def gate(self, name: str, *, pause: bool) -> None:
        """Pause or resume, where that changes anything."""
        stream = self.streams[name]
        if stream.paused == pause:
            return
        stream.paused = pause
        stream.events.append(("stream.paused" if pause else "stream.resumed", None))
        for job in self._jobs_of(name, "parked"):
            job.place, job.at = "due", self.now

    def draft(self, name: str, hand: str, *, claims: bool, outcome: Happened | None = None) -> Draft:
        """What a commit writes that reads everything there is, and `outcome` behind it. Raises: Dead."""
        stream = self.streams[name]
        events = [*stream.events, *([outcome] if outcome else [])]
        unanswered = [*stream.unanswered(), *([len(events)] if outcome else [])]
        draft = Draft(read_to=len(events))
        read = [events[offset - 1][1] for offset in unanswered]
        # A commit that pauses its stream starts no job.
        pauses = any(isinstance(each, Told) and each.pause for each in read)
        wants = claims and not stream.paused and not pauses
        takes = wants and not self._is_behind(name, events, unanswered)
        for offset in unanswered:
            type_, told = events[offset - 1]
            if type_ == "puppet.told":
                assert isinstance(told, Told)
                self._react(name, draft, [*events, *draft.events], offset, told, hand if takes else "")
        if wants and draft.jobs and not self.is_alive(hand):
            raise Dead
        return draft

    def _react(
        self, name: str, draft: Draft, seen: list[Happened], offset: int, told: Told, hand: str
    ) -> None:
        open_jobs = _open(seen)
        draft.events += [("puppet.did", offset)] * (1 + told.emit)
        for job in told.jobs:
            kind, _, id = job.partition(":")
            made = Job(kind, name, "held" if hand else "due", self.now, 1 if hand else 0, 0, hand)
            made.queue, made.leased_until = _queue_of(name, job), self.now + DELIVERY_LEASE_MS
            draft.jobs[f"{name}@{id}"] = made
            draft.events.append(("puppet.owes", job))
            if hand:
                draft.events.append((f"{EVENTS[kind]}.started", (f"{name}@{id}", 1)))
        for job in told.end:
            if job in open_jobs:
                kind, _, id = job.partition(":")
                draft.ended.append(f"{name}@{id}")
                draft.events.append((OUTCOMES[kind], f"{name}@{id}"))
        draft.entries += [Entry(target, f"from {offset}") for target in told.to]
        if told.pause:
            draft.pauses = True
            draft.events.append(("stream.paused", None))

    def _is_behind(self, name: str, events: list[Happened], unanswered: list[int]) -> bool:
        """Whether a delivery that a commit would claim has others before it."""
        before = {queue for queue, ids in self.queues.items() if ids}
        for offset in unanswered:
            told = events[offset - 1][1]
            for job in told.jobs if isinstance(told, Told) else ():
                queue = _queue_of(name, job)
                if queue and queue in before:
                    return True
                before.add(queue)
        return False

    def commit(self, name: str, draft: Draft) -> None:
        """Write a draft; others may have appended since."""
        stream = self.streams[name]
        head = len(stream.events)
        first = head + 1
        stream.events += draft.events
        last = len(stream.events)
        if head == draft.read_to:
            stream.at, stream.own = last, (0, 0)
        else:
            stream.at, stream.own = draft.read_to, ((first, last) if draft.events else (0, 0))
        stream.rev += 1
        stream.paused = stream.paused or draft.pauses
        stream.outbox += draft.entries
        self.jobs.update(draft.jobs)
        for id, job in draft.jobs.items():
            if job.queue:
                ids = self.queues.setdefault(job.queue, [])
                ids.append(id)
                job.place = "waiting" if len(ids) > 1 else job.place
        for id in draft.ended:
            self._end(id)

    def _end(self, id: str) -> None:
        job = self.jobs[id]
        job.place = "settled"
        ids = self.queues.get(job.queue, [])
        if ids[:1] == [id] and len(ids) > 1:
            following = self.jobs[ids[1]]
            following.place, following.at = "due", self.now
        if id in ids:
            ids.remove(id)

    def claim(self, hand: str, id: str) -> Job | None:
        """The job, when the hand has it now. Raises: Dead."""
        if not self.is_alive(hand):
            raise Dead
        job = self.jobs.get(id)
        if job is None or job.place != "due" or job.at > self.now:
            return None
        if self.streams[job.stream].paused and not job.queue:
            job.place = "parked"
            return None
        job.place, job.holder, job.leased_until = "held", hand, self.now + DELIVERY_LEASE_MS
        job.token += 1
        self.streams[job.stream].events.append((f"{EVENTS[job.kind]}.started", (id, job.token)))
        return job

    def holds(self, id: str, token: int) -> bool:
        """Whether a claim still counts."""
        job = self.jobs[id]
        return job.place == "held" and job.token == token

    def settle(self, id: str, outcome: str) -> None:
        """A held job has its outcome. Undelivered replies are kept for people to find."""
        job = self.jobs[id]
        self._end(id)
        if outcome in UNDELIVERED:
            self.letters.add(id)
        self.streams[job.stream].events.append((outcome, id))

    def release(self, id: str, *, delay_ms: int, free: bool) -> None:
        """A held job is due again."""
        job = self.jobs[id]
        job.place, job.at = "due", self.now + delay_ms
        job.free += free
        self.streams[job.stream].events.append((f"{EVENTS[job.kind]}.attempt_failed", id))

    def reap(self, hand: str, *, proven: bool) -> int:
        """Free what a hand held; how many jobs that were."""
        if self.is_alive(hand) and not proven:
            return 0
        self.leases[hand] = GONE
        held = [job for job in self.jobs.values() if job.place == "held" and job.holder == hand]
        for job in held:
            job.place, job.at = "due", self.now + (_patience(job.free) if proven else 0)
            if job.queue:
                job.at = max(job.at, self.now if proven else job.leased_until) + SETTLE_MS
            job.free += proven
        return len(held)

    def deliver(self, name: str, *, crash_before: int | None = None) -> None:
        """Deliver everything owed, or only what comes before the `crash_before`-th new arrival."""
        stream = self.streams[name]
        for n, entry in enumerate(stream.outbox):
            if n == crash_before:
                return
            if not entry.arrived:
                self.append(entry.target, Told(text=entry.text))
                entry.arrived = True
        stream.outbox = []

    def _jobs_of(self, name: str, place: Place) -> list[Job]:
        return [job for job in self.jobs.values() if job.stream == name and job.place == place]


def _open(seen: list[Happened]) -> set[str]:
    """Jobs that were asked for and have no outcome, as `<kind>:<name>`."""
    found: set[str] = set()
    for type_, detail in seen:
        if type_ == "puppet.owes":
            found.add(str(detail))
        elif type_ in (*OUTCOMES.values(), *UNDELIVERED):
            kind = next((kind for kind, outcome in OUTCOMES.items() if outcome == type_), "deliver")
            found.discard(f"{kind}:{str(detail).partition('@')[2]}")
    return found


def _queue_of(name: str, job: str) -> str:
    """The queue of a job `<kind>:<name>`; empty for what is no delivery."""
    kind, _, id = job.partition(":")
    return f"{name}@{id.partition('.')[0]}" if kind == "deliver" else ""


def _patience(free: int) -> int:
    """How long a job rests that saw so many holders die."""
    return min(60_000, 10_000 << (free - 1)) if free else 0
