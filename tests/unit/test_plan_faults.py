"""A plugin whose decisions no store could take, or nobody could read again, is parked; the others go on."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec
import pytest

from services.processors.contract import (
    AppendTo,
    CancelJob,
    Contract,
    Decision,
    Emit,
    Moment,
    Processor,
    SettleJob,
    StartJob,
)
from services.processors.plan import Plan, Reading
from services.processors.planning import plan
from services.streams.blobs import BODY_LIMIT
from services.streams.event import Event, EventInput, JobId, StreamId
from services.streams.vocabulary import ProcessorFaulted
from tests.fakes.puppet import CREATED, Puppet, tell

S, OTHER = StreamId("s"), StreamId("t")
DECIDE = EventInput(type="decide", payload=msgspec.Raw(b"{}"))


class Text(msgspec.Struct, frozen=True):
    """A state of any size."""

    text: str = ""


class Odd(Processor[Text]):
    """Decides what it was made with, once."""

    state = Text

    def __init__(self, decide: Callable[[], Sequence[Decision]], name: str = "odd", size: int = 0) -> None:
        self.contract = Contract(  # type: ignore[misc]  # one class for many contracts
            name=name, version=1, consumes=frozenset({"decide"}), emits=frozenset({"odd.did"})
        )
        self._decide, self._size = decide, size

    def reduce(self, state: Text, event: Event) -> Text:
        """Grow."""
        return Text("x" * self._size)

    def react(self, state: Text, event: Event, moment: Moment) -> Sequence[Decision]:
        """Decide."""
        return self._decide()


def planned(*processors: Processor[Text]) -> Plan:
    """The plan of a stream that asks all of them to decide."""
    events = [tell().at(1, 1000), DECIDE.at(2, 1000)]
    reading = Reading(stream=S, at=0, own=(0, 0), rows={}, states={}, events=events, lagging={}, now_ms=1000)
    return plan(reading, [Puppet(), *processors])


def faults(made: Plan) -> list[tuple[str, int, str]]:
    """Who was parked, where and why."""
    found = [
        msgspec.json.decode(one.payload, type=ProcessorFaulted)
        for one in made.events
        if one.type == "processor.faulted"
    ]
    return [(one.name, one.offset, one.error) for one in found]


def raw(payload: bytes, **fields: object) -> EventInput:
    """An event as a plugin with a bug makes one."""
    made: EventInput = EventInput(type="odd.did", payload=msgspec.Raw(payload), **fields)  # type: ignore[arg-type]  # the bug
    return made


BROKEN = {
    "no JSON": raw(b"{nonsense"),
    "nothing": raw(b""),
    "two values": raw(b'{},"key":"other"'),
    "bytes that are no text": raw(b'{"a":"\xff"}'),
    "a trace of a wrong type": raw(b"{}", trace=7),
    "a version of a wrong type": raw(b"{}", v="one"),
    "causes of a wrong type": raw(b"{}", cause=(1,)),
    "half a character": raw(b"{}", key="\ud800"),
    "too large": raw(b'"' + b"x" * BODY_LIMIT + b'"'),
}


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN.keys())
@pytest.mark.parametrize(
    "wrap",
    [Emit, lambda e: AppendTo(OTHER, e), lambda e: AppendTo(OTHER, CREATED, create=e)],
    ids=["emitted", "passed on", "creating"],
)
def test_an_event_that_could_never_be_read_again_is_the_fault_of_who_made_it(
    wrap: Callable[[EventInput], Decision], broken: EventInput
) -> None:
    made = planned(Odd(lambda: [wrap(broken)]))

    assert [(name, offset) for name, offset, _ in faults(made)] == [("odd", 2)]
    assert [one.type for one in made.events] == ["processor.faulted", "puppet.did"]
    assert made.appends == []


@pytest.mark.parametrize(
    "decision",
    [
        StartJob(kind="llm", id=JobId("t@1")),
        SettleJob(kind="llm", id=JobId("t@1"), token=0),
        CancelJob(JobId("t@1")),
    ],
    ids=["started", "settled", "cancelled"],
)
def test_a_job_of_another_stream_is_nobodys_to_decide_on(decision: Decision) -> None:
    assert faults(planned(Odd(lambda: [decision]))) == [("odd", 2, "ValueError")]


def test_a_job_that_is_started_twice_in_one_plan_is_the_second_ones_fault() -> None:
    start = StartJob(kind="llm", id=JobId("s@mine"))
    made = planned(Odd(lambda: [start]), Odd(lambda: [start], "second"))

    assert faults(made) == [("second", 2, "JobTwice")]
    assert [job.id for job in made.jobs] == ["s@mine"]


def test_states_that_are_too_much_together_park_the_largest_until_the_others_fit() -> None:
    sizes = [63_000] * 9 + [64_000]
    made = planned(*(Odd(list, f"big{n}", size) for n, size in enumerate(sizes)))

    found = faults(made)

    assert found[0] == ("big9", 2, "StateTooLarge")
    assert len(found) == 2
    assert sum(len(v) for n, v in made.after.items() if n.startswith("s:")) <= 512 * 1024


def test_a_plugin_that_wants_to_exit_is_parked_as_one_that_raises() -> None:
    def leave() -> Sequence[Decision]:
        raise SystemExit(1)

    assert faults(planned(Odd(leave))) == [("odd", 2, "SystemExit")]


class Hasty(Odd):
    """Does one thing wrong that is asked of it outside of reactions."""

    def __init__(self, wrong: str, given: object) -> None:
        super().__init__(list)
        self._wrong, self._given = wrong, given

    def _said(self, what: str, otherwise: object) -> object:
        if what != self._wrong:
            return otherwise
        if isinstance(self._given, BaseException):
            raise self._given
        return self._given

    def initial(self) -> Text:
        """Its first state."""
        return self._said("initial", Text())  # type: ignore[return-value]  # the bug

    def reduce(self, state: Text, event: Event) -> Text:
        """Its next state."""
        return self._said("reduce", state)  # type: ignore[return-value]  # the bug

    def waiting(self, state: Text) -> int:
        """What waits."""
        return self._said("waiting", 0)  # type: ignore[return-value]  # the bug

    def wakes_at(self, state: Text) -> int | None:
        """When it wakes."""
        return self._said("wakes_at", None)  # type: ignore[return-value]  # the bug


@pytest.mark.parametrize(
    ("wrong", "given"),
    [
        ("initial", RuntimeError()),
        ("initial", SystemExit(0)),
        ("reduce", object()),
        ("waiting", "many"),
        ("waiting", -1),
        ("waiting", 2**64),
        ("waiting", SystemExit(0)),
        ("wakes_at", "soon"),
        ("wakes_at", 0.5),
        ("wakes_at", SystemExit(0)),
    ],
)
def test_whatever_else_a_plugin_does_wrong_parks_it_and_the_others_go_on(wrong: str, given: object) -> None:
    made = planned(Hasty(wrong, given))

    assert [name for name, _, _ in faults(made)] == ["odd"]
    assert "puppet.did" in [one.type for one in made.events]


def test_decisions_that_a_plugin_yields_count() -> None:
    did = raw(b"{}")
    made = planned(Odd(lambda: (one for one in [Emit(did)])))  # type: ignore[arg-type, return-value]  # a generator

    assert did.type in [one.type for one in made.events]


def test_what_is_no_decision_is_its_makers_fault() -> None:
    assert faults(planned(Odd(lambda: [raw(b"{}")]))) == [("odd", 2, "TypeError")]  # type: ignore[list-item]  # the bug
