"""Ticks without an end, for the commands that say what is still to come."""

from __future__ import annotations

import time
from collections.abc import Iterator

from deploy.cli.server import Absent, Server
from services.sessions.trigger_values import TickPage, TickState, TickView, TriggerPage

# The ledger reaches back no further.
_SINCE = 0
_OPEN: tuple[TickState, ...] = ("due", "claimed", "released")


def open_ticks(server: Server) -> Iterator[tuple[str, TickView]]:
    """Every tick of any trigger that was not dispatched and did not end, with its trigger."""
    cursor: str | None = ""
    now = time.time() * 1000
    while cursor is not None:
        page, _ = server.read("/api/triggers", TriggerPage, {"limit": 500} | _after(cursor))
        for each in page.triggers:
            if each.open or (each.next is not None and each.next <= now):
                for tick in ticks_of(server, each.id):
                    yield each.id, tick
        cursor = page.cursor


def ticks_for(server: Server, session: str) -> list[TickView]:
    """The ticks that are still to come to `session`, the oldest first; none for a session of something else."""
    kind, _, rest = session.partition(":")
    trigger, _, tick = rest.partition(":")
    if kind != "trigger" or not trigger:
        return []
    try:
        found = list(ticks_of(server, trigger))
    except Absent:
        return []
    return [each for each in found if each.session == session or (tick and each.tick == tick)]


def ticks_of(server: Server, trigger: str) -> Iterator[TickView]:
    """Those of one trigger, the oldest first."""
    found: list[TickView] = []
    for state in _OPEN:
        cursor: str | None = ""
        while cursor is not None:
            query: dict[str, str | int] = {"since": _SINCE, "state": state, "limit": 1000}
            page, _ = server.read(f"/api/triggers/{trigger}/ticks", TickPage, query | _after(cursor))
            found += page.ticks
            cursor = page.cursor
    return iter(sorted(found, key=lambda each: (each.due, each.tick)))


def _after(cursor: str) -> dict[str, str | int]:
    return {"cursor": cursor} if cursor else {}
