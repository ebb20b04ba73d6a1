"""Letters to send, and the sender's side of an attempt, for tests of channels."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable

import msgspec

from services.channels.contract import Channel, DeliveryError, Letter, Receipt
from services.jobs.cancellation import Cancellation
from services.outbox.markers import marker_of
from services.streams.event import JobId, StreamId
from services.streams.vocabulary import InputReceived, TurnSettled, Usage

CANARY = "canary-of-the-text"

_numbers = itertools.count(1)


class FakeSending:
    """One attempt. `may_start` is what the outbox would say right before the first byte.

    `watched`: the channel said how to free it.
    """

    def __init__(self, *, may_start: bool = True) -> None:
        self.starts = 0
        self.watched = threading.Event()
        self._may_start = may_start
        self._cancellation = Cancellation()

    def starting(self) -> None:
        self.starts += 1
        if not self._may_start or self._cancellation.is_set():
            self._cancellation.set("may_not_start")
            raise DeliveryError("cancelled")

    def on_cancel(self, shut: Callable[[], None]) -> Callable[[], None]:
        self.watched.set()
        return self._cancellation.add(shut)

    def is_cancelled(self) -> bool:
        return self._cancellation.is_set()

    def cancel(self) -> None:
        """Stop the attempt, from whichever thread."""
        self._cancellation.set("test")


def deliver(channel: Channel, letter: Letter, *, attempts: int = 20) -> int:
    """What the outbox does with a letter, as often as it takes; how many attempts it took."""
    is_doubtful = False
    for number in range(1, attempts + 1):
        one = msgspec.structs.replace(letter, is_repeat=is_doubtful)
        try:
            if not (is_doubtful and channel.find(one, FakeSending())):
                channel.send(one, FakeSending())
            return number
        except DeliveryError as error:
            if error.kind in ("gone", "refused", "cancelled"):
                raise
            is_doubtful = error.kind == "ambiguous"
    raise AssertionError("it never arrived")


class Posting:
    """A letter that is being sent in a thread of its own."""

    def __init__(self, channel: Channel, letter: Letter, sending: FakeSending | None = None) -> None:
        self.sending = sending or FakeSending()
        self.receipt: Receipt | None = None
        self.error: DeliveryError | None = None
        self._work = (channel, letter)
        self._thread = threading.Thread(target=self._post, daemon=True)
        self._thread.start()

    def _post(self) -> None:
        channel, letter = self._work
        try:
            self.receipt = channel.send(letter, self.sending)
        except DeliveryError as error:
            self.error = error

    def wait(self, within_s: float = 10.0) -> Posting:
        """Wait until it ended, well or not."""
        self._thread.join(within_s)
        assert not self._thread.is_alive(), f"sending did not end within {within_s} s"
        return self


def letter_to(
    callback: str | None, *, text: str = CANARY, timeout_s: float = 10.0, n: int | None = None
) -> Letter:
    """A letter like no other, or the `n`-th one."""
    entry = JobId(f"app:s@{n or next(_numbers)}")
    return Letter(
        entry=entry,
        marker=marker_of("test", entry),
        session=StreamId("app:s"),
        queued_at=1_764_000_000_123,
        input=_input(callback),
        turn=TurnSettled(turn=1, outcome="answered", inputs=(2,), text=text, usage=Usage(input=3, output=2)),
        timeout_s=timeout_s,
    )


def failure(channel: Channel, letter: Letter, sending: FakeSending | None = None) -> DeliveryError:
    """Send a letter that must not arrive well: its error."""
    try:
        receipt = channel.send(letter, sending or FakeSending())
    except DeliveryError as error:
        return error
    raise AssertionError(f"it was accepted: {receipt}")


def _input(address: str | None) -> InputReceived:
    """An input that is answered there: at a callback, or in a thread of another channel."""
    is_callback = address is None or address.startswith(("http:", "https:"))
    if is_callback:
        return InputReceived(text="canary-of-the-input", callback=address)
    return InputReceived(text="canary-of-the-input", reply_to=address)
