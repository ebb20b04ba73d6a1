"""Waiting for the answer to one input: shows it while it is written, and tells how the turn ended."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec

from deploy.cli.live import DeltaView, Heartbeat, News
from services.sessions.values import EventView
from services.streams.vocabulary import InputWithdrawn, LLMRequested, TurnSettled


class Withdrawn(Exception):
    """The input was taken back before it was answered."""


class Answer:
    """Collects what concerns the input at `offset`. `write` shows text at once; it gets every text once.

    `run` is the last run that was begun for it, empty before there is one.
    """

    def __init__(self, offset: int, write: Callable[[str], None] | None) -> None:
        self.run = ""
        self._offset = offset
        self._write = write
        self._jobs: set[str] = set()
        self._job = ""
        self._attempt = 0
        self._next: int | None = None
        self._shown = ""

    def wait(self, news: Iterable[News], idle: Callable[[], None]) -> TurnSettled:
        """Read `news` up to the settled turn; `idle` is called when nothing happens for a while.

        Raises: Withdrawn, and what `news` raises.
        """
        for each in news:
            if isinstance(each, Heartbeat):
                idle()
            elif isinstance(each, DeltaView):
                self._on_delta(each)
            elif (settled := self._on_event(each)) is not None:
                return settled
        raise Withdrawn

    def _on_event(self, event: EventView) -> TurnSettled | None:
        match event.type:
            case "llm.requested":
                asked = msgspec.json.decode(event.payload, type=LLMRequested)
                if self._offset in asked.inputs:
                    self._jobs.add(asked.job)
                    self.run = asked.job
            case "turn.settled":
                settled = msgspec.json.decode(event.payload, type=TurnSettled)
                if self._offset in settled.inputs:
                    self._finish(settled.text)
                    return settled
            case "input.withdrawn":
                if msgspec.json.decode(event.payload, type=InputWithdrawn).input == self._offset:
                    raise Withdrawn
        return None

    def _on_delta(self, delta: DeltaView) -> None:
        if self._write is None or delta.job not in self._jobs:
            return
        if (delta.job, delta.attempt) != (self._job, self._attempt):
            if self._shown:
                self._write("\n")
            self._job, self._attempt, self._shown = delta.job, delta.attempt, ""
            self._next = delta.seq if delta.seq <= 1 else None
        if delta.seq == self._next:
            self._write(delta.text)
            self._shown += delta.text
            self._next += 1
        else:
            self._next = None

    def _finish(self, text: str) -> None:
        if self._write is None:
            return
        if text.startswith(self._shown):
            self._write(text[len(self._shown) :] + "\n")
        else:
            self._write(f"\n{text}\n")
