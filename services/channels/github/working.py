"""How GitHub shows that a turn runs: by one comment that says what it does, once it takes long. The answer ends it.

Who follows a thread gets mail for every comment: what is answered soon is only reacted to.
"""

from __future__ import annotations

import hashlib

from services.channels.contract import Sending
from services.channels.github.progress import Progress
from services.channels.github.target import BadAddress, Target, target_of
from services.channels.signs import Doing, Turn

AFTER_S = 20.0
# What an earlier turn left behind is found too.
LOOKED_BACK_MS = 86_400_000
_DOING: dict[Doing, str] = {
    "": "I am working on this.",
    "model": "I am working on this: the model is thinking.",
    "retry": "I am working on this: the model can not be had right now, so I ask it again.",
    "tool": "I am working on this: a tool is at work.",
}


class GitHubSigns:
    """See `Signs`. One comment for a session of `namespace`."""

    follows = True

    def __init__(self, progress: Progress, namespace: str, *, after_s: float = AFTER_S) -> None:
        self._progress, self._namespace, self.after_s = progress, namespace, after_s

    def name(self, turn: Turn) -> str:
        """See `Signs`. A session has one comment, whichever of its turns runs."""
        return turn.session if _target(turn.said.reply_to, turn.began_at) is not None else ""

    def show(self, turn: Turn, sending: Sending, *, timeout_s: float) -> None:
        """See `Signs`. A change only where something is shown already: two processes must not both begin."""
        target = _target(turn.said.reply_to, turn.began_at)
        if target is not None:
            self._progress.show(
                target,
                self._key(turn.session),
                _DOING[turn.doing],
                since_ms=turn.began_at - LOOKED_BACK_MS,
                sending=sending,
                timeout_s=timeout_s,
                is_change=turn.is_change,
            )

    def end(self, turn: Turn, sending: Sending, *, timeout_s: float) -> None:
        """See `Signs`."""
        target = _target(turn.said.reply_to, turn.began_at)
        if target is not None:
            self._progress.end(
                target,
                self._key(turn.session),
                since_ms=turn.began_at - LOOKED_BACK_MS,
                sending=sending,
                timeout_s=timeout_s,
            )

    def _key(self, session: str) -> str:
        return f"working_{hashlib.sha256(f'{self._namespace}:{session}'.encode()).hexdigest()[:20]}"


def _target(reply_to: str | None, seen_ms: int) -> Target | None:
    try:
        return target_of(reply_to or "", seen_ms=seen_ms)
    except BadAddress:
        return None
