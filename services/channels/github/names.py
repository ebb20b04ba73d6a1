"""What a repository is called now. Sessions know its id; most of the API wants its name.

A name may become somebody else's after a rename, and what is said must not land there: a name that was seen a while
ago is checked against the id first.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable

import msgspec

from services.channels.contract import DeliveryError
from services.channels.github.asks import Ask, path_of
from services.channels.github.client import Client
from services.channels.github.target import Repository
from services.channels.github.tokens import Tokens
from services.channels.github.within import Within

# How long a name that was seen, in a webhook or in an answer, is believed.
BELIEVED_S = 600.0
KEPT = 4096


class _Found(msgspec.Struct, frozen=True):
    id: int
    full_name: str


class Names:
    """Remembers checked names for ten minutes. `wall_s` is epoch seconds."""

    def __init__(self, client: Client, tokens: Tokens, *, wall_s: Callable[[], float] = time.time) -> None:
        self._client, self._tokens, self._wall_s = client, tokens, wall_s
        self._lock = threading.Lock()
        self._checked: OrderedDict[int, tuple[str, float]] = OrderedDict()

    def current(self, repository: Repository, within: Within) -> str:
        """`owner/name` of the repository with that id. Raises: DeliveryError, `gone` when there is none."""
        now_s = self._wall_s()
        with self._lock:
            name, checked_s = self._checked.get(repository.id, ("", 0.0))
        seen_s = repository.seen_ms / 1000
        if seen_s >= checked_s and now_s - seen_s < BELIEVED_S:
            return repository.name
        if now_s - checked_s < BELIEVED_S:
            return name
        name = self._looked_up(repository, within.quietly())
        with self._lock:
            self._checked[repository.id] = (name, now_s)
            self._checked.move_to_end(repository.id)
            if len(self._checked) > KEPT:
                self._checked.popitem(last=False)
        return name

    def _looked_up(self, repository: Repository, within: Within) -> str:
        try:
            found = self._get(path_of(("repos", *repository.name.split("/"))), repository, within)
        except DeliveryError as error:
            if error.kind != "gone":
                raise
            found = None
        if found is None or found.id != repository.id:
            # Somebody else has the name now. By its id a repository is always found, though GitHub's
            # description of its API has that only in the redirects of renamed ones.
            found = self._get(path_of(("repositories", repository.id)), repository, within)
        if found.id != repository.id:
            raise DeliveryError("gone", code="repository_gone")
        return found.full_name

    def _get(self, path: str, repository: Repository, within: Within) -> _Found:
        authority = self._tokens.of(repository.installation)
        return self._client.ask(Ask(path=path), authority, within).read(_Found)
