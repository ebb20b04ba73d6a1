"""A child stream is announced to every ancestor, and nothing is announced twice."""

from __future__ import annotations

from services.processors.contract import AppendTo, Moment
from services.processors.lineage import Lineage, LineageState
from services.streams.event import Event, EventInput, StreamId
from services.streams.vocabulary import ChildCreated, StreamCreated


def created(parent: str | None) -> Event:
    return EventInput.of("stream.created", StreamCreated(parent=parent)).at(1, 0)


def test_a_stream_without_a_parent_tells_nobody() -> None:
    lineage = Lineage()
    state = lineage.reduce(lineage.initial(), created(None))
    assert lineage.react(state, created(None), Moment(stream=StreamId("app:top"), now_ms=0)) == ()


def test_a_child_tells_its_parent_under_a_key_of_its_own() -> None:
    lineage = Lineage()
    state = lineage.reduce(lineage.initial(), created("app:top"))

    (told,) = lineage.react(state, created("app:top"), Moment(stream=StreamId("app:child"), now_ms=0))

    assert isinstance(told, AppendTo)
    assert told.stream == "app:top"
    assert told.create is None
    assert told.event.key == "stream.child_created:app:child"
    assert told.event.at(2, 0).decode(ChildCreated) == ChildCreated(child="app:child", parent="app:top")


def test_what_a_child_tells_is_passed_on_unchanged() -> None:
    lineage = Lineage()
    news = ChildCreated(child="app:grandchild", parent="app:child")
    heard = EventInput.of("stream.child_created", news).at(5, 0)
    state = lineage.reduce(LineageState(parent="app:top"), heard)

    (told,) = lineage.react(state, heard, Moment(stream=StreamId("app:child"), now_ms=0))

    assert isinstance(told, AppendTo)
    assert told.stream == "app:top"
    assert told.event.at(2, 0).decode(ChildCreated) == news
    assert state.descendants == 1
