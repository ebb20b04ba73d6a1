"""A higher version folds the stream anew; what its predecessor reacted to it leaves alone."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from services.processors.contract import Contract, Decision, Emit, Moment, Processor
from services.processors.plan import Plan, Reading
from services.processors.planning import plan
from services.processors.rows import Row
from services.streams.event import Event, EventInput, StreamId

S = StreamId("s")
NOTHING = msgspec.Raw(b"{}")


class Count(msgspec.Struct, frozen=True):
    """How many events were seen."""

    seen: int = 0


class Chain(Processor[Count]):
    """`ping` leads to `pong`, and that to `done`."""

    contract = Contract(
        name="chain",
        version=2,
        consumes=frozenset({"ping", "pong", "done"}),
        emits=frozenset({"pong", "done"}),
    )
    state = Count

    def reduce(self, state: Count, event: Event) -> Count:
        """Count."""
        return Count(state.seen + 1)

    def react(self, state: Count, event: Event, moment: Moment) -> Sequence[Decision]:
        """The next of the chain."""
        following = {"ping": "pong", "pong": "done"}.get(event.type)
        return [Emit(EventInput(type=following, payload=NOTHING))] if following else []


def events(*types: str) -> list[Event]:
    """Events of these types, from offset 1 on."""
    return [EventInput(type=type, payload=NOTHING).at(n, 1000) for n, type in enumerate(types, 1)]


# The first version reacted to the ping at 1 while another ping came: 3 and 4 are what it wrote itself.
LOG = events("ping", "ping", "pong", "done")


def raised(row: Row, *, lagging: Sequence[Event], unread: Sequence[Event], at: int) -> Plan:
    """What the second version plans."""
    reading = Reading(
        stream=S,
        at=at,
        own=(3, 4) if at < 3 else (0, 0),
        rows={"chain": row},
        states={"chain": b'{"seen":1}'},
        events=unread,
        lagging={"chain": lagging},
        now_ms=2000,
    )
    return plan(reading, [Chain()])


def test_what_the_older_version_wrote_itself_is_not_reacted_to_again() -> None:
    made = raised(Row(version=1), lagging=LOG[:1], unread=LOG[1:], at=1)

    assert [one.type for one in made.events] == ["pong", "done"]
    assert made.after["s:chain"] == b'{"seen":6}'


def test_nor_is_it_when_catching_up_takes_more_than_one_commit() -> None:
    first = raised(Row(version=1), lagging=[], unread=LOG[1:], at=1)
    row = msgspec.json.decode(first.after["p:chain"], type=Row)

    made = raised(msgspec.structs.replace(row, offset=0), lagging=LOG, unread=[], at=4)

    assert first.events == []
    assert [one.type for one in made.events] == ["pong", "done"]


def test_a_laggard_reacts_to_what_was_written_without_it() -> None:
    made = raised(Row(version=1, offset=1), lagging=LOG[:1], unread=LOG[1:], at=1)

    assert [one.type for one in made.events].count("done") == 2
