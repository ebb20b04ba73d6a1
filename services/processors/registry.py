"""Which processors run on which streams: built in, installed as packages, attached by pattern or by event."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import EntryPoint, entry_points
from itertools import chain

from services.errors import ConfigurationError
from services.processors.contract import Contract, Processor
from services.processors.rows import Row
from services.processors.unit import AnyProcessor
from services.streams.event import Event, StreamId

GROUP = "turnwright.processors"


def installed(points: Sequence[EntryPoint] | None = None) -> dict[str, AnyProcessor]:
    """Every processor that a package offers, by name. Raises: ConfigurationError naming a broken one."""
    found: dict[str, AnyProcessor] = {}
    for point in entry_points(group=GROUP) if points is None else points:
        try:
            made = point.load()()
        except (Exception, SystemExit) as error:
            # The border to plugin code. Its own words may hold secrets, so only the type is told.
            raise ConfigurationError(
                f"processor {point.name} ({point.value}): {type(error).__name__}"
            ) from error
        contract = getattr(made, "contract", None)
        if (
            not isinstance(made, Processor)
            or not isinstance(contract, Contract)
            or contract.name != point.name
        ):
            raise ConfigurationError(
                f"processor {point.name} ({point.value}) is not a Processor of that name"
            )
        found[point.name] = made
    return found


class ProcessorRegistry:
    """`builtin` run on every session, those of `apart` on the streams that begin with a key of it, and nowhere else;
    `plugins` where `patterns` (name, stream pattern) or an event say so.

    `on_demand` are built in too, and run on a session from the first event on that has work for them: what few
    sessions need is planned for in no other.
    """

    def __init__(
        self,
        builtin: Sequence[AnyProcessor],
        plugins: Mapping[str, AnyProcessor] | None = None,
        patterns: Sequence[tuple[str, str]] = (),
        *,
        apart: Mapping[str, Sequence[AnyProcessor]] = {},
        on_demand: Sequence[tuple[AnyProcessor, Callable[[Event], bool]]] = (),
    ) -> None:
        self._builtin, self._apart = tuple(builtin), dict(apart)
        self._on_demand = {p.contract.name: p for p, _ in on_demand}
        self._begins = {p.contract.name: begins for p, begins in on_demand}
        self._plugins = dict(plugins or {})
        self._patterns = tuple(patterns)
        unknown = [name for name, _ in patterns if name not in self._plugins]
        if unknown:
            raise ConfigurationError(*(f"processors: {name} is not installed" for name in unknown))

    def of(
        self, stream: StreamId, rows: Mapping[str, Row], attached: Sequence[str] = ()
    ) -> list[AnyProcessor]:
        """The processors of a stream: `rows` say which ran before, `attached` what an event just added."""
        kind = self._kind_of(stream)
        chosen = list(self._builtin if kind is None else self._apart[kind])
        chosen += [p for name, p in self._on_demand.items() if name in rows or name in attached]
        names = {p.contract.name for p in chosen}
        for name, plugin in self._plugins.items():
            wanted = name in rows or name in attached or self.matches(name, stream)
            if wanted and name not in names:
                chosen.append(plugin)
        return chosen

    def begun(self, rows: Mapping[str, Row], events: Sequence[Event]) -> list[str]:
        """Those on demand that have not run on the stream before and have work from one of `events` on."""
        return [
            name
            for name, begins in self._begins.items()
            if name not in rows and any(begins(event) for event in events)
        ]

    def are_builtin(self, processors: Sequence[AnyProcessor]) -> bool:
        """Whether all of `processors` are this project's own."""
        own = self._own()
        return all(p in own for p in processors)

    def matches(self, name: str, stream: StreamId) -> bool:
        """Whether configuration attaches `name` to `stream`. What is no session has to be meant: `*` is sessions."""
        kind = self._kind_of(stream) or ""
        return any(
            n == name and pattern.startswith(kind) and fnmatch.fnmatchcase(stream, pattern)
            for n, pattern in self._patterns
        )

    def all(self) -> dict[str, AnyProcessor]:
        """Every processor this process can run, by name."""
        return {p.contract.name: p for p in self._own()} | self._plugins

    @property
    def patterns(self) -> tuple[tuple[str, str], ...]:
        """(name, stream pattern) as configured."""
        return self._patterns

    def _kind_of(self, stream: StreamId) -> str | None:
        return next((prefix for prefix in self._apart if stream.startswith(prefix)), None)

    def _own(self) -> Sequence[AnyProcessor]:
        return (*self._builtin, *chain.from_iterable(self._apart.values()), *self._on_demand.values())
