"""Which signs may be shown: written down before one is shown, taken out when it is surely gone.

So whoever dies between a sign and its end leaves a note of it, and an end that fails is tried again by somebody.
Writes `signs` and `signs-due`. A member without its record, which a crash may leave, is dropped when it is due.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import msgspec

from services.channels.signs import Turn
from services.streams.event import StreamId
from services.streams.keys import Keys
from services.streams.store import Store, translated
from services.streams.vocabulary import InputReceived

# A request that shows a sign has arrived by then, or never will.
SHOWING_S = 15.0
# How often somebody looks whether a turn still runs whose sign is shown: mostly its answer was first.
LOOK_S = 60.0
# Whoever takes one on has so long, before another one does.
TAKEN_S = 60.0


class Sign(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One that may be shown of a turn of `session` that began at `began_at`, where its input says.

    `is_showing`: the request that shows it may be on its way. `tries` ends failed, from `failing_since` on. Epoch ms.
    """

    session: str
    reply_to: str
    message: str = ""
    began_at: int
    is_showing: bool = False
    tries: int = 0
    failing_since: int = 0

    @classmethod
    def of(cls, turn: Turn, *, is_showing: bool = False) -> Sign:
        """The sign of `turn`."""
        return cls(
            session=turn.session,
            reply_to=turn.said.reply_to or "",
            message=turn.said.message,
            began_at=turn.began_at,
            is_showing=is_showing,
        )

    def turn(self) -> Turn:
        """As much of the turn as it takes to end its sign."""
        return Turn(
            session=StreamId(self.session),
            said=InputReceived(text="", reply_to=self.reply_to, message=self.message),
            is_running=False,
            began_at=self.began_at,
        )


class Shown:
    """The signs of one store, by their names. Every method raises Unavailable. `wall_s` is epoch seconds."""

    def __init__(self, store: Store, keys: Keys, *, wall_s: Callable[[], float] = time.time) -> None:
        self._store, self._keys, self._wall_s = store, keys, wall_s

    def now_ms(self) -> int:
        """Epoch milliseconds."""
        return int(self._wall_s() * 1000)

    def keep(self, name: str, sign: Sign, *, look_in_s: float) -> None:
        """Write down what is known of it, and when to look after it."""
        signs, due = self._places(sign.session)
        with translated():
            pipe = self._store.client.pipeline(transaction=False)
            pipe.zadd(due, {name: self.now_ms() + int(look_in_s * 1000)})
            pipe.hset(signs, name, msgspec.json.encode(sign))
            pipe.execute()

    def find(self, session: str, name: str) -> Sign | None:
        """What is known of one of `session`."""
        with translated():
            found = self._store.client.hget(self._places(session)[0], name)
        return _read(found)

    def gone(self, session: str, name: str) -> None:
        """Nothing is shown of it any more."""
        signs, due = self._places(session)
        with translated():
            pipe = self._store.client.pipeline(transaction=False)
            pipe.hdel(signs, name)
            pipe.zrem(due, name)
            pipe.execute()

    def take(self, most: int) -> list[tuple[str, Sign]]:
        """Those that somebody has to look after now; for a while nobody else is told of them."""
        now, found = self.now_ms(), []
        for shard, names in enumerate(self._due(now, most)):
            for name in names:
                sign = self._taken(shard, name, now)
                if sign is not None:
                    found.append((name, sign))
        return found[:most]

    def failing(self) -> int:
        """How many signs are shown whose end failed, and is tried again."""
        with translated():
            pipe = self._store.client.pipeline(transaction=False)
            for shard in range(self._keys.shards):
                pipe.hgetall(self._keys.signs(shard))
            rows = pipe.execute()
        signs = [_read(value) for row in rows for value in row.values()]
        return sum(each is not None and each.tries > 0 for each in signs)

    def _due(self, now: int, most: int) -> list[list[str]]:
        with translated():
            pipe = self._store.client.pipeline(transaction=False)
            for shard in range(self._keys.shards):
                pipe.zrangebyscore(self._keys.signs_due(shard), 0, now, 0, most)
            return [[name.decode() for name in names] for names in pipe.execute()]

    def _taken(self, shard: int, name: str, now: int) -> Sign | None:
        signs, due = self._keys.signs(shard), self._keys.signs_due(shard)
        with translated():
            sign = _read(self._store.client.hget(signs, name))
            pipe = self._store.client.pipeline(transaction=False)
            if sign is None:
                pipe.zrem(due, name)
            else:
                pipe.zadd(due, {name: now + int(TAKEN_S * 1000)}, xx=True)
            pipe.execute()
        return sign

    def _places(self, session: str) -> tuple[str, str]:
        shard = self._keys.shard(session)
        return self._keys.signs(shard), self._keys.signs_due(shard)


def _read(found: bytes | None) -> Sign | None:
    """None also for what a newer release wrote in another way: it looks after that itself."""
    try:
        return None if found is None else msgspec.json.decode(found, type=Sign)
    except msgspec.DecodeError:
        return None
