"""The checker of mentions finds what it is there to find."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest

from services.streams.event import StreamId
from tests.chaos.api import Delivery, Detail, Entry, Event, Obligation
from tests.chaos.crowd import Asked
from tests.chaos.monkey import Blow, kill
from tests.chaos.postman import Attempt
from tests.chaos.rooms import Post, Webhook
from tests.chaos.thread_report import story
from tests.chaos.thread_verdict import Talked, acks_of, judge_talk
from tests.chaos.threads import How, Saying, Thread
from tests.chaos.verdict import Evidence

S = StreamId("github:1:1")


@dataclass(slots=True)
class Quiet:
    """A thread in which nothing happens any more."""

    session: StreamId
    thread: Thread

    def say(self, saying: Saying) -> list[Webhook]:
        """See `Room`."""
        return []

    def posts(self) -> list[Post]:
        """See `Room`."""
        return []

    def told(self, post: Post) -> Webhook | None:
        """See `Room`."""
        return None

    def is_shown_working(self) -> bool:
        """See `Room`."""
        return False


ROOM = Quiet(S, Thread(n=1, kind="issue", sayings=()))


def asked(n: int, how: How = "call") -> Asked:
    """What was said in second `n`."""
    saying = Saying(token=f"q{n}", how=how, text=f"q{n}")
    return Asked(saying=saying, room=ROOM, key=f"github:{n}", said_at=n, acked_at=n + 0.1)


def post(n: int, part: int = 1, parts: int = 1, *, marker: str = "") -> Post:
    """An answer."""
    tokens = frozenset({f"q{n}"})
    return Post(id=f"{n}.{part}", tokens=tokens, marker=marker or f"m{n}", part=part, parts=parts, text="re")


def taken(key: str, status: int = 200, at: float = 1.0) -> Attempt:
    """A webhook and its answer."""
    return Attempt(key=key, at=at, until=at + 0.1, status=status)


def turn(n: int, offset: int) -> list[tuple[int, str, dict[str, Any]]]:
    """The events of one turn and of what it owes."""
    job, input = f"{S}@r{n}", {"inputs": [offset]}
    return [
        (offset, "input.received", {}),
        (offset + 1, "obligation.opened", input),
        (offset + 2, "turn.started", {"turn": n, **input}),
        (offset + 3, "turn.settled", {"turn": n, "outcome": "answered", **input}),
        (offset + 4, "reply.queued", {"job": job, **input}),
        (offset + 5, "reply.delivered", {"job": job}),
        (offset + 6, "obligation.settled", input),
    ]


EVENTS = [Event(1, "stream.created", {}, 0)] + [
    Event(offset, type, payload, offset * 1000) for offset, type, payload in (*turn(1, 2), *turn(2, 9))
]
SAID = {"q1": asked(1), "q2": asked(2), "q3": asked(3, "stranger"), "q4": asked(4, "chatter")}
LEDGER = [
    Delivery("a", "github:1", "routed", "", S, 2),
    Delivery("b", "github:2", "routed", "", S, 9),
    Delivery("c", "github:3", "dropped", "may_not"),
    Delivery("d", "github:4", "ignored", "not_called"),
    Delivery("e", "github:own", "ignored", "own"),
]
GOOD = Talked(
    asked=SAID,
    attempts=[taken(each.key) for each in LEDGER],
    posts={S: [post(1), post(2, 1, 2), post(2, 2, 2)]},
    own=frozenset({"github:own"}),
    deliveries=LEDGER,
    entries=[],
    obligations=[],
    sessions=[S],
    working=[],
    has_spool=True,
    base=Evidence(
        acks=acks_of(SAID, LEDGER),
        events={S: EVENTS},
        calls=[],
        notes=[],
        blows=[],
        statuses={S: Detail("idle")},
        due={},
    ),
)


def posting(*posts: Post) -> Talked:
    """The good evidence with other posts."""
    return replace(GOOD, posts={S: posts})


def listing(*deliveries: Delivery) -> Talked:
    """The good evidence with another ledger."""
    return replace(GOOD, deliveries=deliveries)


def ending(events: Sequence[Event]) -> Talked:
    """The good evidence with other events."""
    return replace(GOOD, base=replace(GOOD.base, events={S: events}))


def said_of(talked: Talked) -> list[str]:
    """Everything that is blamed."""
    return [f"{who}: {one}" for who, every in judge_talk(talked).broken.items() for one in every]


IN_DOUBT = replace(
    ending(
        [
            Event(each.offset, "reply.uncertain", each.payload, 0) if each.offset == 14 else each
            for each in EVENTS
        ]
    ),
    entries=[Entry(f"{S}@r2", S, "uncertain", 2, "ambiguous", "")],
)


def test_a_run_that_kept_every_promise_is_clean() -> None:
    assert said_of(GOOD) == []


@pytest.mark.parametrize(
    ("talked", "said"),
    [
        (posting(post(1)), "q2: it has 0 replies"),
        (posting(post(1), post(1, marker="other"), *GOOD.posts[S][1:]), "q1: it has 2 replies"),
        (posting(post(1), post(1), *GOOD.posts[S][1:]), "q1: a part of its reply stands there twice: [1, 1]"),
        (posting(*GOOD.posts[S][:2]), "q2: the parts of its reply are [1] of 2"),
        (posting(post(1), post(2, 2, 2), post(2, 1, 2)), "q2: the parts of its reply are [2, 1] of 2"),
        (posting(*GOOD.posts[S][1:], post(1)), f"{S}: ['q1', 'q2', 'q3', 'q4'] were answered in the order"),
        (posting(*GOOD.posts[S], post(3)), "q3: it has 1 replies"),
        (posting(*GOOD.posts[S], post(99)), f"{S}: it says what answers nobody"),
        (listing(*LEDGER[1:]), "q1: its delivery is 0 times in the ledger, as missing"),
        (listing(*LEDGER, LEDGER[0]), "q1: its delivery is 2 times in the ledger"),
        (listing(Delivery("a", "github:1", "pending"), *LEDGER[1:]), "as pending; it should be routed"),
        (listing(*LEDGER, Delivery("f", "github:7", "ignored")), "github:7: its delivery is 1 times"),
        (listing(*LEDGER[:4], Delivery("e", "github:own", "routed", "", S, 2)), "github:own: its delivery"),
        (replace(GOOD, attempts=[*GOOD.attempts, taken("github:1", 500)]), "github:1: its webhook met a 500"),
        (replace(GOOD, attempts=[*GOOD.attempts, taken("github:1", 503)]), "github:1: its webhook met a 503"),
        (replace(GOOD, sessions=[S, "slack:x"]), "slack:x: nobody spoke there"),
        (replace(GOOD, obligations=[Obligation(S, 2, "overdue")]), "somebody waits for the answer to 2"),
        (replace(GOOD, entries=[Entry(f"{S}@r1", S, "poisoned", 1, "poisoned", "")]), "@r1 is poisoned"),
        (ending(EVENTS[:-1]), "obligations {2: 1, 9: 1} were opened, {2: 1} settled"),
        (ending([*EVENTS, Event(16, "input.received", {}, 16_000)]), "2 things were said to us there, and 3"),
        (ending([each for each in EVENTS if each.type != "reply.delivered"]), "queued replies"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_broken_promise_to_a_thread_is_named(talked: Talked, said: str) -> None:
    broken = said_of(talked)

    assert any(said in one for one in broken), broken


def test_a_reply_that_is_listed_as_uncertain_stands_there_at_most_once() -> None:
    assert said_of(IN_DOUBT) == []
    assert said_of(replace(IN_DOUBT, posts={S: [post(1)]})) == []
    assert said_of(replace(IN_DOUBT, posts={S: [post(1), post(2), post(2, marker="other")]}))


def test_one_uncertain_reply_excuses_no_other_of_its_thread() -> None:
    assert any("q1: it has 0 replies" in one for one in said_of(replace(IN_DOUBT, posts={S: [post(2)]})))


@pytest.mark.parametrize(("at", "is_excused"), [(0.5, False), (5.0, True), (30.0, False)])
def test_a_webhook_may_be_sent_away_while_the_store_is_and_nothing_is_spooled(
    at: float, is_excused: bool
) -> None:
    base = replace(GOOD.base, blows=[Blow(act=kill("log"), role="log", pid=1, at=4.0)])
    talked = replace(GOOD, attempts=[*GOOD.attempts, taken("github:1", 503, at)], has_spool=False, base=base)

    assert (said_of(talked) == []) is is_excused
    assert said_of(replace(talked, has_spool=True))


def test_the_story_of_a_mention_tells_its_webhooks_its_thread_and_its_log() -> None:
    told = "\n".join(story(GOOD, "q2"))

    for each in (
        "github:2: 200",
        "thread ours 2.1 ['q2'] m2 1/2",
        "9 9.000 input.received",
        "state='routed'",
    ):
        assert each in told
    assert "input.received" in "\n".join(story(GOOD, S))
