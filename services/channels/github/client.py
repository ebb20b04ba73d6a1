"""Requests to GitHub's API: who we are, which version we speak, one refresh of a refused token, redirects.

Source: https://docs.github.com/en/rest/using-the-rest-api
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Protocol

from services.channels.contract import DeliveryError
from services.channels.github.answers import Answer, failure_of
from services.channels.github.asks import Ask, next_page, redirected
from services.channels.github.limits import Limits
from services.channels.github.within import Within
from services.variables import Secret

if TYPE_CHECKING:
    from services.channels.github.wire import Wire

API_VERSION = "2022-11-28"
_REDIRECTS = (301, 302, 307, 308)
_REDIRECTS_FOLLOWED = 3
_HEADERS = {
    "accept": "application/vnd.github+json",
    "x-github-api-version": API_VERSION,
    "user-agent": "Turnwright",
}


class Authority(Protocol):
    """In whose name requests are made."""

    def token(self, within: Within) -> Secret:
        """What is sent along. Raises: DeliveryError."""

    def is_renewed(self, refused: Secret, at_s: float | None) -> bool:
        """Whether asking again can help after `refused` was, because there is another one then.

        `at_s` is GitHub's time, epoch seconds, None if it did not say.
        """


class Client:
    """Talks to the API at `base_url`, which ends without a slash. Serves many threads."""

    def __init__(self, base_url: str, *, wall_s: Callable[[], float] = time.time) -> None:
        self._base = base_url
        self._wall_s = wall_s
        self._limits = Limits(wall_s)
        self._lock = threading.Lock()
        self._wire: Wire | None = None

    def ask(self, ask: Ask, authority: Authority, within: Within) -> Answer:
        """Send `ask`; again with a new token when the first is refused with 401, which does nothing.

        Raises: DeliveryError for every answer that is no 2xx, and for none at all.
        """
        self._limits.check(authority)
        token = authority.token(within)
        answer = self._followed(ask, token, within)
        if answer.status == 401 and authority.is_renewed(token, answer.at_s):
            answer = self._followed(ask, authority.token(within), within)
        failure = failure_of(answer, is_write=ask.is_write, now_s=self._wall_s())
        if failure is not None:
            self._limits.note(authority, failure)
            raise failure
        return answer

    def pages(self, ask: Ask, authority: Authority, within: Within) -> Iterator[Answer]:
        """Page after page, each asked for when it is wanted. Raises: DeliveryError."""
        page: Ask | None = ask
        while page is not None:
            answer = self.ask(page, authority, within)
            yield answer
            page = self.after(page, answer)

    def after(self, page: Ask, answer: Answer) -> Ask | None:
        """The request for the page behind the one that `page` was answered with; None at the end."""
        return next_page(page, answer.headers.get("link", ""), base=self._base)

    def close(self) -> None:
        """Close idle connections; asking later opens new ones."""
        with self._lock:
            wire, self._wire = self._wire, None
        if wire is not None:
            wire.close()

    def _followed(self, ask: Ask, token: Secret, within: Within) -> Answer:
        headers = {**_HEADERS, "authorization": f"Bearer {token.reveal()}"}
        if ask.body is not None:
            headers["content-type"] = "application/json"
        for _ in range(_REDIRECTS_FOLLOWED + 1):
            answer = self._connected().exchange(ask, headers, within)
            if answer.status not in _REDIRECTS:
                return answer
            # A renamed repository. Whatever the status, the same is asked there: nothing was done here.
            led = redirected(ask, answer.headers.get("location", ""), base=self._base)
            if led is None:
                raise DeliveryError("rejected", code="redirected", status=answer.status)
            ask = led
        raise DeliveryError("rejected", code="redirected", status=answer.status)

    def _connected(self) -> Wire:
        with self._lock:
            if self._wire is None:
                # Not before it is used: who has no GitHub need not load an HTTP client for it.
                from services.channels.github.wire import Wire

                self._wire = Wire(self._base)
            return self._wire
