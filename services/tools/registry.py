"""Which tools there are: the built-in ones and those that installed packages bring."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable
from importlib.metadata import EntryPoint, entry_points

from services.errors import ConfigurationError, NotFound
from services.llm.provider import ToolSpec
from services.tools.clock import clock_tool
from services.tools.contract import Tool

GROUP = "turnwright.tools"
Allowed = tuple[str, ...] | None


def installed_tools() -> Iterable[EntryPoint]:
    """The entry points of group `turnwright.tools` in this environment; imports none of them."""
    return entry_points(group=GROUP)


class ToolRegistry:
    """Tools by name. `allowed` is an agent's list: None means all, an empty one none.

    `problems` says what installed packages could not bring; the rest works, and whoever starts decides by
    `check` whether that is enough.
    """

    def __init__(self, tools: Iterable[Tool], problems: Iterable[str] = ()) -> None:
        self._tools: dict[str, Tool] = {}
        for tool in tools:
            if tool.name in self._tools:
                raise ConfigurationError(f"tool {tool.name!r} exists twice")
            self._tools[tool.name] = tool
        self.problems = tuple(problems)

    @classmethod
    def installed(cls, find: Callable[[], Iterable[EntryPoint]] = installed_tools) -> ToolRegistry:
        """Built-in tools and those of installed packages; of two with one name the first stays."""
        origin = {"clock": "turnwright"}
        tools = [clock_tool()]
        problems: list[str] = []
        for plugin in sorted(find(), key=lambda plugin: (_package(plugin), plugin.name)):
            package = _package(plugin)
            try:
                tool = _loaded(plugin)
            except ConfigurationError as error:
                problems.extend(error.problems)
                continue
            if tool.name in origin:
                problems.append(
                    f"tool {tool.name!r} of package {package} is already provided by {origin[tool.name]}"
                )
            else:
                origin[tool.name] = package
                tools.append(tool)
        return cls(tools, problems)

    def names(self) -> tuple[str, ...]:
        """All tools, sorted."""
        return tuple(sorted(self._tools))

    def get(self, name: str, allowed: Allowed = None) -> Tool:
        """The tool of that name. Raises: NotFound, also when `allowed` leaves it out."""
        if name not in self._tools or (allowed is not None and name not in allowed):
            raise NotFound(f"tool {name!r}")
        return self._tools[name]

    def specs(self, allowed: Allowed = None) -> tuple[ToolSpec, ...]:
        """What a model is offered, in order of name, so that equal requests have equal bytes."""
        return tuple(self._tools[name].spec() for name in self.names() if allowed is None or name in allowed)

    def check(self, allowed: Iterable[Allowed]) -> None:
        """Hold the agents' lists against what is there.

        Raises: ConfigurationError when one lists a missing tool, or wants all and some are broken.
        """
        lists = list(allowed)
        found = [problem for problem in self.problems if None in lists]
        missing = dict.fromkeys(name for names in lists for name in names or () if name not in self._tools)
        found += [self._missing(name) for name in missing]
        if not found:
            return
        raise ConfigurationError(*dict.fromkeys((*found, *(self.problems if missing else ()))))

    def _missing(self, name: str) -> str:
        near = difflib.get_close_matches(name, self.names(), n=1)
        hint = f" (did you mean {near[0]!r}?)" if near else ""
        return f"tool {name!r} is not installed{hint}; installed: {', '.join(self.names())}"


def _loaded(plugin: EntryPoint) -> Tool:
    where = f"tool {plugin.name!r} of package {_package(plugin)}"
    try:
        tool = plugin.load()
    except ImportError as error:
        raise ConfigurationError(f"{where} can not be imported: {error}") from error
    except (Exception, SystemExit) as error:
        # The border to plugin code; a TypeError of ours says which parameter is wrong.
        detail = f": {error}" if isinstance(error, (TypeError, ValueError)) else ""
        raise ConfigurationError(f"{where} can not be used: {type(error).__name__}{detail}") from error
    if not isinstance(tool, Tool):
        raise ConfigurationError(f"{where} is a {type(tool).__name__}; make it one with @tool")
    return tool


def _package(plugin: EntryPoint) -> str:
    return plugin.dist.name if plugin.dist else plugin.value
