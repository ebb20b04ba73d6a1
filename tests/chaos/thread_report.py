"""What happened to one mention, for whoever has to understand it: webhooks, ledger, thread, log."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tests.chaos.api import Event
from tests.chaos.monkey import Blow
from tests.chaos.postman import Attempt
from tests.chaos.thread_verdict import Talked

SHOWN = 160
WEB = ("web", "web-child", "supervisor", "spool", "drain")
# So long after a blow to a part of the web nobody is there to answer.
AWAY_S = 12.0


def unanswered(talked: Talked, died: Sequence[Blow]) -> list[Attempt]:
    """Webhooks without an answer although nobody had hit the web: the platform was too slow for their sender.

    `died` are those who died at points that were armed from the beginning.
    """
    blows = [blow for blow in (*talked.base.blows, *died) if blow.role.startswith(WEB)]
    return [
        each
        for each in talked.attempts
        if not each.status
        and not any(b.at <= each.until and each.at <= max(b.at, b.until) + AWAY_S for b in blows)
    ]


def story(talked: Talked, who: str) -> list[str]:
    """The story of a token, of the key of a webhook, or of a session."""
    asked = talked.asked.get(who)
    if asked is None:
        asked = next((each for each in talked.asked.values() if each.key == who), None)
    session = asked.room.session if asked else who
    key = asked.key if asked else who
    lines = [f"said {asked.said_at:.3f} {asked.saying}, acknowledged {asked.acked_at:.3f}"] if asked else []
    lines += [f"webhook {each}" for each in talked.attempts if each.key == key]
    lines += [f"ledger {each}" for each in talked.deliveries if each.key == key or each.session == who]
    lines += _thread(talked, session)
    lines += [_shown(event) for event in talked.base.events.get(session, ())]
    return [f"    {line}" for line in lines]


def _thread(talked: Talked, session: str) -> Iterator[str]:
    said = [each for each in talked.asked.values() if each.room.session == session]
    yield from (f"thread {one.said_at:.3f} {one.saying.how} {one.saying.token}" for one in said)
    for post in talked.posts.get(session, ()):
        yield f"thread ours {post.id} {sorted(post.tokens)} {post.marker} {post.part}/{post.parts} {post.text[:40]!r}"


def _shown(event: Event) -> str:
    return f"{event.offset:4} {event.created_at / 1000:.3f} {event.type} {str(event.payload)[:SHOWN]}"
