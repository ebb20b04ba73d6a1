"""The due sets: who is owed work of a kind, and from when. Queue and timer at once.

Takes put members off by a grace; only commits, settlements and claims remove them.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from services.streams.keys import KINDS, Keys, Kind, held_jobs
from services.streams.store import Store, translated
from services.streams.store_time import ms_of


class Taken(msgspec.Struct, frozen=True):
    """A member taken for work. `late_ms`: how long it was due; `takes`: counted takes without a commit."""

    id: str
    late_ms: int
    takes: int


class Due(msgspec.Struct, frozen=True):
    """A member of a due set and its score in epoch ms."""

    kind: Kind
    shard: int
    id: str
    at: int


class DueSets:
    """The due sets of all shards."""

    def __init__(self, store: Store, keys: Keys, *, grace_s: float) -> None:
        self._store, self._keys = store, keys
        self.grace_ms = int(grace_s * 1000)

    def take(
        self, kind: Kind, shard: int, *, most: int, hinted: str = "", counted: bool = True
    ) -> list[Taken]:
        """Up to `most` members that are due, the hinted one first; nobody else gets them within the grace.

        With 0 the hinted one alone, if it is due.
        """
        names = [self._keys.due(shard, kind), self._keys.takes(shard, kind), self._keys.clock(shard)]
        raw = self._store.raw("take", names, [most, self.grace_ms, hinted, "1" if counted else "0"])
        assert isinstance(raw, list)
        now = int(raw[0])
        return [
            Taken(raw[i].decode(), max(0, now - int(float(raw[i + 1]))), int(raw[i + 2]))
            for i in range(1, len(raw), 3)
        ]

    def give_back(self, kind: Kind, shard: int, ids: Sequence[str], *, delay_ms: int = 0) -> None:
        """Taken members that were not worked on: due again after `delay_ms`, the take not counted."""
        if ids:
            names = [self._keys.due(shard, kind), self._keys.takes(shard, kind), self._keys.clock(shard)]
            self._store.raw("give_back", names, [delay_ms, *ids])

    def lowest(self, kinds: Sequence[Kind] = KINDS, *, most: int = 1) -> tuple[int, list[Due]]:
        """The store's time and the `most` earliest members of every set, in one round trip."""
        asked = [(kind, shard) for shard in range(self._keys.shards) for kind in kinds]
        with translated():
            pipe = self._store.client.pipeline(transaction=False)
            pipe.time()
            for kind, shard in asked:
                pipe.zrange(self._keys.due(shard, kind), 0, most - 1, withscores=True)
            for shard in range(self._keys.shards):
                pipe.get(self._keys.clock(shard))
            answers = pipe.execute()
        shift = next((shift for shift in answers[1 + len(asked) :] if shift is not None), None)
        now = ms_of(answers[0], shift)
        found = [
            Due(kind, shard, member.decode(), int(score))
            for (kind, shard), members in zip(asked, answers[1 : 1 + len(asked)], strict=True)
            for member, score in members
        ]
        return now, found

    def sizes(self) -> dict[Kind, int]:
        """Members per kind, held jobs included: 0 everywhere when nothing is owed."""
        owed, held = self.owed()
        return {kind: owed[kind] + held[kind] for kind in KINDS}

    def ripe(self, now: int) -> dict[Kind, int]:
        """Members per kind whose time has come at `now`, epoch ms of the store; held jobs are none."""
        asked = [(kind, shard) for shard in range(self._keys.shards) for kind in KINDS]
        with translated():
            pipe = self._store.client.pipeline(transaction=False)
            for kind, shard in asked:
                pipe.zcount(self._keys.due(shard, kind), "-inf", now)
            answers = pipe.execute()
        found: dict[Kind, int] = dict.fromkeys(KINDS, 0)
        for (kind, _), size in zip(asked, answers, strict=True):
            found[kind] += size
        return found

    def owed(self) -> tuple[dict[Kind, int], dict[Kind, int]]:
        """Members of the due sets per kind, and held jobs per kind."""
        owed: dict[Kind, int] = dict.fromkeys(KINDS, 0)
        held: dict[Kind, int] = dict.fromkeys(KINDS, 0)
        with translated():
            pipe = self._store.client.pipeline(transaction=False)
            for shard in range(self._keys.shards):
                for kind in KINDS:
                    pipe.zcard(self._keys.due(shard, kind))
                pipe.zrange(self._keys.leases(shard), 0, -1)
            answers = pipe.execute()
            width = len(KINDS) + 1
            holding = self._store.client.pipeline(transaction=False)
            for shard in range(self._keys.shards):
                row = answers[shard * width : (shard + 1) * width]
                for kind, size in zip(KINDS, row[:-1], strict=True):
                    owed[kind] += size
                for incarnation in row[-1]:
                    holding.zrange(self._keys.held(shard, incarnation.decode()), 0, -1)
            for members in holding.execute():
                for kind, _ in held_jobs(members):
                    held[kind] += 1
        return owed, held
