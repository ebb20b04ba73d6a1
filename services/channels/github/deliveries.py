"""What GitHub tried to tell the app, by its own log: it repeats no webhook by itself, so who missed one reads here.

Source: https://docs.github.com/en/rest/apps/webhooks
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

import msgspec

from services.channels.contract import DeliveryError
from services.channels.github.api import API
from services.channels.github.asks import Ask, path_of
from services.channels.github.client import Authority
from services.channels.github.within import Within

PER_PAGE = "100"
TIMEOUT_S = 30.0
# GitHub keeps three days; a busy app that was away for a day has this many.
MOST = 20_000
# What one look takes home: what is left behind it, the next one finds.
MOST_UNSEEN = 500


class Tried(msgspec.Struct, frozen=True):
    """One delivery in GitHub's log. `guid` is the same for every delivery of one event."""

    id: int
    guid: str
    delivered_at: datetime
    event: str
    action: str | None = None
    redelivery: bool = False
    status_code: int = 0
    installation_id: int | None = None
    repository_id: int | None = None


class Unseen(msgspec.Struct, frozen=True, kw_only=True):
    """What was never seen here, oldest first, one for each GUID.

    `newest` is when GitHub delivered last, by its own clock. `cursor` is where to go on, empty once everything was
    walked through; `error` says why the walk ended before, None for one that was long enough.
    """

    deliveries: tuple[Tried, ...]
    newest: datetime | None = None
    cursor: str = ""
    error: DeliveryError | None = None


class Missed(msgspec.Struct, frozen=True, kw_only=True):
    """A webhook as GitHub sent it: names of `headers` are lower case, `body` is its payload in JSON.

    Nothing signs it: it comes from GitHub's API itself.
    """

    guid: str
    event: str
    delivered_at: datetime
    headers: dict[str, str]
    body: bytes


class _Request(msgspec.Struct, frozen=True):
    headers: dict[str, str | int | float | bool | None] | None = None
    payload: msgspec.Raw = msgspec.Raw(b"null")


class _Delivery(msgspec.Struct, frozen=True):
    guid: str
    event: str
    delivered_at: datetime
    request: _Request = _Request()


class HookDeliveries:
    """Reads the log of the app's webhook. A plain token has none."""

    def __init__(self, api: API) -> None:
        self._api = api

    def unseen(
        self,
        since: datetime,
        is_seen: Callable[[Tried], bool],
        *,
        page_within: Callable[[], Within] = lambda: Within(TIMEOUT_S),
        cursor: str = "",
        most: int = MOST,
    ) -> Unseen:
        """Walk from the newest delivery, or from `cursor`, back to `since`, and keep what `is_seen` does not know.

        Each page is asked for within its `page_within`. Raises: DeliveryError: nothing was walked through.
        """
        walk = _Walk(since, is_seen, most=most)
        query = (("per_page", PER_PAGE), *((("cursor", cursor),) if cursor else ()))
        page: Ask | None = Ask(path="/app/hook/deliveries", query=query)
        while page is not None:
            try:
                answer = self._api.client.ask(page, self._app(), page_within())
                is_over = walk.take(answer.read(list[Tried]))
            except DeliveryError as error:
                if walk.newest is None:
                    raise
                return walk.ended(page, error)
            if is_over:
                return walk.ended()
            page = self._api.client.after(page, answer)
            if page is not None and walk.is_long:
                return walk.ended(page)
        return walk.ended()

    def fetch(self, delivery: Tried, *, within: Within | None = None) -> Missed:
        """One delivery with what was sent. Raises: DeliveryError, `gone` when GitHub keeps it no longer."""
        ask = Ask(path=path_of(("app", "hook", "deliveries", delivery.id)))
        found = self._api.client.ask(ask, self._app(), within or Within(TIMEOUT_S)).read(_Delivery)
        if bytes(found.request.payload)[:1] != b"{":
            raise DeliveryError("refused", code="no_payload")
        given = found.request.headers or {}
        headers = {name.lower(): str(value) for name, value in given.items() if value is not None}
        return Missed(
            guid=found.guid,
            event=found.event,
            delivered_at=found.delivered_at,
            headers=headers,
            body=bytes(found.request.payload),
        )

    def _app(self) -> Authority:
        app = self._api.tokens.itself()
        if app is None:
            raise DeliveryError("refused", code="no_app")
        return app


class _Walk:
    """Page after page, from the newest to the oldest."""

    def __init__(self, since: datetime, is_seen: Callable[[Tried], bool], *, most: int) -> None:
        self._since, self._is_seen, self._most = since, is_seen, most
        self._asked: set[str] = set()
        self._found: dict[str, Tried] = {}
        self.newest: datetime | None = None

    @property
    def is_long(self) -> bool:
        return len(self._asked) >= self._most or len(self._found) >= MOST_UNSEEN

    def take(self, page: Sequence[Tried]) -> bool:
        """Whether the end was reached."""
        for each in page:
            self.newest = self.newest or each.delivered_at
            if each.delivered_at < self._since:
                return True
            if each.guid not in self._asked:
                self._asked.add(each.guid)
                if not self._is_seen(each):
                    self._found[each.guid] = each
            elif each.guid in self._found:
                # Delivered before already: the older one tells when it happened.
                self._found[each.guid] = each
        return False

    def ended(self, page: Ask | None = None, error: DeliveryError | None = None) -> Unseen:
        """What was found before `page`."""
        return Unseen(
            deliveries=tuple(sorted(self._found.values(), key=lambda each: (each.delivered_at, each.id))),
            newest=self.newest,
            cursor=dict(page.query).get("cursor", "") if page else "",
            error=error,
        )
