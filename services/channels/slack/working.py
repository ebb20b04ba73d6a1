"""Shows in a thread that its turn runs: beside the turn, by a thread of this process, as well as it goes.

Nothing is stored. What is shown is read from the log each time, so it does not matter how often or how late that is;
the end is part of the answer's delivery (`channel.SlackChannel`); only where nothing was delivered it is shown here.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from itertools import islice
from typing import Protocol

import msgspec

from services.channels.brief import Brief
from services.channels.contract import DeliveryError
from services.channels.slack.address import BadAddress, SlackAddress
from services.channels.slack.status import WorkingStatus
from services.errors import TurnwrightError
from services.streams.event import Event, EventInput, StreamId
from services.streams.near import Past, newest_first
from services.streams.vocabulary import InputReceived, TurnSettled, TurnStarted

# So many threads wait to be shown something; the oldest are left out before anybody has to wait for them.
MOST = 200
PAGE = 40
FAR = 200
TIMEOUT_S = 5.0
_TELLING = frozenset({"turn.started", "reply.delivered", "reply.uncertain", "reply.failed"})


class Committed(Protocol):
    """What a commit wrote to a stream."""

    @property
    def stream(self) -> StreamId: ...
    @property
    def written(self) -> Sequence[EventInput]: ...


class Working:
    """Looks after the threads whose sessions begin with one of `prefixes`."""

    def __init__(self, log: Past, status: WorkingStatus, prefixes: Sequence[str]) -> None:
        self._log, self._status, self._prefixes = log, status, tuple(prefixes)
        self._waiting: OrderedDict[StreamId, bool] = OrderedDict()
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
        types = {one.type for one in done.written} & _TELLING
        if not types:
            return
        with self._changed:
            # What was delivered ended its status itself.
            ends = bool(types - {"turn.started", "reply.delivered"})
            self._waiting[done.stream] = self._waiting.get(done.stream, False) or ends
            if len(self._waiting) > MOST:
                self._waiting.popitem(last=False)
            self._changed.notify()

    def _run(self) -> None:
        while (task := self._next()) is not None:
            try:
                self._show(*task)
            except (DeliveryError, TurnwrightError):
                # Nobody waits for it, and the next turn shows it again.
                continue

    def _next(self) -> tuple[StreamId, bool] | None:
        with self._changed:
            while not self._waiting and not self._sending.is_cancelled():
                self._changed.wait()
            return None if self._sending.is_cancelled() else self._waiting.popitem(last=False)

    def _show(self, stream: StreamId, ends: bool) -> None:
        turn = self._turn(stream)
        if turn is None:
            return
        if turn.is_running:
            self._status.show(turn.address, turn.message, self._sending, timeout_s=TIMEOUT_S)
            # Its answer may have been there first: then nobody else takes the status back.
            later = self._turn(stream)
            ends = later is None or not later.is_running
        if ends:
            self._status.end(turn.address, turn.message, self._sending, timeout_s=TIMEOUT_S)

    def _turn(self, stream: StreamId) -> _Turn | None:
        """The turn that a session is at, or was at last; None where its thread is none of Slack's."""
        for event in islice(newest_first(self._log, stream, page=PAGE), FAR):
            inputs, is_running = _inputs(event)
            if inputs:
                found = self._log.get(stream, inputs[0])
                return None if found is None else _placed(found.decode(InputReceived), is_running=is_running)
        return None


class _Turn(msgspec.Struct, frozen=True, kw_only=True):
    address: SlackAddress
    message: str
    is_running: bool


def _inputs(event: Event) -> tuple[tuple[int, ...], bool]:
    match event.type:
        case "turn.started":
            return event.decode(TurnStarted).inputs, True
        case "turn.settled":
            return event.decode(TurnSettled).inputs, False
        case _:
            return (), False


def _placed(said: InputReceived, *, is_running: bool) -> _Turn | None:
    try:
        address = SlackAddress.parse(said.reply_to or "")
    except BadAddress:
        return None
    if not said.message:
        return None
    return _Turn(address=address, message=said.message, is_running=is_running)
