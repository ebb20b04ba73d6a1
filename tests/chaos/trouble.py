"""Slack and GitHub on a bad day: they lose answers, hang, are busy, and fail before and after doing the work."""

from __future__ import annotations

import random
import socket
import threading
from collections import Counter
from collections.abc import Callable

from tests.chaos.ambush import Ambush
from tests.fakes import slack_faults as slack
from tests.fakes.github_openapi import Asked
from tests.fakes.github_server import (
    BadGateway,
    Drop,
    Garbage,
    GitHubServer,
    Hang,
    Lose,
    secondary_limit,
)
from tests.fakes.github_server import Fault as GitHubFault
from tests.fakes.slack_server import Call, SlackServer

# How likely it is that something goes wrong with what is said, and with everything else.
SAYING, ELSE = 0.25, 0.08

_SLACK: dict[str, Callable[[], slack.Fault]] = {
    "lost": slack.lost,
    "dropped": slack.dropped,
    "hangs after": lambda: slack.held(does=True),
    "hangs before": lambda: slack.held(does=False),
    "429": lambda: slack.limited(1),
    "502 after": lambda: slack.bad_gateway(does=True),
    "502 before": lambda: slack.bad_gateway(does=False),
    "gibberish": slack.gibberish,
}
_GITHUB: dict[str, Callable[[], GitHubFault]] = {
    "lost": Lose,
    "dropped": Drop,
    "hangs after": lambda: Hang(works=True),
    "hangs before": lambda: Hang(works=False),
    "429": lambda: secondary_limit(retry_after_s=1, status=429),
    "403": lambda: secondary_limit(retry_after_s=1),
    "502 after": lambda: BadGateway(works=True),
    "502 before": lambda: BadGateway(works=False),
    "gibberish": Garbage,
}


class Trouble:
    """Decides what goes wrong with the next request, while it `is_on`. Counts what it did. Thread-safe."""

    def __init__(self, rng: random.Random) -> None:
        self._rng, self._lock = rng, threading.Lock()
        self.ambush = Ambush()
        self.is_on = True
        self.done: Counter[str] = Counter()

    def draw(self, about: str, kinds: list[str], *, is_saying: bool) -> str:
        """One of `kinds`, or empty when all goes well. `about` is what is counted."""
        with self._lock:
            if not self.is_on or self._rng.random() >= (SAYING if is_saying else ELSE):
                return ""
            kind = self._rng.choice(kinds)
            self.done[f"{about} {kind}"] += 1
            return kind


class TroubledSlack(SlackServer):
    """The stand-in for Slack on such a day."""

    def __init__(self, trouble: Trouble) -> None:
        self._trouble = trouble
        super().__init__()

    def connected(self, connection: socket.socket, is_open: bool) -> None:
        """See `SlackServer`."""
        super().connected(connection, is_open)
        if is_open:
            self._trouble.ambush.connected(connection.getpeername()[1])

    def arrived(self, call: Call) -> slack.Fault:
        """Note the call; whatever was drawn happens to it."""
        planned = super().arrived(call)
        is_saying = call.method == "chat.postMessage"
        is_looking = call.method == "conversations.replies"
        self._trouble.ambush.passing("saying" if is_saying else "looking" if is_looking else None)
        kind = self._trouble.draw("slack", list(_SLACK), is_saying=is_saying)
        return _SLACK[kind]() if kind else planned


class TroubledGitHub(GitHubServer):
    """The stand-in for GitHub on such a day."""

    def __init__(self, trouble: Trouble) -> None:
        self._trouble = trouble
        super().__init__()

    def connected(self, connection: socket.socket, *, is_open: bool) -> None:
        """See `GitHubServer`."""
        super().connected(connection, is_open=is_open)
        if is_open:
            self._trouble.ambush.connected(connection.getpeername()[1])

    def fault_for(self, asked: Asked) -> GitHubFault | None:
        """Note the request; whatever was drawn happens to it."""
        planned = super().fault_for(asked)
        is_saying = asked.method == "POST" and asked.path.endswith(("/comments", "/replies"))
        is_looking = asked.method == "GET" and asked.path.endswith("/comments")
        self._trouble.ambush.passing("saying" if is_saying else "looking" if is_looking else None)
        kind = self._trouble.draw("github", list(_GITHUB), is_saying=is_saying)
        return _GITHUB[kind]() if kind else planned
