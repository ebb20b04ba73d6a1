"""What GitHub tried to tell the app, by its own log: it repeats no webhook by itself, so who missed one reads here.

Source: https://docs.github.com/en/rest/apps/webhooks
"""

from __future__ import annotations

from collections.abc import Callable
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
    """What was never seen here, oldest first, one for each GUID. `is_complete`: up to the time that was asked for."""

    deliveries: tuple[Tried, ...]
    is_complete: bool


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
    """Reads the log of the app's webhook. A plain token has none: `is_there` is False."""

    def __init__(self, api: API) -> None:
        self._api = api

    @property
    def is_there(self) -> bool:
        """Whether there is a log to read."""
        return self._api.tokens.itself() is not None

    def unseen(
        self,
        since: datetime,
        is_seen: Callable[[Tried], bool],
        *,
        within: Within | None = None,
        most: int = MOST,
    ) -> Unseen:
        """Walk from the newest delivery back to `since`, and keep what `is_seen` does not know.

        Raises: DeliveryError.
        """
        within = within or Within(TIMEOUT_S)
        found: dict[str, Tried] = {}
        asked: set[str] = set()
        ask = Ask(path="/app/hook/deliveries", query=(("per_page", PER_PAGE),))
        for answer in self._api.client.pages(ask, self._app(), within):
            for each in answer.read(list[Tried]):
                if each.delivered_at < since:
                    return _unseen(found, is_complete=True)
                if len(asked) >= most:
                    return _unseen(found, is_complete=False)
                if each.guid not in asked:
                    asked.add(each.guid)
                    if is_seen(each):
                        continue
                    found[each.guid] = each
                elif each.guid in found:
                    # Delivered before already: the older one tells when it happened.
                    found[each.guid] = each
        return _unseen(found, is_complete=True)

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


def _unseen(found: dict[str, Tried], *, is_complete: bool) -> Unseen:
    oldest_first = sorted(found.values(), key=lambda each: (each.delivered_at, each.id))
    return Unseen(deliveries=tuple(oldest_first), is_complete=is_complete)
