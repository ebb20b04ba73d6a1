"""What a session has used in the last hour: counted in buckets of five minutes, by the events' own times. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from services.streams.vocabulary import Usage

BUCKET_MS = 300_000
# An hour touches thirteen of them: the oldest is forgotten as a whole, so never too early.
BUCKETS = 13
SPEND = "spend"


class Bucket(msgspec.Struct, frozen=True):
    """What was used within the five minutes `at` (counted since 1970)."""

    at: int
    tokens: int
    microusd: int


class Spent(msgspec.Struct, frozen=True):
    """Tokens of input and output, and millionths of a dollar."""

    tokens: int
    microusd: int


class Caps(msgspec.Struct, frozen=True, kw_only=True):
    """What a session has used of what it may use in an hour; a cap of 0 is none."""

    tokens: int
    most_tokens: int
    microusd: int
    most_microusd: int

    @property
    def reached(self) -> tuple[str, ...]:
        """The caps that are reached, in words."""
        told = []
        if 0 < self.most_tokens <= self.tokens:
            told.append(f"{self.tokens:,} of {self.most_tokens:,} tokens in an hour")
        if 0 < self.most_microusd <= self.microusd:
            told.append(f"${_dollars(self.microusd)} of ${_dollars(self.most_microusd)} in an hour")
        return tuple(told)


def with_usage(buckets: tuple[Bucket, ...], usage: Usage, now_ms: int) -> tuple[Bucket, ...]:
    """The buckets after `usage` at `now_ms`, without those that are over an hour old."""
    tokens, microusd = usage.input + usage.output, usage.cost_microusd or 0
    if not tokens and not microusd:
        return buckets
    newest = max([now_ms // BUCKET_MS, *(bucket.at for bucket in buckets[-1:])])
    kept = [bucket for bucket in buckets if bucket.at > newest - BUCKETS]
    if kept and kept[-1].at == newest:
        last = kept.pop()
        tokens, microusd = tokens + last.tokens, microusd + last.microusd
    return (*kept, Bucket(newest, tokens, microusd))


def spent(buckets: Sequence[Bucket], now_ms: int) -> Spent:
    """What was used in the hour before `now_ms`, and up to five minutes before that."""
    counted = [bucket for bucket in buckets if bucket.at > now_ms // BUCKET_MS - BUCKETS]
    return Spent(sum(bucket.tokens for bucket in counted), sum(bucket.microusd for bucket in counted))


def _dollars(microusd: int) -> str:
    """At least cents, and no more digits than it takes."""
    whole, rest = divmod(microusd, 1_000_000)
    digits = f"{rest:06}".rstrip("0")
    return f"{whole:,}.{digits:0<2}"
