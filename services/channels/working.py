"""Shows in threads that their turns run: beside the turn, by a thread of this process, as well as it goes.

Nothing is stored. What is shown is read from the log each time, so it does not matter how often or how late that is;
the end is part of the answer's delivery (by the channel); only where nothing was delivered it is shown here.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from typing import Literal, Protocol

import msgspec

from services.channels.brief import Brief
from services.channels.contract import DeliveryError, Sending
from services.errors import TurnwrightError
from services.streams.event import Event, EventInput, StreamId
from services.streams.near import Past, newest_first
from services.streams.vocabulary import InputReceived, TurnSettled, TurnStarted

# So many threads wait to be shown something; the rest is left out before anybody has to wait for it.
MOST = 200
PAGE = 40
FAR = 200
TIMEOUT_S = 5.0
# How often a sign that is there is changed.
CHANGE_S = 5.0
_ENDING = frozenset({"reply.uncertain", "reply.failed"})
_DOING: dict[str, Doing] = {
    "llm.requested": "model",
    "llm.started": "model",
    "llm.attempt_failed": "retry",
    "tool.requested": "tool",
}

Doing = Literal["", "model", "retry", "tool"]


class Turn(msgspec.Struct, frozen=True, kw_only=True):
    """The turn that a session is at, or was at last; `said` is the first of its inputs.

    `began_at` is epoch milliseconds, of a turn that does not run any more too. `is_change`: what it does now is no
    reason to show more than a change of what is shown already.
    """

    session: StreamId
    said: InputReceived
    is_running: bool
    began_at: int
    doing: Doing = ""
    is_change: bool = False


class Signs(Protocol):
    """How one channel shows it. `after_s` is how long a turn has run then; `follows`: steps of the turn show too.

    Both raise DeliveryError, and do nothing for what did not come through their channel.
    """

    after_s: float
    follows: bool

    def show(self, turn: Turn, sending: Sending, *, timeout_s: float) -> None:
        """Show that it runs, or what it does. May be repeated."""

    def end(self, turn: Turn, sending: Sending, *, timeout_s: float) -> None:
        """Take back what may be shown. May be repeated."""


class Committed(Protocol):
    """What a commit wrote to a stream."""

    @property
    def stream(self) -> StreamId: ...
    @property
    def written(self) -> Sequence[EventInput]: ...


class _Wanted(msgspec.Struct, frozen=True):
    """What is to be shown of a session, at `due` or later."""

    signs: Signs
    due: float
    began: bool = False
    ends: bool = False


class Working:
    """Looks after the threads whose sessions begin with a key of `signs`. `clock` is monotonic seconds."""

    def __init__(
        self, log: Past, signs: Mapping[str, Signs], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._log, self._signs, self._prefixes, self._clock = log, signs, tuple(signs), clock
        self._wanted: dict[StreamId, _Wanted] = {}
        self._changed = threading.Condition()
        self._sending = Brief()
        self._thread = threading.Thread(target=self._run, name="working", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Leave what is not shown yet."""
        self._sending.cancel()
        with self._changed:
            self._changed.notify_all()
        if self._thread.is_alive():
            self._thread.join(TIMEOUT_S)

    def committed(self, done: Committed) -> None:
        """Hear of a commit. Neither blocks nor raises."""
        if not done.stream.startswith(self._prefixes):
            return
        signs = next(each for prefix, each in self._signs.items() if done.stream.startswith(prefix))
        types = {one.type for one in done.written}
        # What was delivered ended its status itself.
        ends, began = bool(types & _ENDING), "turn.started" in types
        if not (ends or began or (signs.follows and types & _DOING.keys())):
            return
        after_s = 0.0 if ends else signs.after_s if began else CHANGE_S
        due = self._clock() + after_s
        with self._changed:
            before = self._wanted.get(done.stream)
            if before is not None:
                began, ends = began or before.began, ends or before.ends
                due = min(due, before.due)
            elif len(self._wanted) >= MOST:
                return
            self._wanted[done.stream] = _Wanted(signs, due, began, ends)
            self._changed.notify()

    def _run(self) -> None:
        while (task := self._next()) is not None:
            try:
                self._show(*task)
            except (DeliveryError, TurnwrightError):
                # Nobody waits for it, and the next turn shows it again.
                continue

    def _next(self) -> tuple[StreamId, _Wanted] | None:
        with self._changed:
            while not self._sending.is_cancelled():
                stream = min(self._wanted, key=lambda one: self._wanted[one].due, default=None)
                if stream is None:
                    self._changed.wait()
                elif (left_s := self._wanted[stream].due - self._clock()) > 0:
                    self._changed.wait(left_s)
                else:
                    return stream, self._wanted.pop(stream)
            return None

    def _show(self, stream: StreamId, wanted: _Wanted) -> None:
        turn, signs, ends = self._turn(stream), wanted.signs, wanted.ends
        if turn is None:
            return
        if turn.is_running:
            change = msgspec.structs.replace(turn, is_change=not wanted.began)
            signs.show(change, self._sending, timeout_s=TIMEOUT_S)
            # Its answer may have been there first: then nobody else takes the sign back.
            later = self._turn(stream)
            ends = later is None or not later.is_running
        if ends:
            signs.end(turn, self._sending, timeout_s=TIMEOUT_S)

    def _turn(self, stream: StreamId) -> Turn | None:
        doing: Doing = ""
        for event in islice(newest_first(self._log, stream, page=PAGE), FAR):
            doing = doing or _DOING.get(event.type, "")
            inputs, is_running, began_at = _inputs(event)
            if inputs:
                found = self._log.get(stream, inputs[0])
                if found is None:
                    return None
                return Turn(
                    session=stream,
                    said=found.decode(InputReceived),
                    is_running=is_running,
                    began_at=began_at,
                    doing=doing,
                )
        return None


def _inputs(event: Event) -> tuple[tuple[int, ...], bool, int]:
    match event.type:
        case "turn.started":
            return event.decode(TurnStarted).inputs, True, event.created_at
        case "turn.settled":
            settled = event.decode(TurnSettled)
            return settled.inputs, False, settled.started_at or event.created_at
        case _:
            return (), False, 0
