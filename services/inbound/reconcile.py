"""Asking GitHub for what it could not deliver, which it never sends again by itself, and taking that in.

A delivery that was lost comes under the key it would have come under: whoever brings it, it is kept once.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime

import msgspec

from services.channels.contract import DeliveryError, Sending
from services.channels.github.deliveries import MOST_UNSEEN, HookDeliveries, Tried
from services.channels.github.events import stream_of_place
from services.channels.github.within import Within
from services.errors import Invalid, Overloaded, TooLarge
from services.inbound.contract import Answer, Arrived, Request, Source
from services.inbound.github import EVENT, GUID
from services.sessions.reconciling import MORE, Reconciled
from services.streams.event import EventInput
from services.streams.log import Log
from services.streams.vocabulary import StreamCreated

# A look is bounded; what is left comes with the next one.
LOOK_S, REQUEST_S = 60.0, 10.0
# At the first look ever: who has just been installed does not answer what was asked days ago.
FIRST_S = 3600.0
# Deliveries under way when the log was read.
OVERLAP_S = 600.0
# So many in a row that GitHub does not hand over, and it is GitHub that is in trouble.
FAILURES = 3


class Left(msgspec.Struct, frozen=True, omit_defaults=True):
    """A delivery that is to be had yet; `failures` is how often GitHub was asked in vain."""

    tried: Tried
    failures: int = 0


class Rest(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one look leaves for the next: deliveries, and where in GitHub's log to go on.

    `newest` is how far everything is known once that walk is at its end, epoch milliseconds.
    """

    left: tuple[Left, ...] = ()
    cursor: str = ""
    newest: int | None = None


class Reconcile:
    """Looks through the deliveries of the app. `wall_s` is epoch seconds, for the very first look only."""

    def __init__(
        self, log: Log, source: Source, deliveries: HookDeliveries, *, wall_s: Callable[[], float] = time.time
    ) -> None:
        self._log, self._source, self._deliveries, self._wall_s = log, source, deliveries, wall_s

    def look(
        self, before: Reconciled, rest: bytes, *, sending: Sending, keep: Callable[[], None]
    ) -> tuple[Reconciled, bytes]:
        """Take in what was never seen; what became of it, and what to look at next time.

        `keep` is called before each request. Raises: Unavailable, Overloaded: the store is not there.
        """
        one = _Look(self._log, self._source, self._deliveries, sending, keep)
        now = self._wall_s()
        since_s = now - FIRST_S if before.until is None else before.until / 1000 - OVERLAP_S
        walked = one.walk(_rest_of(rest), since_s)
        result, left = one.take(walked.left)
        is_walked = not walked.cursor and not one.walk_error
        return (
            msgspec.structs.replace(
                result,
                until=walked.newest or before.until or int(now * 1000) if is_walked else before.until,
                error=one.walk_error or result.error or ("" if is_walked else MORE),
            ),
            msgspec.json.encode(
                Rest(left=left, cursor=walked.cursor, newest=walked.newest if walked.cursor else None)
            ),
        )


class _Look:
    """One look: where GitHub's log is walked through, and where what was found is taken in."""

    def __init__(
        self,
        log: Log,
        source: Source,
        deliveries: HookDeliveries,
        sending: Sending,
        keep: Callable[[], None],
    ) -> None:
        self._log, self._source, self._deliveries = log, source, deliveries
        self._sending, self._keep, self._whole = sending, keep, Within(LOOK_S, sending)
        self.walk_error = ""

    def walk(self, rest: Rest, since_s: float) -> Rest:
        """`rest` with what is found from its cursor back to `since_s`. What goes wrong is in `walk_error`."""
        if len(rest.left) >= MOST_UNSEEN:
            self.walk_error = MORE
            return rest
        try:
            found = self._deliveries.unseen(
                datetime.fromtimestamp(since_s, UTC),
                self._is_seen,
                page_within=self._within,
                cursor=rest.cursor,
            )
        except DeliveryError as error:
            self.walk_error = _code(error)
            # A cursor that GitHub knows no longer leads nowhere: the walk begins anew.
            is_lost = bool(rest.cursor) and error.kind in ("gone", "refused")
            return Rest(left=rest.left) if is_lost else rest
        if found.error is not None:
            self.walk_error = _code(found.error)
        known = {each.tried.guid for each in rest.left}
        new = (Left(each) for each in found.deliveries if each.guid not in known)
        newest = rest.newest if rest.cursor else _ms(found.newest)
        return Rest(left=(*rest.left, *new), cursor=found.cursor, newest=newest)

    def take(self, left: tuple[Left, ...]) -> tuple[Reconciled, tuple[Left, ...]]:
        """Take in `left`, oldest first, but what could not be had before behind the rest; and what remains."""
        now, remaining, failed = Reconciled(found=len(left)), [], 0
        order = sorted(left, key=lambda each: (each.failures, each.tried.delivered_at, each.tried.id))
        for at, each in enumerate(order):
            try:
                is_taken = self._is_taken(each.tried)
            except (DeliveryError, Overloaded) as error:
                if self._is_its_own(error):
                    failed += 1
                    remaining.append(Left(each.tried, each.failures + 1))
                    if failed < FAILURES:
                        continue
                    at += 1
                remaining += order[at:]
                code = _code(error) if self._whole.left_s() else MORE
                now = msgspec.structs.replace(now, error=code)
                break
            failed = 0
            taken, refused = now.taken + is_taken, now.refused + (not is_taken)
            now = msgspec.structs.replace(now, taken=taken, refused=refused)
        return msgspec.structs.replace(now, left=len(remaining)), tuple(remaining)

    def _is_its_own(self, error: DeliveryError | Overloaded) -> bool:
        """Whether another delivery may be had nevertheless."""
        return isinstance(error, DeliveryError) and error.kind == "not_sent" and self._whole.left_s() > 0

    def _within(self) -> Within:
        self._whole.go_on()
        self._keep()
        return Within(min(REQUEST_S, self._whole.left_s()), self._sending)

    def _is_seen(self, tried: Tried) -> bool:
        if tried.event == "ping":
            return True
        stream = stream_of_place(repository=tried.repository_id or 0, installation=tried.installation_id or 0)
        return self._log.offset_of(stream, f"github:{tried.guid.lower()}") is not None

    def _is_taken(self, tried: Tried) -> bool:
        """Whether it is kept now; False for what can not be. Raises: DeliveryError, Unavailable, Overloaded."""
        try:
            missed = self._deliveries.fetch(tried, within=self._within())
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
                self._append(arrived)
        except (Invalid, TooLarge):
            return False
        return True

    def _append(self, arrived: Arrived) -> None:
        event = EventInput.of("inbound.received", arrived.received, key=arrived.key)
        created = EventInput.of("stream.created", StreamCreated(source=arrived.received.source))
        self._log.append(arrived.stream, [event], create=created, existing_wins=True, guarded=True)


def _rest_of(told: bytes) -> Rest:
    return msgspec.json.decode(told, type=Rest) if told else Rest()


def _code(error: DeliveryError | Overloaded) -> str:
    if isinstance(error, Overloaded):
        return error.reason
    return "stopping" if error.kind == "cancelled" else error.code or error.kind


def _ms(at: datetime | None) -> int | None:
    return None if at is None else int(at.timestamp() * 1000)
