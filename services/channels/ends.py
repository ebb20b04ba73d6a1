"""Taking signs back: with the answer, after it, and again where that failed, until it is done or given up."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Protocol

import msgspec

from services.channels.contract import DeliveryError, DeliveryErrorKind, Letter, Sending
from services.channels.shown import SHOWING_S, Shown, Sign
from services.channels.signs import Signs, Turn, answered_by
from services.errors import TurnwrightError

# An answer is not held up for longer by what only goes with it.
ANSWER_S = 6.0
ANSWER_TRIES = 3
LEAST_S = 0.5
FIRST_S = 2.0
LONGEST_S = 3_600.0
LONGEST_RETRY_AFTER_S = 86_400.0
MOST_TRIES = 40
MOST_AGE_MS = 86_400_000
# Nothing is there that could be taken back.
_DONE: frozenset[DeliveryErrorKind] = frozenset({"gone"})
# Asking again helps nobody.
_FINAL: frozenset[DeliveryErrorKind] = frozenset({"refused"})


class GaveUp(Protocol):
    """Hears of a sign that stays behind: whose it is, through which channel, and the safe code of what kept it."""

    def __call__(self, session: str, channel: str, code: str) -> None: ...


class Ends:
    """Ends signs that `shown` knows of. `gave_up` hears of those that stay behind."""

    def __init__(self, shown: Shown, *, gave_up: GaveUp = lambda session, channel, code: None) -> None:
        self.shown, self._gave_up = shown, gave_up

    def end(self, signs: Signs, turn: Turn, sending: Sending, *, timeout_s: float, tries: int = 1) -> None:
        """Take back what may be shown of `turn`, now or later. Raises: Unavailable; DeliveryError (cancelled)."""
        name = signs.name(turn)
        if not name:
            return
        error = _ended(signs, turn, sending, timeout_s=timeout_s, tries=tries)
        if error is not None and error.kind == "cancelled":
            raise error
        known = self.shown.find(turn.session, name)
        if error is not None and error.kind not in _DONE:
            self._failed(name, known or Sign.of(turn), error)
        elif known is not None and known.is_showing:
            # Who shows it may be slower than who ended it.
            self.shown.keep(name, known, look_in_s=SHOWING_S)
        elif known is not None:
            self.shown.gone(turn.session, name)

    def _failed(self, name: str, sign: Sign, error: DeliveryError) -> None:
        now = self.shown.now_ms()
        since, tries = sign.failing_since or now, sign.tries + (not error.is_limit)
        if error.kind in _FINAL or tries >= MOST_TRIES or now - since >= MOST_AGE_MS:
            self.shown.gone(sign.session, name)
            self._gave_up(sign.session, sign.reply_to.partition(":")[0], error.code or error.kind)
            return
        failed = msgspec.structs.replace(sign, tries=tries, failing_since=since)
        self.shown.keep(name, failed, look_in_s=delay_s(tries, error.retry_after_s))


class Answered:
    """What a channel does with the sign of the turn it has just answered."""

    def __init__(self, signs: Signs, ends: Ends) -> None:
        self._signs, self._ends = signs, ends

    def __call__(self, letter: Letter, sending: Sending) -> None:
        """Take it back, before the delivery counts as done: whoever takes over from a dead process does it too.

        Raises nothing: the answer is there, whatever becomes of the sign.
        """
        if letter.note:
            return
        turn = answered_by(letter)
        try:
            if self._may_be_shown(letter, turn):
                self._ends.end(self._signs, turn, sending, timeout_s=ANSWER_S, tries=ANSWER_TRIES)
        except (DeliveryError, TurnwrightError):
            # What was written down before it was shown is looked after.
            return

    def _may_be_shown(self, letter: Letter, turn: Turn) -> bool:
        """Of a turn that was too short to be shown nothing is to be asked."""
        if letter.queued_at - turn.began_at >= self._signs.after_s * 1000:
            return True
        name = self._signs.name(turn)
        return bool(name) and self._ends.shown.find(turn.session, name) is not None


def delay_s(tries: int, retry_after_s: float | None, chance: Callable[[], float] = random.random) -> float:
    """After how long the end is tried again: doubling from two seconds to an hour, or what the other side asks for."""
    full: float = min(LONGEST_S, FIRST_S * 2 ** min(max(0, tries - 1), 20))
    return max(full * (0.5 + chance() / 2), min(retry_after_s or 0.0, LONGEST_RETRY_AFTER_S))


def _ended(
    signs: Signs, turn: Turn, sending: Sending, *, timeout_s: float, tries: int
) -> DeliveryError | None:
    """None when it is gone, else what kept it the last time."""
    failed: DeliveryError | None = None
    ends = time.monotonic() + timeout_s
    for _ in range(tries):
        left_s = ends - time.monotonic()
        if failed is not None and left_s < LEAST_S:
            break
        try:
            signs.end(turn, sending, timeout_s=left_s)
            return None
        except DeliveryError as error:
            failed = error
            if error.kind in ("cancelled", "overloaded", *_DONE, *_FINAL):
                break
    return failed
