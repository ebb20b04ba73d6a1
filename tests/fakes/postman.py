"""A channel that does with letters what a test says, and remembers them."""

from __future__ import annotations

from collections.abc import Callable

from services.channels.contract import DeliveryError, Letter, Receipt, Sending


class Postman:
    """`answers` are used up one by one, then everything arrives. `found` is what a look for a letter finds."""

    name = "http"

    def __init__(self, *answers: DeliveryError | Receipt, settle_ms: int = 0) -> None:
        self.answers = list(answers)
        self.settle_ms = settle_ms
        self.letters: list[Letter] = []
        self.looks: list[str] = []
        self.found: Receipt | DeliveryError | None = None
        self.before: Callable[[], None] = lambda: None
        self.on_look: Callable[[], None] = lambda: None

    def send(self, letter: Letter, sending: Sending) -> Receipt:
        """See `Channel`."""
        self.before()
        sending.starting()
        self.letters.append(letter)
        if sending.is_cancelled():
            raise DeliveryError("cancelled")
        answer = self.answers.pop(0) if self.answers else Receipt()
        if isinstance(answer, DeliveryError):
            raise answer
        return answer

    def find(self, letter: Letter, sending: Sending) -> Receipt | None:
        """See `Channel`."""
        self.looks.append(letter.marker)
        self.on_look()
        if isinstance(self.found, DeliveryError):
            raise self.found
        return self.found
