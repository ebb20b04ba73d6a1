"""Slack and GitHub on a bad day: they lose answers, hang, are busy, and fail before and after doing the work."""

from __future__ import annotations

import random
import socket
import threading
from collections import Counter
from collections.abc import Callable

from tests.chaos.ambush import Ambush, Moment
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

# How likely it is that something goes wrong with what is neither said nor looked for.
ELSE = 0.08

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


_SLACK_MOMENTS: dict[str, Moment] = {"chat.postMessage": "saying", "conversations.replies": "looking"}


class Trouble:
    """Decides what goes wrong with the next request, while it `is_on`. Counts what it did. Thread-safe.

    `saying` and `looking` are how likely it is that something does with what is said, and with looking for it.
    """

    def __init__(self, rng: random.Random, *, saying: float, looking: float) -> None:
        self._rng, self._lock = rng, threading.Lock()
        self._chances: dict[Moment | None, float] = {"saying": saying, "looking": looking, None: ELSE}
        self.ambush = Ambush()
        self.is_on = True
        self.done: Counter[str] = Counter()

    def draw(self, about: str, kinds: list[str], moment: Moment | None) -> str:
        """One of `kinds`, or empty when all goes well. `about` is what is counted."""
        self.ambush.passing(moment)
        with self._lock:
            if not self.is_on or self._rng.random() >= self._chances[moment]:
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
        kind = self._trouble.draw("slack", list(_SLACK), _SLACK_MOMENTS.get(call.method))
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
        kind = self._trouble.draw("github", list(_GITHUB), _github_moment(asked))
        return _GITHUB[kind]() if kind else planned


def _github_moment(asked: Asked) -> Moment | None:
    if not asked.path.endswith(("/comments", "/replies")):
        return None
    return "saying" if asked.method == "POST" else "looking"
