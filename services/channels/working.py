"""Shows in threads that their turns run: beside the turn, by a thread of this process, as well as it goes.

What is shown is read from the log each time, so it does not matter how often or how late that is. The end is part of
the answer's delivery (`ends`); here signs end where nothing was delivered, where that failed, and where whoever
showed them died: each is written down (`shown`) before it is shown.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from typing import Protocol

import msgspec

from services.channels.brief import Brief
from services.channels.contract import DeliveryError, DeliveryErrorKind
from services.channels.ends import Ends
from services.channels.shown import LOOK_S, SHOWING_S, Sign
from services.channels.signs import Doing, Signs, Turn
from services.errors import TurnwrightError
from services.streams.event import Event, EventInput, StreamId
from services.streams.near import Past, newest_first
from services.streams.vocabulary import InputReceived, TurnSettled, TurnStarted

# So many threads wait to be shown something; the rest is left out before anybody has to wait for it.
MOST = 200
PAGE = 40
FAR = 200
# The turn of a sign that is shown may be long; whoever looks after it does not do so often.
VERY_FAR = 5_000
TIMEOUT_S = 5.0
# How often a sign that is there is changed.
CHANGE_S = 5.0
# How often is looked for signs that nobody else takes back, and how many of them are looked after then.
POLL_S = 5.0
TAKEN = 20
# Nothing can be shown after these.
_NOT_SHOWN: frozenset[DeliveryErrorKind] = frozenset(
    {"not_sent", "rejected", "overloaded", "gone", "refused"}
)
_ENDING = frozenset({"reply.uncertain", "reply.failed"})
_DOING: dict[str, Doing] = {
    "llm.requested": "model",
    "llm.started": "model",
    "llm.attempt_failed": "retry",
    "tool.requested": "tool",
}


class Committed(Protocol):
    """What a commit wrote to a stream."""

    @property
    def stream(self) -> StreamId: ...
    @property
    def written(self) -> Sequence[EventInput]: ...


class _Wanted(msgspec.Struct, frozen=True):
    """What is to be shown of a session, at `due` or later: a turn `began`, or a step of it; something was `posted`,
    which may have covered what was shown; a reply `ends` undelivered."""

    signs: Signs
    due: float
    began: bool = False
    ends: bool = False
    posted: bool = False


class Working:
    """Looks after the threads whose sessions begin with a key of `signs`. `clock` is monotonic seconds."""

    def __init__(
        self,
        log: Past,
        signs: Mapping[str, Signs],
        ends: Ends,
        *,
        clock: Callable[[], float] = time.monotonic,
        poll_s: float = POLL_S,
    ) -> None:
        self._log, self._signs, self._prefixes, self._clock = log, signs, tuple(signs), clock
        self._ends, self._shown, self._poll_s = ends, ends.shown, poll_s
        self._polls_at = clock() + poll_s
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
        signs = self._signs_of(done.stream)
        types = {one.type for one in done.written}
        # What was delivered ended its status itself, and with it maybe that of the turn behind it.
        ends, began, posted = bool(types & _ENDING), "turn.started" in types, "reply.delivered" in types
        if not (ends or began or posted or (signs.follows and types & _DOING.keys())):
            return
        after_s = 0.0 if ends else signs.after_s if began else 0.0 if posted else CHANGE_S
        due = self._clock() + after_s
        with self._changed:
            before = self._wanted.get(done.stream)
            if before is not None:
                # A step of a turn that is not shown yet is no reason to show it sooner.
                due = before.due if before.began and not (ends or began) else min(due, before.due)
                began, ends, posted = began or before.began, ends or before.ends, posted or before.posted
            elif len(self._wanted) >= MOST:
                return
            self._wanted[done.stream] = _Wanted(signs, due, began, ends, posted)
            self._changed.notify()

    def look(self) -> None:
        """Look after signs that nobody took back so far. Raises: TurnwrightError; DeliveryError (cancelled)."""
        for name, sign in self._shown.take(TAKEN):
            if sign.session.startswith(self._prefixes):
                self._look_after(name, sign)

    def _run(self) -> None:
        while not self._sending.is_cancelled():
            task = self._next()
            try:
                if task is not None:
                    self._show(*task)
                elif not self._sending.is_cancelled():
                    self.look()
            except (DeliveryError, TurnwrightError):
                # Nobody waits for it, the next turn shows it again, and what is to be ended is written down.
                continue

    def _next(self) -> tuple[StreamId, _Wanted] | None:
        """What is to be shown now; None when it is time to look after what was shown."""
        with self._changed:
            while not self._sending.is_cancelled():
                now = self._clock()
                if self._polls_at <= now:
                    self._polls_at = now + self._poll_s
                    return None
                stream = min(self._wanted, key=lambda one: self._wanted[one].due, default=None)
                due = self._polls_at if stream is None else self._wanted[stream].due
                if stream is not None and due <= now:
                    return stream, self._wanted.pop(stream)
                self._changed.wait(min(due, self._polls_at) - now)
            return None

    def _show(self, stream: StreamId, wanted: _Wanted) -> None:
        turn = self._turn(stream)
        if turn is None:
            return
        if turn.is_running:
            is_late = self._shown.now_ms() - turn.began_at >= wanted.signs.after_s * 1000
            is_new = wanted.began or (wanted.posted and is_late)
            if is_new or (wanted.signs.follows and not wanted.posted):
                self._show_turn(turn, wanted.signs, is_change=not is_new)
        elif wanted.ends:
            self._end(turn, wanted.signs)

    def _show_turn(self, turn: Turn, signs: Signs, *, is_change: bool = False) -> None:
        name, sign = signs.name(turn), Sign.of(turn)
        if not name:
            return
        before: Sign | None = None
        if not is_change:
            before = self._shown.find(turn.session, name)
            # Written down before it can be there.
            self._shown.keep(name, Sign.of(turn, is_showing=True), look_in_s=SHOWING_S)
        try:
            change = msgspec.structs.replace(turn, is_change=is_change)
            signs.show(change, self._sending, timeout_s=TIMEOUT_S)
        except DeliveryError as error:
            if not is_change and error.kind in _NOT_SHOWN:
                self._take_out(turn.session, name, before)
            raise
        if not is_change:
            self._shown.keep(name, sign, look_in_s=LOOK_S)
        # Its answer may have been there first: then nobody else takes the sign back.
        later = self._turn(turn.session)
        if later is None or not later.is_running or signs.name(later) != name:
            self._end(turn, signs)

    def _take_out(self, session: StreamId, name: str, before: Sign | None) -> None:
        """Nothing was shown, but for what was there `before`."""
        if before is None:
            self._shown.gone(session, name)
        else:
            self._shown.keep(name, before, look_in_s=LOOK_S)

    def _look_after(self, name: str, sign: Sign) -> None:
        stream = StreamId(sign.session)
        signs, now = self._signs_of(stream), self._turn(stream, far=VERY_FAR)
        is_running = now is not None and now.is_running
        if now is not None and is_running and signs.name(now) == name:
            self._shown.keep(name, Sign.of(now), look_in_s=LOOK_S)
            return
        if sign.is_showing:
            # Nobody is at it any more.
            self._shown.keep(name, msgspec.structs.replace(sign, is_showing=False), look_in_s=LOOK_S)
        self._end(sign.turn(), signs)
        if now is not None and is_running:
            # What was taken back may have been shown of that turn.
            self._show_turn(now, signs, is_change=signs.follows)

    def _end(self, turn: Turn, signs: Signs) -> None:
        self._ends.end(signs, turn, self._sending, timeout_s=TIMEOUT_S)

    def _signs_of(self, stream: StreamId) -> Signs:
        return next(each for prefix, each in self._signs.items() if stream.startswith(prefix))

    def _turn(self, stream: StreamId, *, far: int = FAR) -> Turn | None:
        doing: Doing = ""
        for event in islice(newest_first(self._log, stream, page=PAGE), far):
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
            if settled.outcome == "cancelled" and not settled.started_at:
                # It never began, and another one may run.
                return (), False, 0
            return settled.inputs, False, settled.started_at or event.created_at
        case _:
            return (), False, 0
