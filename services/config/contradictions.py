"""Keys of `turnwright.toml` that are right alone and wrong together.

Looks at the document as it was written, so that a mistake elsewhere does not hide these.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib.metadata import entry_points

from services.config.problems import Problem
from services.config.schema import Limits

CHANNELS = "turnwright.channels"
# What the routes of a channel of ours may name in `events`.
EVENTS = {
    "slack": ("mention", "direct", "reply", "message"),
    "github": ("mention", "assigned", "labeled", "review_requested", "reply"),
}


def contradictions(document: Mapping[str, object]) -> Iterator[Problem]:
    """Everything that does not fit together; values of a wrong type are left to the schema."""
    yield from _double_prompts(document.get("agents"))
    yield from _impossible_times(document.get("limits"))
    yield from _double_attachments(document.get("processors"))
    for table in ("routes", "triggers"):
        yield from _unknown_agents(table, document.get(table), document.get("agents"))
    yield from _double_triggers(document.get("triggers"))
    yield from _unknown_sources(document.get("routes"), document.get("sources"))
    yield from _unknown_events(document.get("routes"))


def _double_prompts(agents: object) -> Iterator[Problem]:
    for name, agent in agents.items() if isinstance(agents, dict) else ():
        if isinstance(agent, dict) and "system_prompt" in agent and "system_prompt_file" in agent:
            yield Problem(("agents", name, "system_prompt_file"), "system_prompt is given too: keep one")


def _impossible_times(limits: object) -> Iterator[Problem]:
    table = limits if isinstance(limits, dict) else {}
    for shorter, longer in (("llm_idle_s", "llm_wall_s"), ("llm_wall_s", "job_expires_s")):
        low, high = (table.get(key, Limits.model_fields[key].default) for key in (shorter, longer))
        if isinstance(low, int | float) and isinstance(high, int | float) and low > high:
            key, wrong = (
                (shorter, f"longer than {longer}")
                if shorter in table
                else (longer, f"shorter than {shorter}")
            )
            yield Problem(("limits", key), f"must not be {wrong} ({high if key == shorter else low})")


def _unknown_agents(key: str, tables: object, agents: object) -> Iterator[Problem]:
    known = {"default", *(agents if isinstance(agents, dict) else ())}
    for index, table in enumerate(tables if isinstance(tables, list) else ()):
        agent = table.get("agent", "default") if isinstance(table, dict) else "default"
        if isinstance(agent, str) and agent not in known:
            yield Problem((key, index, "agent"), f"there is no agent {agent!r}")


def _double_triggers(triggers: object) -> Iterator[Problem]:
    seen: list[object] = []
    for index, table in enumerate(triggers if isinstance(triggers, list) else ()):
        name = table.get("id") if isinstance(table, dict) else None
        if name is not None and name in seen:
            yield Problem(("triggers", index, "id"), f"{name!r} is there already")
        seen.append(name)


def _unknown_sources(routes: object, sources: object) -> Iterator[Problem]:
    given = sources if isinstance(sources, list) else ()
    names = [each.get("name") for each in given if isinstance(each, dict)]
    own = ("slack", "github", *_brought()) if routes or names else ()
    for index, name in enumerate(names):
        if name in own or name in names[:index]:
            yield Problem(("sources", index, "name"), f"{name!r} is there already")
    for index, table in enumerate(routes if isinstance(routes, list) else ()):
        source = table.get("source") if isinstance(table, dict) else None
        if isinstance(source, str) and source not in (*own, *names):
            yield Problem(("routes", index, "source"), f"there is no source {source!r}")


def _unknown_events(routes: object) -> Iterator[Problem]:
    """A route that names what never comes would take nothing, and nobody would know why."""
    for index, table in enumerate(routes if isinstance(routes, list) else ()):
        named = table.get("events") if isinstance(table, dict) else None
        known = EVENTS.get(str(table["source"])) if isinstance(table, dict) and "source" in table else None
        for place, event in enumerate(named if isinstance(named, list) else ()):
            where = ("routes", index, "events", place)
            if known is not None and isinstance(event, str) and event not in known:
                yield Problem(where, f"there is no event {event!r} there, only {', '.join(known)}")
            elif known is None and isinstance(event, str) and set(event) & set("*?"):
                yield Problem(where, "is a whole word, in which * and ? stand for nothing else")


def _brought() -> list[str]:
    """The channels of installed packages, by what these say of themselves: none of their code runs for it."""
    return [point.name for point in entry_points(group=CHANNELS)]


def _double_attachments(processors: object) -> Iterator[Problem]:
    seen: list[tuple[object, object]] = []
    for index, table in enumerate(processors if isinstance(processors, list) else ()):
        if isinstance(table, dict) and "name" in table:
            if (attachment := (table["name"], table.get("streams", "*"))) in seen:
                yield Problem(("processors", index), "is there twice")
            seen.append(attachment)
