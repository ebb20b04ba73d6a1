"""Planning with plugins: watched, one at a time once one ended a process, blamed for what only they can do wrong.

Built-in processors alone are planned without any of it. Writes through `isolation` only.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from services.processors.isolation import COUNTED_TAKES, Isolation, accused
from services.processors.plan import Claimer, Plan, Reading
from services.processors.planning import plan
from services.processors.registry import ProcessorRegistry
from services.processors.unit import AnyProcessor, Fault, Watch, watch_nothing
from services.streams.event import Event
from services.streams.log import Log
from services.streams.store import translated
from services.streams.vocabulary import ProcessorUnparked

WATCHED_EVENTS = 64


class Drawing:
    """Draws plans in the name of one incarnation. `is_dead` tells of one whether its process is known to be gone."""

    def __init__(
        self, log: Log, registry: ProcessorRegistry, incarnation: str, is_dead: Callable[[str], bool]
    ) -> None:
        self.log, self.registry, self.incarnation, self.is_dead = log, registry, incarnation, is_dead
        self.alone = threading.Lock()

    def sketch(self, reading: Reading, processors: Sequence[AnyProcessor], *, takes: int) -> Sketch:
        """Begin with what was read. `takes`: how often the stream was taken since its last commit."""
        return Sketch(self, reading, processors, takes)


class Sketch:
    """One reading on its way to a plan."""

    def __init__(
        self, drawing: Drawing, reading: Reading, processors: Sequence[AnyProcessor], takes: int
    ) -> None:
        self._drawing, self._reading, self._processors = drawing, reading, processors
        self._is_counted = takes > COUNTED_TAKES
        self._builtin = drawing.registry.are_builtin
        self._isolation: Isolation | None = None
        if self._is_counted or not self._builtin(processors):
            log = drawing.log
            self._isolation = Isolation(
                log.store, log.keys, reading.stream, drawing.incarnation, drawing.is_dead
            )

    def draw(self, claimer: Claimer, *, known: Sequence[Fault]) -> Plan:
        """The plan; `known` faults park their processors. Raises: NewerVersion, Unavailable."""
        isolation, reading, processors = self._isolation, self._reading, self._processors
        if isolation is None:
            return plan(reading, processors, claimer)
        versions = {p.contract.name: p.contract.version for p in processors}
        pardoned = _pardoned(reading.events)
        with isolation.run(versions, pardoned):
            if not self._is_counted and not isolation.is_suspicious:
                return plan(reading, processors, claimer, watch=self._watch(isolation), known=known)
        # Of several that run at once in a process that ends, nobody could tell which one it was. Who waited
        # for its turn looks again: a plugin may have been found guilty meanwhile.
        with self._drawing.alone, isolation.run(versions, pardoned) as found:
            guilty = accused(reading, processors, found, self._builtin)
            return plan(reading, processors, claimer, watch=isolation.watch, guilty=guilty, known=known)

    def blamed(self, drawn: Plan) -> list[Fault]:
        """The plugins that start a job there was before, or settle one that is not there to be settled.

        The built-in ones may lose a race, any number of times: a later reading tells them.
        """
        plugins = self._plugins()
        log = self._drawing.log
        with translated():
            named = [*(one.id for one in drawn.jobs), *(one.id for one in drawn.settles)]
            rows = {job: log.store.client.hmget(log.keys.job(job), "state", "token") for job in named}
        wrong = [one.id for one in drawn.jobs if rows[one.id][0] is not None]
        for settled in drawn.settles:
            state, token = rows[settled.id]
            if state in (None, b"settled") or int(token or 0) != settled.token:
                wrong.append(settled.id)
        owners = [drawn.owners[job] for job in wrong]
        return [Fault(o.name, o.offset, "JobConflict") for o in owners if o.name in plugins]

    def committed(self, drawn: Plan) -> None:
        """Nobody ended in this plan: what is known of earlier ends here is forgotten, but for the parked."""
        if self._isolation is not None and self._isolation.is_suspicious:
            rows = self._reading.rows
            before = {name for name, row in rows.items() if row.status == "parked"}
            self._isolation.committed({*drawn.parked, *(before - _pardoned(self._reading.events))})

    def _watch(self, isolation: Isolation) -> Watch:
        """Watch plugins; nobody where much is read and noting each event would take long."""
        reading, plugins = self._reading, self._plugins()
        if len(reading.events) + sum(map(len, reading.lagging.values())) > WATCHED_EVENTS:
            return watch_nothing
        return lambda name, offset: isolation.watch(name, offset) if name in plugins else None

    def _plugins(self) -> set[str]:
        return {p.contract.name for p in self._processors if not self._builtin([p])}


def _pardoned(events: Sequence[Event]) -> set[str]:
    """The parked processors that people told to go on."""
    told = [e for e in events if e.type in ("processor.resumed", "processor.skipped")]
    return {event.decode(ProcessorUnparked).name for event in told}
