"""Owing to other streams: in order, exactly once, and a target that waits holds nobody else up."""

from __future__ import annotations

import threading

import msgspec
import pytest

from services.streams.event import EventInput, StreamId
from services.streams.vocabulary import InputReceived, StreamPaused, StreamResumed
from tests.fakes.puppet import CREATED, Told, tell
from tests.fakes.routing import Route, Router
from tests.fakes.store_servers import Console
from tests.fakes.store_stage import Stage

S, T, U = StreamId("s"), StreamId("t"), StreamId("u")


@pytest.fixture
def routing(stage: Stage) -> Stage:
    """A stage whose stream `s` routes."""
    made = Stage(stage.url, stage.keys, processors=[Router()])
    made.hand()
    return made


def _route(stage: Stage, *routes: Route) -> None:
    inputs = [EventInput(type="route", payload=msgspec.Raw(msgspec.json.encode(route))) for route in routes]
    stage.log.append(S, inputs, create=CREATED)
    while stage.hand(born=False).advancer.advance(S).behind:
        pass


def _texts(stage: Stage, stream: StreamId) -> list[str]:
    return [e.decode(InputReceived).text for e in stage.events(stream) if e.type == "input.received"]


def _gate(stage: Stage, stream: StreamId, *, pause: bool) -> None:
    if pause:
        stage.log.gate(stream, EventInput.of("stream.paused", StreamPaused(reason="r")), paused="r")
    else:
        stage.log.gate(stream, EventInput.of("stream.resumed", StreamResumed()), paused=None)


def test_entries_arrive_in_order_and_leave_the_outbox(routing: Stage, bare: Console) -> None:
    _route(routing, *(Route("t", str(n)) for n in range(100)))
    _route(routing, *(Route("t", str(n)) for n in range(100, 150)))

    routing.deliverer.run(S)

    assert _texts(routing, T) == [str(n) for n in range(150)]
    assert bare.execute_command("XLEN", routing.keys.outbox(S)) == 0
    assert routing.due_ids("deliver") == {}


def test_two_who_deliver_the_same_outbox_double_nothing(routing: Stage) -> None:
    _route(routing, *(Route("t" if n % 2 else "u", str(n)) for n in range(100)))

    def deliver() -> None:
        routing.deliverer.run(S)

    threads = [threading.Thread(target=deliver) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    routing.deliverer.run(S)

    assert _texts(routing, T) == [str(n) for n in range(100) if n % 2]
    assert _texts(routing, U) == [str(n) for n in range(100) if not n % 2]


def test_what_goes_to_a_paused_stream_waits_and_goes_in_in_order_afterwards(routing: Stage) -> None:
    routing.log.append(T, [tell()], create=CREATED)
    _gate(routing, T, pause=True)
    _route(routing, *(Route("t", str(n)) for n in range(3)))

    routing.deliverer.run(S)
    assert _texts(routing, T) == []
    assert 4_000 < routing.due_ids("deliver")[S] <= 5_000

    _gate(routing, T, pause=False)
    routing.deliverer.run(S)
    assert _texts(routing, T) == ["0", "1", "2"]


def test_a_target_that_waits_holds_no_other_target_up_however_much_is_queued(routing: Stage) -> None:
    routing.log.append(T, [tell()], create=CREATED)
    _gate(routing, T, pause=True)
    _route(routing, *(Route("t", str(n)) for n in range(80)))
    _route(routing, Route("u", "passes"))

    routing.deliverer.run(S)

    assert _texts(routing, U) == ["passes"]
    assert _texts(routing, T) == []


def test_a_definite_refusal_ends_its_entry_only(routing: Stage) -> None:
    _route(routing, Route("t", "lost", creates=False), Route("t", "first"), Route("t", "same", key="k"))
    _route(routing, Route("t", "other", key="k"), Route("t", "last"))

    routing.deliverer.run(S)

    assert _texts(routing, T) == ["first", "same", "last"]
    assert routing.due_ids("deliver") == {}


def test_what_a_stream_loads_does_not_grow_with_those_it_sends_to_or_hears_from(routing: Stage) -> None:
    _route(routing, Route("t", "first"))
    names = set(routing.log.load(S).fields)

    _route(routing, *(Route(f"t{n}", "hello") for n in range(50)))
    routing.deliverer.run(S)

    assert set(routing.log.load(S).fields) == names
    assert routing.log.load(T).fields == {}


def test_numbers_go_on_from_one_commit_to_the_next(routing: Stage) -> None:
    _route(routing, Route("t", "1"), Route("u", "2"))
    _route(routing, Route("t", "3"))
    routing.deliverer.run(S)
    _route(routing, Route("u", "4"), Route("t", "5"))

    routing.deliverer.run(S)

    assert (_texts(routing, T), _texts(routing, U)) == (["1", "3", "5"], ["2", "4"])


def test_an_outbox_with_nothing_in_it_is_due_no_more(stage: Stage) -> None:
    stage.log.append(S, [tell(Told(to=("t",)))], create=CREATED)
    stage.hand().advancer.advance(S)
    stage.deliverer.run(S)
    stage.deliverer.run(S)

    assert stage.due_ids("deliver") == {}
