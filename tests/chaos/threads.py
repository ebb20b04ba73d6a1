"""Conversations in threads of Slack and GitHub: what is said, and how often it is told, drawn from a seeded source."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from typing import Literal

# Where a thread is: a Slack channel, a direct message, a GitHub issue, a review of a pull request.
Kind = Literal["channel", "direct", "issue", "review"]
# `call` names us; `reply` names nobody in a thread of Slack's we are in, and is answered all the same; `chatter`
# names nobody on GitHub, `stranger` names us there and may not: these two are answered by nobody.
How = Literal["call", "reply", "chatter", "stranger"]

KINDS: tuple[Kind, ...] = ("channel", "issue", "channel", "review", "direct", "issue")
LONGEST = 7
LOST = 0.06
ANSWERED = frozenset({"call", "reply"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Saying:
    """One thing that somebody says. Its answer is known by `token`.

    It is told by `at_once` webhooks at the same moment, each of its twins for itself, and by one more after each of
    `again_s` seconds; one that `is_lost` by none, as GitHub could not deliver it and does not try again.
    `once`: it is said now, or when what came before it was answered; then after `pause_s`.
    """

    token: str
    how: How
    text: str
    at_once: int = 1
    again_s: tuple[float, ...] = ()
    is_lost: bool = False
    once: Literal["now", "answered"] = "now"
    pause_s: float = 0.0

    @property
    def is_answered(self) -> bool:
        """Whether an answer is owed."""
        return self.how in ANSWERED


@dataclass(frozen=True, slots=True, kw_only=True)
class Thread:
    """One conversation; the first thing said in it calls us."""

    n: int
    kind: Kind
    sayings: tuple[Saying, ...]


class Threads:
    """Draws conversations without end, every kind in turn."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._threads = self._tokens = 0

    def draw(self) -> Thread:
        """The next conversation."""
        kind = KINDS[self._threads % len(KINDS)]
        self._threads += 1
        hows = [_how(self._rng, kind, is_first=not n) for n in range(self._rng.randint(2, LONGEST))]
        may_be_lost = kind in ("issue", "review")
        sayings = (self._saying(how, may_be_lost=may_be_lost and n > 0) for n, how in enumerate(hows))
        return Thread(n=self._threads, kind=kind, sayings=tuple(sayings))

    def _saying(self, how: How, *, may_be_lost: bool) -> Saying:
        self._tokens += 1
        drawn = _saying(self._rng, f"q{self._tokens}", how)
        is_lost = self._rng.random() < LOST and may_be_lost and how == "call"
        return replace(drawn, is_lost=is_lost)


def _how(rng: random.Random, kind: Kind, *, is_first: bool) -> How:
    if is_first:
        return "call"
    if kind in ("channel", "direct"):
        return rng.choice(("call", "reply"))
    return rng.choices(("call", "chatter", "stranger"), (8, 1, 1))[0]


def _saying(rng: random.Random, token: str, how: How) -> Saying:
    marks = [word for word, chance in (("slow", 0.2), ("long", 0.1)) if rng.random() < chance]
    if rng.random() < 0.1:
        marks.append(f"fail:{rng.choice(('cut', 'hangup', 'busy'))}")
    return Saying(
        token=token,
        how=how,
        text=" ".join((*marks, token)),
        at_once=rng.choices((1, 2, 5), (6, 3, 1))[0],
        again_s=tuple(round(rng.uniform(0.1, 8.0), 1) for _ in range(rng.choices((0, 1, 3), (5, 4, 1))[0])),
        once="answered" if rng.random() < 0.2 else "now",
        pause_s=round(rng.uniform(0.0, 1.2), 1),
    )
