"""Which agent takes what: the routes of the configuration, the first that fits, and what goes without any."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Literal

import msgspec

from services.config import AgentConfig, RouteConfig
from services.inbound.contract import Does, Ignored, Order
from services.streams.event import StreamId

# What a route must name, of what it may leave out, to take a delivery.
Needs = Literal["", "events", "labels"]

_session = re.compile(r"[A-Za-z0-9._:-]{1,200}")
_wild = re.compile(r"[*?]")


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    """What a delivery is, as routes tell deliveries apart.

    `event` is one of the source's words, `place` a channel's id or a repository's name, `thread` the session it
    belongs to without a route. `parts` are what the template of a session may name.
    """

    event: str
    place: str
    thread: StreamId
    author: str = ""
    is_bot: bool = False
    label: str = ""
    text: str = ""
    parts: Mapping[str, str] = {}


class Rules:
    """The routes of one source. `usual` are the events that are taken where no route says anything of them, all
    where there are none; `debounce_ms` is how long is waited for more of them where the agent does not say.
    `folds`: upper and lower case are the same in its places, authors and labels."""

    def __init__(
        self,
        source: str,
        routes: Sequence[RouteConfig],
        agents: Mapping[str, AgentConfig],
        *,
        usual: frozenset[str],
        debounce_ms: int = 0,
        folds: bool = False,
    ) -> None:
        fallback = RouteConfig(source=source, events=tuple(sorted(usual)))
        self._routes = [*(each for each in routes if each.source == source), fallback]
        self._agents, self._debounce_ms, self._folds = agents, debounce_ms, folds

    def order(
        self, subject: Subject, *, does: Does = "say", is_there: bool = False, needs: Needs = ""
    ) -> Order | Ignored:
        """What the first route that fits makes of `subject`; of those only that name what it `needs`."""
        route = self._route(subject, any_text=does == "command", needs=needs)
        if route is None:
            return Ignored("no_route")
        if route.ignore:
            return Ignored("route_says_ignore")
        if subject.is_bot and not route.bots:
            return Ignored("bot")
        agent = self._agents[route.agent]
        return Order(
            session=_session_of(route, subject),
            does=does,
            agent=route.agent,
            policy=route.policy or agent.policy,
            debounce_ms=agent.debounce_ms if "debounce_ms" in agent.model_fields_set else self._debounce_ms,
            is_there=is_there,
        )

    def may_command(self, subject: Subject) -> bool:
        """Whether the author may give commands there: never who is not listened to."""
        route = self._route(subject, any_text=True)
        return route is not None and not route.ignore and self._matches(route.commands, subject.author)

    def names_author(self, subject: Subject, *, needs: Needs = "") -> bool:
        """Whether the route that takes `subject` is for its author by name: a pattern vouches for nobody."""
        route = self._route(subject, any_text=False, needs=needs)
        plain = [each for each in route.authors if not _wild.search(each)] if route else []
        return bool(plain) and self._matches(plain, subject.author)

    def _route(self, subject: Subject, *, any_text: bool, needs: Needs = "") -> RouteConfig | None:
        """The first that fits; `any_text`: whatever text it wants, as a command is none of what it is about."""
        named = (each for each in self._routes if _names(each, needs))
        return next((each for each in named if self._fits(each, subject, any_text=any_text)), None)

    def _fits(self, route: RouteConfig, subject: Subject, *, any_text: bool) -> bool:
        return (
            (not route.events or subject.event in route.events)
            and self._matches(route.places, subject.place)
            and self._matches(route.authors, subject.author)
            and self._matches(route.labels, subject.label)
            and (
                route.text is None
                or (any_text and not route.ignore)
                or re.search(route.text, subject.text) is not None
            )
        )

    def _matches(self, patterns: Sequence[str], given: str) -> bool:
        return not patterns or any(_pattern(each, self._folds).fullmatch(given) for each in patterns)


def _names(route: RouteConfig, needs: Needs) -> bool:
    match needs:
        case "events":
            return bool(route.events)
        case "labels":
            return bool(route.labels)
        case _:
            return True


@lru_cache(maxsize=1024)
def _pattern(text: str, folds: bool) -> re.Pattern[str]:
    """Only * and ? are more than themselves: the names of apps end in `[bot]`, which is no set of letters."""
    parts = (".*" if each == "*" else "." if each == "?" else re.escape(each) for each in text)
    return re.compile("".join(parts), re.DOTALL | (re.IGNORECASE if folds else 0))


def _session_of(route: RouteConfig, subject: Subject) -> StreamId:
    if route.session is None:
        return subject.thread
    filled = route.session
    for name, value in subject.parts.items():
        filled = filled.replace(f"{{{name}}}", value)
    return StreamId(filled) if _session.fullmatch(filled) else subject.thread
