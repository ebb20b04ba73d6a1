"""That somebody is at work, shown where people look: in the thread while a turn runs, gone when it ends.

Three ways, the first that the workspace knows: the status of an agent's session, that of an assistant's thread, a
reaction on the message that is answered. Showing and ending may be repeated, from any process.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Literal

from services.channels.contract import DeliveryError, Sending
from services.channels.slack.address import SlackAddress
from services.channels.slack.client import SlackClient

if TYPE_CHECKING:
    from services.channels.slack.sdk import Web

Way = Literal["session", "assistant", "reaction"]

REACTION = "eyes"
WORKING = "is working on it…"
TIMEOUT_S = 10.0

# In these states another way is not better: Slack, or our place in it, is the trouble.
_EVERYWHERE = frozenset(
    {
        "account_inactive",
        "channel_not_found",
        "invalid_auth",
        "is_archived",
        "not_authed",
        "not_in_channel",
        "token_expired",
        "token_revoked",
    }
)
# What the app may never do here, whatever the thread: not asked again.
_NEVER = frozenset({"unknown_method", "missing_scope", "not_allowed_token_type"})

Step = Callable[["Web", SlackAddress, str], None]


class WorkingStatus:
    """The status in threads of one workspace. Thread-safe."""

    def __init__(self, client: SlackClient) -> None:
        self._client = client
        self._lock = threading.Lock()
        self._unknown: set[Way] = set()

    def show(self, address: SlackAddress, ts: str, sending: Sending, *, timeout_s: float = TIMEOUT_S) -> Way:
        """Say that the message `ts` of the thread is being answered; returns the way it was said.

        Raises: DeliveryError.
        """
        web = self._client.attempt(sending, timeout_s)
        for way in self._ways():
            try:
                _SHOW[way](web, address, ts)
                return way
            except DeliveryError as error:
                if way == "reaction" or not self._may_go_on(way, error):
                    raise
        raise AssertionError("a reaction is tried last")

    def end(self, address: SlackAddress, ts: str, sending: Sending, *, timeout_s: float = TIMEOUT_S) -> None:
        """Take back what `show` did in whichever process, by the way it would go. Raises: DeliveryError."""
        web = self._client.attempt(sending, timeout_s)
        for way in self._ways():
            try:
                _CLEAR[way](web, address, ts)
                return
            except DeliveryError as error:
                if way == "reaction" or not self._may_go_on(way, error):
                    raise

    def _ways(self) -> list[Way]:
        ways: tuple[Way, ...] = ("session", "assistant", "reaction")
        with self._lock:
            return [way for way in ways if way not in self._unknown]

    def _may_go_on(self, way: Way, error: DeliveryError) -> bool:
        """Whether Slack took exception to this way, and not to us or to this moment."""
        if error.kind not in ("refused", "rejected", "gone") or error.code in _EVERYWHERE:
            return False
        if error.code in _NEVER:
            with self._lock:
                self._unknown.add(way)
        return True


def _session(status: str) -> Step:
    def set_status(web: Web, address: SlackAddress, ts: str) -> None:
        web.agents_sessions_setStatus(channel_id=address.channel, thread_ts=address.thread_ts, status=status)

    return set_status


def _assistant(status: str) -> Step:
    def set_status(web: Web, address: SlackAddress, ts: str) -> None:
        web.assistant_threads_setStatus(
            channel_id=address.channel, thread_ts=address.thread_ts, status=status
        )

    return set_status


def _react(web: Web, address: SlackAddress, ts: str) -> None:
    _unless(
        "already_reacted", lambda: web.reactions_add(channel=address.channel, timestamp=ts, name=REACTION)
    )


def _take_back(web: Web, address: SlackAddress, ts: str) -> None:
    _unless("no_reaction", lambda: web.reactions_remove(channel=address.channel, timestamp=ts, name=REACTION))


def _unless(done: str, step: Callable[[], object]) -> None:
    try:
        step()
    except DeliveryError as error:
        # A message that was deleted shows no reaction any more either.
        if error.code not in (done, "message_not_found"):
            raise


_SHOW: Mapping[Way, Step] = {
    "session": _session("processing"),
    "assistant": _assistant(WORKING),
    "reaction": _react,
}
_CLEAR: Mapping[Way, Step] = {
    "session": _session("active"),
    "assistant": _assistant(""),
    "reaction": _take_back,
}
