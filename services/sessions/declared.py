"""The triggers that the configuration declares, brought into the store at the start of whoever looks after them.

Any number of processes may do so at once: what is so already is not written again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from functools import partial
from typing import Literal

from services.config import TriggerConfig
from services.cron.moments import moment_in
from services.errors import Conflict, NotFound, Overloaded, TurnwrightError, Unavailable
from services.schedule.names import trigger_of
from services.sessions.triggers import Triggers
from services.sessions.values import WrongState
from services.streams.schedule_events import Definition

RETRY_S = 5.0

Change = Literal["defined", "removed"]


class Declared:
    """Makes the triggers of the store what `configs` say, and removes those that an earlier configuration declared.

    `changed` hears of each that was not so before, `failed` of each that could not be, by its id. While the store is
    away all of it is tried again, `retry_s` apart.
    """

    def __init__(
        self,
        triggers: Triggers,
        configs: Sequence[TriggerConfig],
        *,
        changed: Callable[[str, Change], None],
        failed: Callable[[str, TurnwrightError], None],
        retry_s: float = RETRY_S,
    ) -> None:
        self._triggers, self._changed, self._failed = triggers, changed, failed
        self._retry_s = retry_s
        self._wanted = {each.id: definition_of(each) for each in configs}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="declared", daemon=True)

    def start(self) -> None:
        """Begin; nobody waits for it."""
        self._thread.start()

    def stop(self) -> None:
        """Leave what is not done yet to the next start."""
        self._stop.set()

    def reconcile(self) -> None:
        """Once. Raises: Unavailable, Overloaded."""
        for trigger, definition in self._wanted.items():
            self._do(trigger, "defined", partial(self._define, trigger, definition))
        for stream, known in self._triggers.every():
            trigger = trigger_of(stream)
            is_left = known.state.origin == "config" and trigger not in self._wanted
            if is_left and not self._stop.is_set():
                self._do(trigger, "removed", partial(self._remove, trigger))

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                return self.reconcile()
            except (Unavailable, Overloaded) as error:
                self._failed("", error)
                self._stop.wait(self._retry_s)

    def _do(self, trigger: str, change: Change, work: Callable[[], bool]) -> None:
        try:
            if work():
                self._changed(trigger, change)
        except (Unavailable, Overloaded):
            raise
        except TurnwrightError as error:
            # One that can not be as it is declared is no reason to leave the others.
            self._failed(trigger, error)

    def _define(self, trigger: str, definition: Definition) -> bool:
        return self._triggers.define(trigger, definition, origin="config").changed

    def _remove(self, trigger: str) -> bool:
        try:
            self._triggers.remove(trigger, origin="config")
        except (NotFound, WrongState, Conflict):
            return False
        return True


def definition_of(config: TriggerConfig) -> Definition:
    """What a table of the file says. Raises: Invalid."""
    return Definition(
        agent=config.agent,
        prompt=config.prompt,
        cron=config.cron or "",
        at=0 if config.at is None else moment_in(config.at, config.tz),
        tz=config.tz,
        session=config.session,
        answer_in=config.answer_in or "",
        misfire=config.misfire,
        catch_up_s=config.catch_up_s,
        overlap=config.overlap,
        paused=config.paused,
    )
