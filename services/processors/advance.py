"""Advancing a stream: load, plan, commit; and settling a job together with the commit that follows.

Writes through `commit` and `settle` only. Needs no lease: of two that advance one stream the slower one
finds a higher `rev` and starts over.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

import msgspec

from services.clock import boot_s
from services.errors import Conflict
from services.processors.commit import CommitReply, Draft, SettleReply, Terms
from services.processors.contract import StartJob
from services.processors.drawing import Drawing
from services.processors.late import note_late
from services.processors.plan import Claimer, NewerVersion, Plan, claim_nothing
from services.processors.planning import plan
from services.processors.reader import Reader
from services.processors.registry import ProcessorRegistry
from services.processors.unit import Fault
from services.streams.event import Event, EventInput, JobId, StreamId
from services.streams.keys import JobKind
from services.streams.log import Loaded, Log, TakenUp
from services.streams.near import newest
from services.streams.store import RefusedByScript

ATTEMPTS = 8
JOB_RACES = 3
UNDELIVERED = ("reply.uncertain", "reply.failed")


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """A stream as this process last saw it: its row, its head, and what is `unread` between.

    `near` are the newest events, up to the head. `now` is the store's time then, `taken` this process's, so that
    a later use knows how much passed.
    """

    rev: int
    head: int
    fields: Mapping[str, bytes]
    unread: tuple[Event, ...] = ()
    near: tuple[Event, ...] = ()
    now: int
    taken: float


class Advanced(msgspec.Struct, frozen=True, kw_only=True):
    """What a commit left behind. `claimed` are ours to run now, `owed` wait for anybody with a free slot.

    `following` is a delivery whose turn it is now, as the one before it is settled.
    `asked`: when the commit was sent, on the clock that goes on while the machine sleeps (seconds).
    `behind`: the stream is due again at once; `timer`: at that epoch ms. `standing` is None when others
    appended meanwhile.
    """

    claimed: tuple[StartJob, ...] = ()
    owed: tuple[StartJob, ...] = ()
    delivers: bool = False
    following: JobId | None = None
    behind: bool = False
    timer: int | None = None
    now: int = 0
    asked: float = 0.0
    standing: Standing | None = None


class Committed(msgspec.Struct, frozen=True, kw_only=True):
    """What a commit or a settlement did: `read` led to `written`, at `now` (epoch ms of the store).

    `began_s` (epoch, this process's) and `late_ms`, how long the stream had been due, are 0 for a settlement.
    """

    stream: StreamId
    read: Sequence[Event] = ()
    written: Sequence[EventInput] = ()
    now: int
    began_s: float = 0.0
    late_ms: int = 0


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """A claimed job: who may settle it."""

    kind: JobKind
    id: JobId
    stream: StreamId
    token: int
    destination: str = ""


class Advancer:
    """Advances streams in the name of one incarnation. Rows of settled jobs stay for `keep_jobs_s`.

    `clock`, in seconds, goes on while the machine sleeps: it tells how old a standing or a claim is. `is_dead`
    tells of an incarnation whether its process is known to be gone. `committed` hears what was written, right
    after; it never raises.
    """

    def __init__(
        self,
        log: Log,
        registry: ProcessorRegistry,
        incarnation: str,
        *,
        keep_jobs_s: int = 86_400,
        delivery_lease_s: float = 60.0,
        clock: Callable[[], float] = boot_s,
        is_dead: Callable[[str], bool] = lambda incarnation: False,
        committed: Callable[[Committed], None] = lambda done: None,
    ) -> None:
        self._drawing = Drawing(log, registry, incarnation, is_dead)
        self._committed = committed
        self._log = log
        self._registry = registry
        self._reader = Reader(log, registry)
        self.incarnation = incarnation
        self._terms = Terms(
            incarnation=incarnation, lease_ms=int(delivery_lease_s * 1000), keep_s=keep_jobs_s
        )
        self._clock = clock

    def take_up(self, stream: StreamId, *, grace_ms: int, fresh_ms: int = 0) -> TakenUp | None:
        """Take a stream that is due, for the advance that is to follow; see `Log.take_up`. Raises: Unavailable."""
        return self._log.take_up(stream, grace_ms=grace_ms, fresh_ms=fresh_ms)

    def advance(
        self, stream: StreamId, claimer: Claimer = claim_nothing, taken: TakenUp | None = None
    ) -> Advanced:
        """Commit what follows from everything unread, up to a bounded chunk.

        `taken`: how the stream was taken up for it. After three takes without a commit it runs in isolation, and
        with plugins as soon as a process ended in a run with any.
        Raises: NewerVersion, Conflict after many lost races, Revoked, Unavailable.
        """
        faults: list[Fault] = []
        takes, late_ms = (taken.takes, taken.late_ms) if taken else (0, 0)
        fresh = taken.loaded if taken else None
        for left in reversed(range(ATTEMPTS)):
            began_s = time.time()
            loaded = self._reader.load(stream, fresh)
            fresh = None
            if loaded.head == 0:
                return Advanced()
            reading, processors = self._reader.reading(stream, loaded, loaded.events)
            chosen = claim_nothing if loaded.paused is not None else claimer
            sketch = self._drawing.sketch(reading, processors, takes=takes)
            drawn = sketch.draw(chosen, known=faults)
            draft = self._draft(stream)
            header = {"c": draft.commit(drawn, rev=loaded.rev, known=loaded.fields)}
            asked = self._clock()
            try:
                reply = self._log.store.write("commit", draft.keys(), header, draft.bodies, CommitReply)
            except Conflict as conflict:
                if not left:
                    raise
                if left < ATTEMPTS - JOB_RACES and conflict.reason in ("job_exists", "job_settled"):
                    faults = sketch.blamed(drawn)
                continue
            except RefusedByScript as refusal:
                if refusal.reason not in ("paused", "behind") or not left:
                    raise
                claimer = claim_nothing
                continue
            sketch.committed(drawn)
            done = Committed(
                stream=stream,
                read=reading.events,
                written=drawn.events,
                now=reply.now,
                began_s=began_s,
                late_ms=late_ms,
            )
            self._committed(done)
            near = newest(reading.events, _written(drawn))
            return _advanced(drawn, reply, loaded.fields, near, taken=self._clock(), asked=asked)
        raise Conflict("rev")

    def stand(self, stream: StreamId) -> Standing | None:
        """The stream as it is now, or None when more is unread than one page."""
        loaded = self._reader.load(stream)
        if loaded.events and loaded.events[-1].offset != loaded.head:
            return None
        return Standing(
            rev=loaded.rev,
            head=loaded.head,
            fields=loaded.fields,
            unread=tuple(loaded.events),
            near=newest(loaded.events),
            now=loaded.now,
            taken=self._clock(),
        )

    def settle(
        self,
        held: Held,
        outcome: Sequence[EventInput],
        standing: Standing | None,
        claimer: Claimer = claim_nothing,
    ) -> Advanced | None:
        """Settle a job with `outcome`, and ride the next commit when nothing came between.

        None when the job was settled or taken over before: the outcome counts for nothing.
        Raises: Unavailable, Revoked.
        """
        draft = self._draft(held.stream)
        job = draft.settled(
            held.kind,
            held.id,
            token=held.token,
            destination=held.destination,
            is_letter=outcome[-1].type in UNDELIVERED,
        )
        job["incarnation"] = self.incarnation
        header: dict[str, object] = {
            "stream": held.stream,
            "channel": self._log.keys.tail_channel(held.stream),
            "job": job,
            "events": draft.events(outcome),
        }
        drawn = None if standing is None else self._ride(held.stream, outcome, standing, claimer)
        if drawn is not None and standing is not None:
            header["c"] = draft.commit(drawn, rev=standing.rev, known=standing.fields)
        asked = self._clock()
        try:
            reply = self._log.store.write("settle", draft.keys(), header, draft.bodies, SettleReply)
        except RefusedByScript as refusal:
            if refusal.reason == "late":
                note_late(self._log, held.id, self.incarnation, outcome[-1], attempt=held.token)
                return None
            raise
        ridden = drawn.events if drawn is not None and reply.commit is not None else []
        written = [*outcome, *ridden]
        self._committed(Committed(stream=held.stream, written=written, now=reply.now))
        if reply.commit is None or drawn is None or standing is None:
            return Advanced(behind=True, following=reply.following, now=reply.now)
        settled = [one.at(standing.head + 1 + i, drawn.at_ms) for i, one in enumerate(outcome)]
        near = newest(standing.near, settled, _written(drawn))
        advanced = _advanced(drawn, reply.commit, standing.fields, near, taken=self._clock(), asked=asked)
        if reply.following is None:
            return advanced
        return msgspec.structs.replace(advanced, following=reply.following)

    def _draft(self, stream: StreamId) -> Draft:
        return Draft(self._log, stream, self._terms)

    def _ride(
        self, stream: StreamId, outcome: Sequence[EventInput], standing: Standing, claimer: Claimer
    ) -> Plan | None:
        """The commit to send with a settlement. None where a plugin takes part: were it to crash this
        process, the outcome that was paid for would be lost with it."""
        now = standing.now + int((self._clock() - standing.taken) * 1000)
        events = [*standing.unread, *(one.at(standing.head + 1 + i, now) for i, one in enumerate(outcome))]
        loaded = Loaded(head=events[-1].offset, now=now, fields=dict(standing.fields), events=events)
        reading, processors = self._reader.reading(stream, loaded, events)
        if not self._registry.are_builtin(processors):
            return None
        try:
            return plan(reading, processors, claim_nothing if loaded.paused is not None else claimer)
        except NewerVersion:
            return None


def _written(drawn: Plan) -> list[Event]:
    """The events of a commit that moved the checkpoint to the head."""
    return [one.at(drawn.read_to + 1 + i, drawn.at_ms) for i, one in enumerate(drawn.events)]


def _advanced(
    drawn: Plan,
    reply: CommitReply,
    known: Mapping[str, bytes],
    near: tuple[Event, ...],
    *,
    taken: float,
    asked: float,
) -> Advanced:
    standing = None
    if reply.moved and not drawn.behind:
        fields = dict(known) | drawn.after
        fields |= {"rev": str(reply.rev).encode(), "at": str(reply.head).encode(), "own": b""}
        if drawn.appends:
            fields["outbox"] = str(int(known.get("outbox", b"1")) + len(drawn.appends)).encode()
        if drawn.pause:
            fields["paused"] = drawn.pause.encode()
        standing = Standing(
            rev=reply.rev, head=reply.head, fields=fields, near=near, now=reply.now, taken=taken
        )
    return Advanced(
        claimed=tuple(job for job in drawn.jobs if job.id in drawn.claimed),
        owed=tuple(job for job in drawn.jobs if job.id not in drawn.claimed),
        delivers=bool(drawn.appends),
        behind=not reply.moved or drawn.behind,
        timer=drawn.timer,
        now=reply.now,
        asked=asked,
        standing=standing,
    )
