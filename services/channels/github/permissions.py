"""Who may make an agent work: whoever may write to the repository, as GitHub says when asked.

What a webhook says of its author (`author_association`) is not looked at: it tells membership, not permission. Of
GitHub's answer only `permission` counts: it is one of admin, write, read, none. `maintain` is `write` there and
`triage` is `read`; `role_name` may be whatever an organisation calls a role of its own, "write" of anything too.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Literal

import msgspec

from services.channels.contract import DeliveryError, Sending
from services.channels.github.api import API
from services.channels.github.events import Person
from services.channels.github.target import Repository
from services.channels.github.within import Within
from services.errors import Overloaded, Unavailable

Permission = Literal["admin", "write", "read", "none", "unreadable"]
Denial = Literal["nobody", "self", "no_write_access", "permission_unreadable"]

# How long a permission that was taken away may still count, and one that was given may not yet.
GRANTED_S, REFUSED_S = 300.0, 60.0
# Our own access was broken: whoever waits for it to be mended asks again anyway.
UNREADABLE_S = 5.0
KEPT = 4096
TIMEOUT_S = 10.0
_WAIT_SLICE_S = 0.2

_VALUES: dict[str, Permission] = {"admin": "admin", "write": "write", "read": "read", "none": "none"}
# Nobody may do anything there any more, which is no matter of who asks.
PLACE_GONE = frozenset({"installation_gone", "repository_gone"})
MAY_WRITE: frozenset[Permission] = frozenset({"admin", "write"})


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """Whether somebody may start work: `denial` says why not. `permission` is what their words are labelled with."""

    permission: Permission
    denial: Denial | None = None


class Permissions:
    """Asks, remembers for some minutes, and lets one thread ask for all. `clock` is monotonic seconds."""

    def __init__(self, api: API, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._api, self._clock = api, clock
        self._lock = threading.Lock()
        self._known: OrderedDict[tuple[int, str], _Known] = OrderedDict()

    def judge(self, repository: Repository, actor: Person | None, sending: Sending | None = None) -> Verdict:
        """Whether `actor` may start work there, bots like people. A cancel of `sending` ends the asking.

        Raises: Unavailable, Overloaded: ask again later; DeliveryError: cancelled; gone: the repository is.
        """
        if actor is None:
            return Verdict(permission="none", denial="nobody")
        if actor.is_self:
            return Verdict(permission="none", denial="self")
        permission = self.of(repository, actor.login, sending)
        if permission == "unreadable":
            return Verdict(permission=permission, denial="permission_unreadable")
        return Verdict(permission=permission, denial=None if permission in MAY_WRITE else "no_write_access")

    def of(
        self,
        repository: Repository,
        login: str,
        sending: Sending | None = None,
        *,
        timeout_s: float = TIMEOUT_S,
    ) -> Permission:
        """What `login` may do. Raises: Unavailable, Overloaded, DeliveryError (cancelled; gone: the repository)."""
        known = self._slot((repository.id, login.casefold()))
        within = Within(timeout_s, sending)
        while not known.asking.acquire(timeout=_WAIT_SLICE_S):
            within.go_on()
            if not within.left_s():
                raise Unavailable("GitHub does not say who may write: timeout")
        try:
            if known.until <= self._clock():
                known.permission = self._asked(repository, login, within)
                known.until = self._clock() + _lasts_s(known.permission)
            return known.permission
        finally:
            known.asking.release()

    def _slot(self, key: tuple[int, str]) -> _Known:
        with self._lock:
            known = self._known.setdefault(key, _Known())
            self._known.move_to_end(key)
            if len(self._known) > KEPT:
                self._known.popitem(last=False)
            return known

    def _asked(self, repository: Repository, login: str, within: Within) -> Permission:
        try:
            granted = self._api.permission(repository, login, within)
        except DeliveryError as error:
            if error.kind == "cancelled" or error.code in PLACE_GONE:
                raise
            if error.kind == "gone":
                return "none"
            if error.kind == "overloaded":
                raise Overloaded("GitHub's rate limit", retry_after_s=error.retry_after_s or 60.0) from None
            if error.kind in ("rejected", "refused"):
                # Our token may not ask: that is for a person to mend, and nobody works until then.
                return "unreadable"
            raise Unavailable(f"GitHub does not say who may write: {error.code}") from None
        return _VALUES.get(granted.permission, "none")


def _lasts_s(permission: Permission) -> float:
    if permission == "unreadable":
        return UNREADABLE_S
    return GRANTED_S if permission in MAY_WRITE else REFUSED_S


class _Known:
    """What was found out about one account in one repository, and whoever finds it out."""

    def __init__(self) -> None:
        self.asking = threading.Lock()
        self.permission: Permission = "none"
        self.until = float("-inf")
