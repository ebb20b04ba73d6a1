"""One conversation as its person sees it: everything over HTTP, and the log as what is asserted on."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import TypeVar

import httpx2
import msgspec

from services.streams.event import Event
from services.streams.event_types import SHAPES
from services.streams.vocabulary import TurnSettled, TurnStarted
from tests.scenarios.platform import Platform
from tests.worker.waiting import wait_until

P = TypeVar("P", bound=msgspec.Struct)


class Page(msgspec.Struct, frozen=True):
    """A page of events."""

    events: list[Event]
    head: int
    next: int


class Wait(msgspec.Struct, frozen=True):
    """A wait reason."""

    code: str
    text: str
    since: int | None = None
    until: int | None = None


class Why(msgspec.Struct, frozen=True):
    """What a session says it waits for."""

    status: str
    now: int
    wait: Wait | None = None


class Session:
    """A session of the caller's choosing; made with its first input."""

    def __init__(self, platform: Platform, *, agent: str | None = None, id: str | None = None) -> None:
        self.platform = platform
        self.id = id or f"app:{uuid.uuid4().hex[:10]}"
        self.path = f"/api/sessions/{self.id}"
        self._agent = agent

    def post(self, text: str, *, prefer: str = "", **fields: str) -> httpx2.Response:
        """Send a prompt; the plain answer."""
        body = {"text": text, "session": self.id, **fields}
        if self._agent is not None:
            body["agent"] = self._agent
        headers = {"Prefer": prefer} if prefer else {}
        return self.platform.http.post("/api/prompts", json=body, headers=headers)

    def say(self, text: str, **fields: str) -> int:
        """Send a prompt; its offset."""
        answer = self.post(text, **fields)
        assert answer.status_code == 202, answer.text
        return int(answer.json()["offset"])

    def command(self, what: str, **body: object) -> int:
        """Cancel, pause, resume, processors/<name>/attach and so on; the HTTP status."""
        return self.platform.http.post(f"{self.path}/{what}", json=body).status_code

    def events(self, *types: str) -> list[Event]:
        """All events so far, or those of some types."""
        found: list[Event] = []
        after, head = 0, 1
        while after < head:
            query = {"after": str(after), "limit": "500"} | ({"type": ",".join(types)} if types else {})
            answer = self.platform.http.get(f"{self.path}/events", params=query)
            if answer.status_code == 404 and not found:
                return []
            page = msgspec.json.decode(answer.content, type=Page)
            found += page.events
            after, head = page.next, page.head
        return found

    def types(self) -> list[str]:
        """The types of all events."""
        return [event.type for event in self.events()]

    def all(self, type: str, shape: type[P]) -> list[P]:
        """The payloads of a type."""
        return [event.decode(shape) for event in self.events(type)]

    def wait(self, type: str, count: int = 1, *, within_s: float = 15.0) -> list[Event]:
        """Wait for `count` events of a type."""
        return self.wait_until(lambda found: len(found) >= count, type, within_s=within_s)

    def wait_until(
        self, holds: Callable[[list[Event]], bool], *types: str, within_s: float = 15.0
    ) -> list[Event]:
        """Wait until the events of `types` satisfy `holds`; on failure, tell what there was."""
        seen: list[Event] = []

        def check() -> bool:
            seen[:] = self.events(*types)
            return holds(seen)

        try:
            wait_until(check, within_s=within_s)
        except AssertionError as error:
            told = "\n".join(f"{e.offset} {e.type} {bytes(e.payload).decode()}" for e in self.events())
            raise AssertionError(f"{error}; {types}\n{told}\n{self.why()}") from None
        return seen

    def settled(self, count: int = 1, *, within_s: float = 15.0) -> list[TurnSettled]:
        """Wait for `count` settled turns."""
        return [each.decode(TurnSettled) for each in self.wait("turn.settled", count, within_s=within_s)]

    def turns(self) -> list[tuple[int, ...]]:
        """The inputs of every turn that began."""
        return [each.inputs for each in self.all("turn.started", TurnStarted)]

    def why(self) -> Why:
        """Why it is not idle. Whoever is not idle has a reason, and only those."""
        answer = self.platform.http.get(f"{self.path}/why")
        assert answer.status_code == 200, answer.text
        why = msgspec.json.decode(answer.content, type=Why)
        assert (why.wait is None) == (why.status == "idle"), answer.text
        if why.wait is not None:
            assert why.wait.text, answer.text
            assert why.wait.since is None or why.wait.since <= why.now, answer.text
        return why

    def wait_why(self, code: str, *, within_s: float = 15.0) -> Why:
        """Wait until the session waits for `code`."""
        seen: list[Why] = []

        def check() -> bool:
            seen[:] = [self.why()]
            return seen[0].wait is not None and seen[0].wait.code == code

        try:
            wait_until(check, within_s=within_s)
        except AssertionError:
            raise AssertionError(f"waits for {seen}, not {code}: {self.types()}") from None
        return seen[0]

    def wait_idle(self, *, within_s: float = 15.0) -> None:
        """Wait until nothing is owed to this session."""
        wait_until(lambda: self.why().status == "idle", within_s=within_s)

    def check_log(self) -> None:
        """What holds for every log: dense offsets, known types and shapes, each input in at most one settled turn."""
        events = self.events()
        assert [event.offset for event in events] == list(range(1, len(events) + 1))
        for event in events:
            if event.type in SHAPES:
                event.decode(SHAPES[event.type])
        ended = [event.decode(TurnSettled) for event in events if event.type == "turn.settled"]
        inputs = [offset for turn in ended for offset in turn.inputs]
        assert len(inputs) == len(set(inputs)), f"an input was settled twice: {ended}"
        assert len(ended) == len({turn.turn for turn in ended}), f"a turn was settled twice: {ended}"
