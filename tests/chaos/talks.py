"""Conversations: what one person does in one session, drawn from a seeded source."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

Policy = Literal["follow_up", "steer", "collect", "silent"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Say:
    """A prompt. `once`: send it now, when the model was called since the last one, or when all is settled."""

    text: str
    policy: Policy = "follow_up"
    once: Literal["now", "called", "settled"] = "now"
    waits: bool = False

    @property
    def is_told(self) -> bool:
        """Whether its answer is to be told to a callback too."""
        return "tell" in self.text.split() and self.policy != "silent"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancel:
    """Cancel the running turn once the model was called; with `queued` what waits behind it."""

    queued: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Withdraw:
    """Take the newest prompt back, if it is still pending."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """Pause the session, and resume it."""


Step = Say | Cancel | Withdraw | Pause


@dataclass(frozen=True, slots=True, kw_only=True)
class Talk:
    """One conversation. Without `session` the first prompt opens one of its own."""

    n: int
    session: str | None
    steps: tuple[Step, ...]


class Talks:
    """Draws conversations without end; a third of the prompts asks for tools."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._talks = 0
        self._prompts = 0

    def draw(self) -> Talk:
        """The next conversation."""
        self._talks += 1
        kinds: tuple[Callable[[], tuple[Step, ...]], ...] = (
            self._one,
            self._one,
            self._several,
            self._steered,
            self._steered,
            self._collected,
            self._cancelled,
            self._silent,
            self._withdrawn,
            self._paused,
        )
        # In turn, so that a short run meets every kind; only their order is drawn.
        if (self._talks - 1) % len(kinds) == 0:
            self._order = self._rng.sample(range(len(kinds)), len(kinds))
        steps = kinds[self._order[(self._talks - 1) % len(kinds)]]()
        alone = sum(isinstance(step, Say) for step in steps) == 1 and self._rng.random() < 0.7
        return Talk(n=self._talks, session=None if alone else f"app:talk-{self._talks}", steps=steps)

    def _one(self) -> tuple[Step, ...]:
        return (Say(text=self._text(), waits=self._rng.random() < 0.3),)

    def _several(self) -> tuple[Step, ...]:
        onces: tuple[Literal["now", "settled"], ...] = ("now", "settled")
        return tuple(Say(text=self._text(), once=self._rng.choice(onces)) for _ in range(3))

    def _steered(self) -> tuple[Step, ...]:
        steer = Say(text=self._text(), policy="steer", once=self._rng.choice(("now", "called")))
        return (Say(text=self._text(slow=True)), steer)

    def _collected(self) -> tuple[Step, ...]:
        rest = (Say(text=self._text(), policy="collect", once="now") for _ in range(2))
        return (
            Say(text=self._text(slow=True)),
            Say(text=self._text(), policy="collect", once="called"),
            *rest,
        )

    def _cancelled(self) -> tuple[Step, ...]:
        return (
            Say(text=self._text(slow=True)),
            Say(text=self._text()),
            Cancel(queued=self._rng.random() < 0.5),
        )

    def _silent(self) -> tuple[Step, ...]:
        silent = Say(text=self._text(), policy="silent", once=self._rng.choice(("now", "called")))
        return (Say(text=self._text(slow=True)), silent, Say(text=self._text()))

    def _withdrawn(self) -> tuple[Step, ...]:
        return (Say(text=self._text(slow=True)), Say(text=self._text(), once="called"), Withdraw())

    def _paused(self) -> tuple[Step, ...]:
        return (Say(text=self._text()), Pause(), Say(text=self._text()))

    def _text(self, *, slow: bool = False) -> str:
        self._prompts += 1
        words = [f"p{self._prompts}"] + ["tell"] * (self._rng.random() < 0.5)
        words += ["slow"] * (slow or self._rng.random() < 0.2)
        if self._prompts % 3 == 0:
            tools = self._rng.sample(("clock", "look_up", "append_note", "append_note", "wait"), 2)
            words += [f"use:{name}" for name in dict.fromkeys(tools)]
        elif self._rng.random() < 0.1:
            words.append(f"fail:{self._rng.choice(('cut', 'hangup', 'busy'))}")
        return " ".join(words)
