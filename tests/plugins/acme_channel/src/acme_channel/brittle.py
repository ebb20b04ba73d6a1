"""A channel with a bug in every method, for the tests: what it is told decides which one shows."""

from __future__ import annotations

import os
import threading

import msgspec

from turnwright import Delivery, Forged, Letter, Receipt, Request, Sending

CANARY = "canary-of-the-brittle-channel"


class BrittleChannel:
    """Closed unless ACME_BRITTLE is set. `{"id", "does"}` is the body of its webhooks."""

    name = "brittle"
    settle_ms = 0

    def __init__(self) -> None:
        self.off = "" if os.environ.get("ACME_BRITTLE") else "not set: ACME_BRITTLE"

    def verify(self, request: Request) -> None:
        """Believes everybody, but for its bugs."""
        if request.header("x-does") == "raise":
            raise RuntimeError(CANARY)
        if request.header("x-does") == "forged":
            raise Forged(CANARY)

    def read(self, request: Request) -> Delivery:
        """Reads what is there, but for its bugs."""
        posted: dict[str, str] = msgspec.json.decode(request.body)
        match posted["does"]:
            case "exit":
                raise SystemExit(CANARY)
            case "hang":
                threading.Event().wait(30)
            case "lie":
                return Delivery(key="", thread=7, text=CANARY)  # type: ignore[arg-type]  # the bug
        return Delivery(key=posted["id"], thread=posted["id"], text=posted["does"], reply_to=posted["does"])

    def send(self, letter: Letter, sending: Sending) -> Receipt:
        """Raises."""
        raise RuntimeError(CANARY)

    def find(self, letter: Letter, sending: Sending) -> Receipt | None:
        """Ends the thread it runs in."""
        raise SystemExit(CANARY)
