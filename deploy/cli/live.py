"""Following a session's events over HTTP: server-sent events, resumed when the connection breaks."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import msgspec

from deploy.cli.server import Failed, Lost, Server, session_path
from services.sessions.values import EventView

PATIENCE_S = 60.0
_PAUSE_S = 0.5


class DeltaView(msgspec.Struct, frozen=True):
    """A piece of an answer that is being written; `seq` counts the pieces of one attempt."""

    job: str
    attempt: int
    seq: int
    text: str


class Heartbeat(msgspec.Struct, frozen=True):
    """Nothing new, but the stream lives."""


News = EventView | DeltaView | Heartbeat


def follow(
    server: Server,
    session: str,
    *,
    after: int,
    patience_s: float = PATIENCE_S,
    pause: Callable[[float], None] = time.sleep,
) -> Iterator[News]:
    """Events after `after` and deltas as they come, without end, gap or repeat of an event.

    A broken connection is taken up again; after `patience_s` without one: Raises: Failed.
    """
    alive_at = time.monotonic()
    while True:
        try:
            with server.stream(session_path(session, "events"), after=after) as lines:
                for news in _parse(lines):
                    alive_at = time.monotonic()
                    if isinstance(news, EventView):
                        after = news.offset
                    yield news
            broken = f"{server.url} ended the stream"
        except Lost as lost:
            broken = str(lost)
        if time.monotonic() - alive_at > patience_s:
            raise Failed(broken)
        pause(_PAUSE_S)


def _parse(lines: Iterator[str]) -> Iterator[News]:
    kind, parts = "", list[str]()
    for line in lines:
        name, _, value = line.partition(":")
        match name:
            case "event":
                kind = value.strip()
            case "data":
                parts.append(value.removeprefix(" "))
            case "" if line:
                yield Heartbeat()
            case "":
                if parts:
                    yield _news(kind, "\n".join(parts))
                kind, parts = "", []


def _news(kind: str, data: str) -> News:
    try:
        if kind == "delta":
            return msgspec.json.decode(data, type=DeltaView)
        return msgspec.json.decode(data, type=EventView)
    except msgspec.MsgspecError:
        raise Failed("the server sent an event nobody can read") from None
