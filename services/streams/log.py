"""Streams of events: append, read, follow, pause. The log store is the only truth.

Writes `log`, `stream`, `key`, `blob`, `ledger`, `recent` and the stream's `advance` due member, by script.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

import msgspec

from services.errors import Conflict, Defect, Invalid, KeyReused, NotFound, Overloaded, StreamPaused
from services.streams.blobs import encode_bodies
from services.streams.commands import Arg
from services.streams.entries import decode_entries, offset_of
from services.streams.event import Event, EventInput, Offset, StreamId
from services.streams.keys import INBOUND, Keys
from services.streams.store import RefusedByScript, Store, translated
from services.streams.tail import Tail
from services.telemetry.context import current
from services.telemetry.conventions import EVENTS, SESSION_ID
from services.telemetry.tracer import Attribute, NoTracer, Tracer, within

SCAN_PAGE = 500
TAIL_PAGE = 200
MOST_EVENTS = 128
DAY_MS = 86_400_000
LEDGER_DAYS = 14


class Appended(msgspec.Struct, frozen=True, kw_only=True):
    """Where the inputs are. `duplicates[i]` says that input i was there before. Times in epoch ms."""

    offsets: list[int]
    duplicates: list[bool]
    head: int
    now: int


class Gated(msgspec.Struct, frozen=True, kw_only=True):
    """Result of pausing or resuming; `changed` is false when it was so already."""

    offset: int
    head: int
    now: int
    changed: bool


class Loaded(msgspec.Struct, frozen=True, kw_only=True):
    """A stream's head, its row of fields and the events behind its checkpoint."""

    head: int
    now: int
    fields: dict[str, bytes]
    events: list[Event]

    @property
    def rev(self) -> int:
        """Counts commits."""
        return int(self.fields.get("rev", b"0"))

    @property
    def at(self) -> int:
        """The offset the stream's processors have reduced."""
        return int(self.fields.get("at", b"0"))

    @property
    def own(self) -> tuple[int, int]:
        """First and last event behind `at` that was reacted to when it was written; (0, 0) for none."""
        first, _, last = self.fields.get("own", b"").decode().partition("-")
        return (int(first), int(last)) if last else (0, 0)

    @property
    def paused(self) -> str | None:
        """Why the stream is paused."""
        reason = self.fields.get("paused")
        return None if reason is None else reason.decode()


class TakenUp(msgspec.Struct, frozen=True, kw_only=True):
    """A stream taken for an advance. `takes`: counted takes since its last commit; `late_ms`: how long it was due."""

    takes: int
    late_ms: int
    loaded: Loaded


def fingerprint(one: EventInput) -> str:
    """What an idempotency key stands for: type and content."""
    digest = hashlib.sha256(one.type.encode() + b"\n" + bytes(one.payload))
    return digest.hexdigest()[:32]


