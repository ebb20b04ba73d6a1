"""The driver's side of the HTTP interface: repeats with the same key until there is an answer."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar
from urllib.parse import quote

import httpx2
import msgspec

Shape = TypeVar("Shape")
PATIENCE_S = 90.0
REPEATED = frozenset({502, 503, 504})
AGAIN_S = 0.1


class Accepted(msgspec.Struct, frozen=True):
    """The answer to a prompt, or the part of it that an outcome comes with too."""

    session: str
    offset: int


class Event(msgspec.Struct, frozen=True):
    """An event as the API shows it. Times in epoch milliseconds."""

    offset: int
    type: str
    payload: dict[str, Any]
    created_at: int


class Page(msgspec.Struct, frozen=True):
    """A page of events; `next` is what to go on after."""

    events: list[Event]
    head: int
    next: int


class Detail(msgspec.Struct, frozen=True):
    """What matters here of a session."""

    status: str
    wait: dict[str, Any] | None = None


class Delivery(msgspec.Struct, frozen=True):
    """A line of the ledger of received webhooks."""

    id: str
    key: str
    state: str
    reason: str = ""
    session: str = ""
    offset: int = 0


class Entry(msgspec.Struct, frozen=True):
    """A reply that is owed, or that ended undelivered."""

    id: str
    session: str
    state: str
    turn: int
    error: str
    code: str


class Obligation(msgspec.Struct, frozen=True):
    """Somebody who waits in a thread."""

    session: str
    offset: int
    state: str


class Line(msgspec.Struct, frozen=True):
    """A session in the list of all."""

    session: str


class _Rows(msgspec.Struct, frozen=True):
    """A page of any list: its rows stand under the list's own name."""

    cursor: str | None = None
    deliveries: list[Delivery] = []
    entries: list[Entry] = []
    obligations: list[Obligation] = []
    sessions: list[Line] = []


class Unexpected(AssertionError):
    """An answer that no kill excuses."""


class API:
    """One server, one token. Thread-safe."""

    def __init__(self, url: str, token: str) -> None:
        self._client = httpx2.Client(
            base_url=url, headers={"Authorization": f"Bearer {token}"}, timeout=15, trust_env=False
        )
        self.repeats = 0

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def call(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx2.Response:
        """The first answer that is one. Raises: Unexpected after `PATIENCE_S` or for a server error."""
        ends = time.monotonic() + PATIENCE_S
        while True:
            try:
                answer = self._client.request(method, path, json=body, headers=headers)
                why = f"{answer.status_code} {answer.text[:200]}"
            except httpx2.HTTPError as error:
                answer, why = None, type(error).__name__
            if answer is not None and answer.status_code not in REPEATED:
                if answer.status_code >= 500:
                    raise Unexpected(f"{method} {path}: {why}")
                return answer
            if time.monotonic() > ends:
                raise Unexpected(f"{method} {path}: no answer in {PATIENCE_S:g} s, the last was {why}")
            self.repeats += 1
            time.sleep(AGAIN_S)

    def prompt(self, text: str, *, key: str, wait_s: int = 0, fields: Mapping[str, str] = {}) -> Accepted:
        """Send a prompt, with other `fields` of its body, until it is acknowledged."""
        headers = {"Idempotency-Key": key} | ({"Prefer": f"wait={wait_s}"} if wait_s else {})
        answer = self.call("POST", "/api/prompts", body={"text": text, **fields}, headers=headers)
        return self._read(answer, Accepted)

    def events(self, session: str, *, after: int = 0) -> list[Event]:
        """Every event after `after`."""
        found: list[Event] = []
        while True:
            answer = self.call("GET", f"/api/sessions/{session}/events?after={after}&limit=500")
            page = self._read(answer, Page)
            found += page.events
            if page.next >= page.head or page.next == after:
                return found
            after = page.next

    def deliveries(self) -> list[Delivery]:
        """The whole ledger, the newest first."""
        return [each for page in self._pages("inbound") for each in page.deliveries]

    def outbox(self) -> list[Entry]:
        """Every reply that is not delivered."""
        return [each for page in self._pages("outbox") for each in page.entries]

    def reconcile(self) -> None:
        """Have GitHub asked for what it could not deliver."""
        self.call("POST", "/api/inbound/reconcile")

    def obligations(self) -> list[Obligation]:
        """Everybody who waits in a thread."""
        return [each for page in self._pages("obligations") for each in page.obligations]

    def sessions(self) -> list[str]:
        """All sessions, those of webhooks left out."""
        lines = [each.session for page in self._pages("sessions") for each in page.sessions]
        return [each for each in lines if not each.startswith("inbound:")]

    def detail(self, session: str) -> Detail:
        """What the session does now."""
        return self._read(self.call("GET", f"/api/sessions/{session}"), Detail)

    def due(self) -> dict[str, float]:
        """`turnwright_due` by kind."""
        lines = self.call("GET", "/metrics").text.splitlines()
        found = [line for line in lines if line.startswith("turnwright_due{")]
        return {line.split('"')[1]: float(line.split()[-1]) for line in found}

    def _pages(self, name: str) -> Iterator[_Rows]:
        cursor: str | None = ""
        while cursor is not None:
            query = f"?limit=100&cursor={quote(cursor)}" if cursor else "?limit=100"
            page = self._read(self.call("GET", f"/api/{name}{query}"), _Rows)
            yield page
            cursor = page.cursor

    def _read(self, answer: httpx2.Response, shape: type[Shape]) -> Shape:
        if answer.status_code not in (200, 202):
            raise Unexpected(
                f"{answer.request.method} {answer.request.url.path}: {answer.status_code} {answer.text[:200]}"
            )
        return msgspec.json.decode(answer.content, type=shape)
