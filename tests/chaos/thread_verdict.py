"""The checker of mentions: only what the stand-ins show, HTTP tells and the webhooks' senders noted decides.

The one window: a reply whose every attempt ended in doubt, and could not be looked for either, is `uncertain`. It
is listed as that, and stands in its thread once or not at all. No reply ever stands there twice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tests.chaos.api import Delivery, Entry, Event, Obligation
from tests.chaos.crowd import Asked
from tests.chaos.ledger import Ack
from tests.chaos.postman import Attempt
from tests.chaos.rooms import Post
from tests.chaos.verdict import Evidence, Verdict, judge_turns

TERMINAL = {"call": "routed", "reply": "routed", "chatter": "ignored", "stranger": "dropped"}
# While the log store does not answer and nothing is spooled, a webhook may be sent away; so long it takes to return.
AWAY_S = 8.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Talked:
    """What a run left behind. `asked` by token; `posts` by session, in the order of the thread; `own` are the keys
    of what the app was told of its own posts; `working` are sessions whose threads still show that somebody is at
    work, which is shown as well as it goes and promised to nobody; `base` is what every session is judged by.
    """

    asked: Mapping[str, Asked]
    attempts: Sequence[Attempt]
    posts: Mapping[str, Sequence[Post]]
    own: frozenset[str]
    deliveries: Sequence[Delivery]
    entries: Sequence[Entry]
    obligations: Sequence[Obligation]
    sessions: Sequence[str]
    working: Sequence[str]
    has_spool: bool
    base: Evidence

    def uncertain(self) -> list[Entry]:
        """The replies of which nobody knows."""
        return [each for each in self.entries if each.state == "uncertain"]

    def unsure(self) -> set[str]:
        """The tokens whose replies those are."""
        jobs = {each.id for each in self.uncertain()}
        told = {
            (session, offset)
            for session, events in self.base.events.items()
            for each in events
            if each.type == "reply.queued" and each.payload["job"] in jobs
            for offset in each.payload["inputs"]
        }
        return {each.text for each in self.base.acks if (each.session, each.offset) in told}


def acks_of(asked: Mapping[str, Asked], deliveries: Sequence[Delivery]) -> list[Ack]:
    """The inputs that sayings became, where the ledger says they are."""
    routed = {each.key: each for each in deliveries if each.state == "routed"}
    return [
        Ack(
            session=routed[each.key].session,
            offset=routed[each.key].offset,
            policy="follow_up",
            text=token,
            acked_at=each.acked_at,
        )
        for token, each in asked.items()
        if each.key in routed
    ]


def judge_talk(talked: Talked) -> Verdict:
    """Compare what was promised to threads with what they show. Blames tokens, keys and sessions."""
    verdict = Verdict()
    judge_turns(verdict, talked.base)
    _acknowledged(verdict, talked)
    _accounted(verdict, talked)
    _answered_once(verdict, talked)
    _in_order(verdict, talked)
    _nothing_else(verdict, talked)
    _nothing_owed(verdict, talked)
    return verdict


def _acknowledged(verdict: Verdict, talked: Talked) -> None:
    """No webhook meets an error; a 503 only where it is said: the store is away, and there is no spool."""
    for each in talked.attempts:
        is_excused = each.status == 503 and not talked.has_spool and _is_away(talked, each)
        if each.status >= 400 and not is_excused:
            verdict.blame(each.key, f"its webhook met a {each.status} at {each.at:.3f}")
    for token, asked in talked.asked.items():
        if not asked.acked_at:
            verdict.blame(token, "its webhook was not acknowledged")


def _is_away(talked: Talked, attempt: Attempt) -> bool:
    blows = [blow for blow in talked.base.blows if blow.role in ("log", "supervisor")]
    return any(blow.at <= attempt.until and attempt.at <= max(blow.until, blow.at) + AWAY_S for blow in blows)


def _accounted(verdict: Verdict, talked: Talked) -> None:
    """Everything that was acknowledged stands in the ledger once, at its end, and nothing else does."""
    lines = Counter(each.key for each in talked.deliveries)
    found = {each.key: each for each in talked.deliveries}
    expected = {asked.key: (token, TERMINAL[asked.saying.how]) for token, asked in talked.asked.items()}
    expected |= {key: (key, "ignored") for key in talked.own}
    acknowledged = {each.key for each in talked.attempts if each.status == 200}
    lost = {asked.key for asked in talked.asked.values() if asked.saying.is_lost}
    for key in acknowledged | found.keys() | lost:
        who, state = expected.get(key, (key, "unheard of"))
        line = found.get(key)
        told = f"{line.state} {line.reason}".strip() if line else "missing"
        if lines[key] != 1 or line is None or line.state != state:
            verdict.blame(
                who, f"its delivery is {lines[key]} times in the ledger, as {told}; it should be {state}"
            )
    for token, asked in talked.asked.items():
        line = found.get(asked.key)
        if line is not None and line.state == "routed" and line.session != asked.room.session:
            verdict.blame(token, f"it went to {line.session}")


def _answered_once(verdict: Verdict, talked: Talked) -> None:
    """One reply for each, each of its parts once and in order; none for whoever may not ask or did not."""
    unsure = talked.unsure()
    for token, asked in talked.asked.items():
        posts = [each for each in talked.posts[asked.room.session] if token in each.tokens]
        letters = list(dict.fromkeys(each.marker for each in posts))
        most = int(asked.saying.is_answered)
        least = 0 if token in unsure else most
        if not least <= len(letters) <= most or "" in letters:
            verdict.blame(token, f"it has {len(letters)} replies: {letters}")
        parts = [each.part for each in posts]
        if letters and parts != list(range(1, posts[0].parts + 1)) and not (least < most):
            verdict.blame(token, f"the parts of its reply are {parts} of {posts[0].parts}")
        if len(parts) != len(set(parts)):
            verdict.blame(token, f"a part of its reply stands there twice: {parts}")


def _in_order(verdict: Verdict, talked: Talked) -> None:
    """Replies stand in the order in which what they answer was said and acknowledged; what GitHub did not deliver
    came when it was asked for.
    """
    told = {token: asked for token, asked in talked.asked.items() if not asked.saying.is_lost}
    for session, posts in talked.posts.items():
        said = [token for token, asked in told.items() if asked.room.session == session]
        order = {
            token: n for n, token in enumerate(sorted(said, key=lambda each: talked.asked[each].said_at))
        }
        got = [token for post in posts for token in post.tokens if token in order]
        if got != sorted(got, key=order.__getitem__):
            verdict.blame(session, f"{list(order)} were answered in the order {got}")


def _nothing_else(verdict: Verdict, talked: Talked) -> None:
    """We say nothing but answers, and nothing that we said was taken for a question."""
    for session, posts in talked.posts.items():
        for post in posts:
            if len(post.tokens & talked.asked.keys()) != 1:
                verdict.blame(session, f"it says what answers nobody: {post.id} {post.text[:80]!r}")
    rooms = {asked.room.session for asked in talked.asked.values()}
    for session in talked.sessions:
        if session not in rooms:
            verdict.blame(session, "nobody spoke there")
    for session, events in talked.base.events.items():
        asked = sum(
            1 for one in talked.asked.values() if one.room.session == session and one.saying.is_answered
        )
        inputs = sum(1 for event in events if event.type == "input.received")
        if inputs != asked:
            verdict.blame(session, f"{asked} things were said to us there, and {inputs} were heard")


def _nothing_owed(verdict: Verdict, talked: Talked) -> None:
    for one in talked.obligations:
        verdict.blame(one.session, f"somebody waits for the answer to {one.offset}: {one.state}")
    for entry in talked.entries:
        if entry.state != "uncertain":
            verdict.blame(entry.session, f"{entry.id} is {entry.state}: {entry.error} {entry.code}")
    for session, events in talked.base.events.items():
        _settled(verdict, session, events)


def _settled(verdict: Verdict, session: str, events: Sequence[Event]) -> None:
    """Replies and obligations of a session: each begun and ended once."""
    ends = ("reply.delivered", "reply.uncertain", "reply.failed")
    queued = Counter(each.payload["job"] for each in events if each.type == "reply.queued")
    ended = Counter(each.payload["job"] for each in events if each.type in ends)
    if queued != ended:
        verdict.blame(session, f"queued replies {dict(queued)} ended {dict(ended)} times")
    opened, settled = (
        Counter(
            offset
            for each in events
            if each.type == f"obligation.{what}"
            for offset in each.payload["inputs"]
        )
        for what in ("opened", "settled")
    )
    inputs = Counter(each.offset for each in events if each.type == "input.received")
    if not inputs == opened == settled:
        verdict.blame(
            session,
            f"of the inputs {dict(inputs)} obligations {dict(opened)} were opened, {dict(settled)} settled",
        )
