"""Asking GitHub for what it could not deliver, which it never sends again by itself, and taking that in.

A delivery that was lost comes under the key it would have come under: whoever brings it, it is kept once.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Protocol

import msgspec

from services.channels.contract import DeliveryError
from services.channels.github.deliveries import HookDeliveries, Tried
from services.channels.github.events import stream_of_place
from services.channels.github.within import Within
from services.errors import Invalid, TooLarge, TurnwrightError
from services.inbound.contract import Answer, Arrived, Request, Source
from services.inbound.github import EVENT, GUID
from services.sessions.reconciling import Reconciled, Reconciling
from services.streams.event import EventInput
from services.streams.log import Log
from services.streams.vocabulary import StreamCreated

EVERY_S = 300.0
POLL_S = 1.0
# A look is bounded; what is left comes with the next one.
LOOK_S = 60
MOST_A_LOOK = 500
# At the first look ever: who has just been installed does not answer what was asked days ago.
FIRST_S = 3600.0
# Deliveries under way, and clocks that differ.
OVERLAP_S = 600.0


class Stop(Protocol):
    """Whether to stop, and waiting for it."""

    def is_set(self) -> bool: ...
    def wait(self, timeout: float) -> bool: ...


class Look(Protocol):
    """One look for what was never seen `before`, and what became of it. Raises: TurnwrightError."""

    def __call__(self, before: Reconciled, stop: Stop) -> Reconciled: ...


class Reconcile:
    """One look through the deliveries of the app. `wall_s` is epoch seconds."""

    def __init__(
        self, log: Log, source: Source, deliveries: HookDeliveries, *, wall_s: Callable[[], float] = time.time
    ) -> None:
        self._log, self._source, self._deliveries, self._wall_s = log, source, deliveries, wall_s

    def look(self, before: Reconciled, stop: Stop) -> Reconciled:
        """Take in what was never seen since `before`, oldest first; what became of it. Raises: Unavailable."""
        began = self._wall_s()
        since_s = began - FIRST_S if before.until is None else before.until / 1000 - OVERLAP_S
        now = Reconciled(answered=before.asked, looked_at=int(began * 1000), until=before.until)
        within = Within(LOOK_S)
        try:
            unseen = self._deliveries.unseen(
                datetime.fromtimestamp(since_s, UTC), self._is_seen, within=within
            )
        except DeliveryError as error:
            return msgspec.structs.replace(now, error=error.code or error.kind)
        now = msgspec.structs.replace(now, found=len(unseen.deliveries))
        for each in unseen.deliveries[:MOST_A_LOOK]:
            if stop.is_set():
                return _ended(now, each, "stopping")
            try:
                is_taken = self._take(each, within)
            except DeliveryError as error:
                return _ended(now, each, error.code or error.kind)
            taken, refused = now.taken + is_taken, now.refused + (not is_taken)
            now = msgspec.structs.replace(now, taken=taken, refused=refused)
        if len(unseen.deliveries) > MOST_A_LOOK:
            return _ended(now, unseen.deliveries[MOST_A_LOOK], "more_to_come")
        if not unseen.is_complete:
            return msgspec.structs.replace(now, error="too_many")
        return msgspec.structs.replace(now, until=int(began * 1000))

    def _is_seen(self, tried: Tried) -> bool:
        if tried.event == "ping":
            return True
        stream = stream_of_place(repository=tried.repository_id or 0, installation=tried.installation_id or 0)
        return self._log.offset_of(stream, f"github:{tried.guid.lower()}") is not None

    def _take(self, tried: Tried, within: Within) -> bool:
        """Whether it is kept now; False for what can not be. Raises: DeliveryError, Unavailable, Overloaded."""
        try:
            missed = self._deliveries.fetch(tried, within=within)
        except DeliveryError as error:
            if error.kind in ("gone", "refused"):
                return False
            raise
        headers = ((EVENT, missed.event), (GUID, missed.guid))
        request = Request(
            path="", headers=headers, body=missed.body, received_s=missed.delivered_at.timestamp()
        )
        try:
            arrived = self._source.read(request)
            if not isinstance(arrived, Answer):
                self._keep(arrived)
        except (Invalid, TooLarge):
            return False
        return True

    def _keep(self, arrived: Arrived) -> None:
        event = EventInput.of("inbound.received", arrived.received, key=arrived.key)
        created = EventInput.of("stream.created", StreamCreated(source=arrived.received.source))
        self._log.append(arrived.stream, [event], create=created, existing_wins=True, guarded=True)


class Reconciler:
    """Looks every `every_s`, and when somebody asks for it, in one process of all that run one.

    `wall_s` is epoch seconds.
    """

    def __init__(
        self,
        look: Look,
        reconciling: Reconciling,
        *,
        failed: Callable[[TurnwrightError], None],
        every_s: float = EVERY_S,
        poll_s: float = POLL_S,
        wall_s: Callable[[], float] = time.time,
    ) -> None:
        self._look, self._reconciling, self._failed = look, reconciling, failed
        self._every_s, self._poll_s, self._wall_s = every_s, poll_s, wall_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="reconcile", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End after the delivery in hand; the others come with the next look."""
        self._stop.set()

    def _run(self) -> None:
        while not self._stop.wait(self._poll_s):
            try:
                self.round()
            except TurnwrightError as error:
                self._failed(error)
                self._stop.wait(self._poll_s * 5)

    def round(self) -> None:
        """Look if it is time to. Raises: TurnwrightError."""
        if not self._is_time() or not self._reconciling.take_turn(lasts_s=2 * LOOK_S):
            return
        try:
            # Somebody may have looked just now.
            if self._is_time():
                before = self._reconciling.state()
                self._reconciling.told(self._look(before, self._stop))
        finally:
            self._reconciling.leave_turn()

    def _is_time(self) -> bool:
        now = self._reconciling.state()
        is_old = now.looked_at is None or self._wall_s() - now.looked_at / 1000 >= self._every_s
        return is_old or now.asked > now.answered


def _ended(now: Reconciled, at: Tried, error: str) -> Reconciled:
    """A look that ended before `at` was taken: the next begins there."""
    return msgspec.structs.replace(now, error=error, until=int(at.delivered_at.timestamp() * 1000))
