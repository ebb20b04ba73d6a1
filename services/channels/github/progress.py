"""Signs of life while a turn runs: a reaction on what was said, and one comment that is edited in place.

Nobody waits for them, and the last one to write wins.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator

from services.channels.contract import DeliveryError, Sending
from services.channels.github.api import API, Reaction, Subject
from services.channels.github.events import Inbound
from services.channels.github.markers import Mark, mark_of, marked
from services.channels.github.parts import parts_of
from services.channels.github.target import Target
from services.channels.github.within import Within

TIMEOUT_S = 10.0
KEPT = 4096
# A sticky comment is at the end of a thread, or it is made anew.
PAGES_LOOKED = 3


class Progress:
    """Shows what is going on. Serves many threads."""

    def __init__(self, api: API) -> None:
        self._api = api
        self._lock = threading.Lock()
        self._comments: OrderedDict[str, int] = OrderedDict()

    def received(self, inbound: Inbound, target: Target, *, content: Reaction = "eyes") -> bool:
        """React to what was said; answers whether it worked. There is no reacting to a review as a whole."""
        subject: Subject = "issue"
        if inbound.said:
            if inbound.kind == "pull_request_review":
                return False
            subject = "review_comment" if inbound.thread else "comment"
        try:
            self._api.react(target, subject, inbound.said, Within(TIMEOUT_S), content=content)
        except DeliveryError:
            return False
        return True

    def show(
        self,
        target: Target,
        key: str,
        text: str,
        *,
        since_ms: int,
        sending: Sending | None = None,
        timeout_s: float = TIMEOUT_S,
        is_change: bool = False,
    ) -> None:
        """Show `text` in the comment of `key` (`[a-z0-9_-]`), made at `since_ms` (epoch) or later, or made now.

        If it only `is_change`, none is made. Raises: DeliveryError.
        """
        within = Within(timeout_s, sending)
        body = marked(parts_of(text)[0], Mark(key, 1, 1))
        known = self._known(target, key, since_ms, within)
        if known:
            try:
                self._api.edit(target.repository, known, body, within)
                return
            except DeliveryError as error:
                if error.kind != "gone":
                    raise
                self._remember(key, 0)
        if not is_change:
            # In a review too: a comment in its thread could not be edited in the same way.
            self._remember(key, self._api.comment(_aside(target), body, within).id)

    def end(
        self,
        target: Target,
        key: str,
        *,
        since_ms: int,
        sending: Sending | None = None,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        """Delete the comments of `key`: one, or more if several processes began at the same moment.

        Raises: DeliveryError.
        """
        within = Within(timeout_s, sending)
        self._remember(key, 0)
        for id in list(self._found(target, key, since_ms, within)):
            try:
                self._api.delete(target.repository, id, within)
            except DeliveryError as error:
                if error.kind != "gone":
                    raise

    def _known(self, target: Target, key: str, since_ms: int, within: Within) -> int:
        """The comment's id, 0 when there is none: another process may have made it."""
        with self._lock:
            if key in self._comments:
                return self._comments[key]
        found = next(self._found(target, key, since_ms, within), 0)
        if found:
            self._remember(key, found)
        return found

    def _found(self, target: Target, key: str, since_ms: int, within: Within) -> Iterator[int]:
        own = self._api.login(within).casefold()
        for each in self._api.comments(_aside(target), within, since_ms=since_ms, pages=PAGES_LOOKED):
            mark = mark_of(each.body or "")
            if mark and mark.marker == key and each.user and each.user.login.casefold() == own:
                yield each.id

    def _remember(self, key: str, id: int) -> None:
        with self._lock:
            self._comments.pop(key, None)
            if id:
                self._comments[key] = id
            if len(self._comments) > KEPT:
                self._comments.popitem(last=False)


def _aside(target: Target) -> Target:
    return Target(repository=target.repository, number=target.number)