class Log:
    """The streams of one store. `woken` is told which stream has news, after the fact is durable.

    A stream with `most_waiting` inputs unread or pending takes no more external ones; 0 for no bound.
    `guard` raises Overloaded when the store takes no new inputs; what other streams send is not new.
    What is appended belongs to the trace its caller works for, if any.
    """

    def __init__(
        self,
        store: Store,
        keys: Keys,
        *,
        idempotency_days: int = 7,
        most_waiting: int = 0,
        woken: Callable[[StreamId], None] | None = None,
        guard: Callable[[], None] = lambda: None,
        tracer: Tracer | None = None,
    ) -> None:
        self.store = store
        self.keys = keys
        self._most_waiting = most_waiting
        self._idem_ms = idempotency_days * DAY_MS
        self._woken, self._guard = woken, guard
        self._tracer = tracer or NoTracer()

    def append(
        self,
        stream: StreamId,
        inputs: Sequence[EventInput],
        *,
        create: EventInput | None = None,
        if_exists: bool = False,
        expected: Offset | None = None,
        external: bool = False,
        guarded: bool = False,
        existing_wins: bool = False,
        is_activity: bool = True,
        source: tuple[str, int] | None = None,
    ) -> Appended:
        """Append `inputs` in order, durably, at the next offsets.

        `create` goes first when the stream is new. An input whose key is known is not written again.
        Not `is_activity`: it does not move the stream to the front of the recent ones.
        `source` is (stream, n) of a cross-stream append: accepted only as the next n. `external` is what people
        send to a session, `guarded` what else is new to the store.
        Raises: NotFound (`if_exists`), KeyReused, Conflict("offset"), StreamPaused (`external`),
        Invalid (none, or more than 128 inputs), TooLarge, Overloaded, Unavailable.
        """
        if not 0 < len(inputs) <= MOST_EVENTS:
            raise Invalid("events", f"must be 1 to {MOST_EVENTS} at once")
        if guarded or (external and source is None):
            self._guard()
        header: dict[str, object] = {
            "stream": stream,
            "channel": self.keys.tail_channel(stream),
            "create": create is not None,
            "exists": if_exists,
            "expected": -1 if expected is None else expected,
            "external": external,
            "most": self._most_waiting,
            "wins": existing_wins,
            "quiet": not is_activity,
            "source": source[0] if source else "",
            "n": source[1] if source else 0,
            "idem_ms": self._idem_ms,
            "ledger": 0,
            "ledger_ms": LEDGER_DAYS * DAY_MS,
        }
        parent = current()
        if parent is None:
            return self._append(stream, header, inputs, create)
        facts: dict[str, Attribute] = {SESSION_ID: stream, EVENTS: len(inputs)}
        with within(self._tracer.begin("append", parent=parent, attributes=facts), stream) as span:
            traced = [one.under(span.trace) for one in inputs]
            return self._append(stream, header, traced, create and create.under(span.trace))

    def _append(
        self,
        stream: StreamId,
        header: dict[str, object],
        inputs: Sequence[EventInput],
        create: EventInput | None,
    ) -> Appended:
        bodies = encode_bodies(self.store, self.keys, stream, inputs)
        names = [*self._base(stream), self.keys.marks(stream)]
        events = []
        for one, body in zip(inputs, bodies, strict=True):
            k = b = 0
            if one.key:
                names.append(self.keys.key(stream, one.key))
                k = len(names)
            if body.blob:
                names.append(self.keys.blob(stream, body.blob))
                b = len(names)
            events.append({"k": k, "fp": fingerprint(one), "b": b, "id": body.blob})
        if stream.startswith(INBOUND) and all(one.type == "inbound.received" for one in inputs):
            names.append(self.keys.ledger(self.keys.shard(stream)))
            header = {**header, "ledger": len(names)}
        args: list[Arg] = [*([create.encode()] if create else []), *(body.text for body in bodies)]
        try:
            done = self.store.write("append", names, {**header, "events": events}, args, Appended)
        except RefusedByScript as refusal:
            raise _named(refusal, stream) from None
        if self._woken and not all(done.duplicates):
            self._woken(stream)
        return done

    def offset_of(self, stream: StreamId, key: str) -> Offset | None:
        """Where the event with an idempotency key is, as long as keys are kept. Raises: Unavailable."""
        with translated():
            found = self.store.client.get(self.keys.key(stream, key))
        return None if found is None else int(found.partition(b":")[0])

    def gate(self, stream: StreamId, event: EventInput, *, paused: str | None) -> Gated:
        """Pause (`paused` is the reason) or resume (None) with `event`. Raises: NotFound, Unavailable."""
        shard = self.keys.shard(stream)
        names = [
            *self._base(stream),
            self.keys.parked(stream),
            self.keys.due(shard, "llm"),
            self.keys.due(shard, "tool"),
        ]
        header: dict[str, object] = {
            "stream": stream,
            "channel": self.keys.tail_channel(stream),
            "paused": paused or "",
        }
        try:
            done = self.store.write("gate", names, header, [event.encode()], Gated)
        except RefusedByScript as refusal:
            raise _named(refusal, stream) from None
        if self._woken and done.changed:
            self._woken(stream)
        return done

    def load(self, stream: StreamId, *, limit: int = 256) -> Loaded:
        """Row, head and the first `limit` events behind the checkpoint, at one instant."""
        names = [self.keys.log(stream), self.keys.meta(stream), self.keys.clock(self.keys.shard(stream))]
        raw = self.store.raw("load", names, [limit])
        assert isinstance(raw, list)
        return self._loaded(stream, *raw)

    def take_up(
        self, stream: StreamId, *, grace_ms: int, fresh_ms: int = 0, limit: int = 256
    ) -> TakenUp | None:
        """Take a stream that is due for an advance, and load it at that instant; None when it is not due.

        Nobody else gets it within the grace, which is longer for one that was taken often without a commit. One
        that has been due for less than `fresh_ms`, and was not taken before, is loaded only.
        """
        shard, k = self.keys.shard(stream), self.keys
        names = [
            k.due(shard, "advance"),
            k.takes(shard, "advance"),
            k.clock(shard),
            k.log(stream),
            k.meta(stream),
        ]
        raw = self.store.raw("take_up", names, [stream, grace_ms, limit, fresh_ms])
        assert isinstance(raw, list)
        if not raw:
            return None
        takes, late, *loaded = raw
        return TakenUp(takes=takes, late_ms=late, loaded=self._loaded(stream, *loaded))

    def _loaded(
        self,
        stream: StreamId,
        flat: list[bytes],
        entries: Sequence[tuple[bytes, dict[bytes, bytes]]],
        head: int,
        now: int,
    ) -> Loaded:
        fields = {flat[i].decode(): flat[i + 1] for i in range(0, len(flat), 2)}
        return Loaded(
            head=head, now=now, fields=fields, events=decode_entries(self.store, self.keys, stream, entries)
        )

    def read(
        self,
        stream: StreamId,
        *,
        after: Offset = 0,
        upto: Offset | None = None,
        limit: int = 100,
        types: frozenset[str] | None = None,
    ) -> list[Event]:
        """Events after `after` up to `upto` (or the head), oldest first, at most `limit` of `types`."""
        found: list[Event] = []
        last = "+" if upto is None else f"{upto}-0"
        while len(found) < limit:
            size = limit if types is None else SCAN_PAGE
            with translated():
                entries = self.store.client.xrange(self.keys.log(stream), f"{after + 1}-0", last, count=size)
            page = decode_entries(self.store, self.keys, stream, entries, types)
            found += page
            if len(entries) < size:
                break
            after = offset_of(entries[-1][0])
        return found[:limit]

    def read_back(
        self,
        stream: StreamId,
        *,
        before: Offset | None = None,
        limit: int = 100,
        types: frozenset[str] | None = None,
    ) -> list[Event]:
        """Events before `before` (or the head), newest first, at most `limit` of `types`."""
        found: list[Event] = []
        while len(found) < limit and before != 1:
            size = limit if types is None else SCAN_PAGE
            top = "+" if before is None else f"{before - 1}-0"
            with translated():
                entries = self.store.client.xrevrange(self.keys.log(stream), top, "-", count=size)
            found += decode_entries(self.store, self.keys, stream, entries, types)
            if len(entries) < size:
                break
            before = offset_of(entries[-1][0])
        return found[:limit]

    def get(self, stream: StreamId, offset: Offset) -> Event | None:
        """The event at `offset`."""
        found = self.read(stream, after=offset - 1, limit=1)
        return found[0] if found and found[0].offset == offset else None

    def trim(self, stream: StreamId, *, before: Offset) -> int:
        """Let go of the events before an offset, for good; how many those were. Raises: Unavailable."""
        with translated():
            return self.store.client.xtrim(self.keys.log(stream), minid=f"{before}-0", approximate=False)

    def head(self, stream: StreamId) -> Offset:
        """The last offset; 0 when the stream does not exist."""
        return self.load(stream, limit=0).head

    def tail(self, stream: StreamId, *, after: Offset) -> Tail:
        """Follow the stream from `after` on, without gap or repeat."""
        return Tail(
            self.store,
            self.keys.tail_channel(stream),
            lambda at: self.read(stream, after=at, limit=TAIL_PAGE),
            after,
        )

    def recent(self, *, before_ms: int | None = None, limit: int = 50) -> list[tuple[StreamId, int]]:
        """Streams with the newest append first, and when it was. `before_ms` pages on."""
        top = "+inf" if before_ms is None else f"({before_ms}"
        with translated():
            pipe = self.store.client.pipeline(transaction=False)
            for shard in range(self.keys.shards):
                pipe.zrevrangebyscore(self.keys.recent(shard), top, "-inf", 0, limit, withscores=True)
            pages = pipe.execute()
        merged = [(StreamId(name.decode()), int(score)) for page in pages for name, score in page]
        merged.sort(key=lambda pair: (-pair[1], pair[0]))
        return merged[:limit]

    def _base(self, stream: StreamId) -> list[str]:
        shard = self.keys.shard(stream)
        return [
            self.keys.log(stream),
            self.keys.meta(stream),
            self.keys.due(shard, "advance"),
            self.keys.op(shard, "{op}"),
            self.keys.clock(shard),
            self.keys.recent(shard),
        ]


def _named(refusal: RefusedByScript, stream: StreamId) -> Exception:
    match refusal.reason:
        case "not_found":
            return NotFound(f"session {stream}")
        case "key_reused":
            return KeyReused("the idempotency key was used before with other content")
        case "paused":
            return StreamPaused(refusal.detail)
        case "full":
            return Overloaded("too_many_pending_inputs")
        case "blob":
            return Conflict("blob")
        case "done":
            return refusal
        case other:
            return Defect(f"append refused: {other}")
