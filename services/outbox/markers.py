"""The mark by which a letter is recognised outside, however often it is sent."""

from __future__ import annotations

import hashlib

from services.streams.event import JobId

MARKER_PREFIX = "reply_"


def marker_of(namespace: str, origin: JobId) -> str:
    """Derive the marker of the entry `origin`; a replay passes the entry it repeats.

    The same for every attempt, another for every entry of every namespace. Tells nothing about the session
    and fits into an HTTP header, a hidden comment and a field of metadata: `[a-z0-9_]`, 38 characters.
    """
    digest = hashlib.sha256(f"{namespace}\n{origin}".encode()).hexdigest()
    return MARKER_PREFIX + digest[:32]
