"""What a command does that is run again, as its answer did not arrive: nothing, and in no other session."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from services.channels.contract import DeliveryError
from services.inbound.commands import Commands
from services.inbound.contract import Commanded
from services.streams.event import EventInput, StreamId
from services.streams.inbound_events import InboundQueued, InboundSettled
from services.streams.vocabulary import StreamCreated
from tests.scenarios.http_stage import Stage, opened_stage

CHANNEL = StreamId("inbound:slack:T1:C1")
FIRST, SECOND = StreamId("slack:T1:C1:1.1"), StreamId("slack:T1:C1:2.2")


@pytest.fixture
def stage() -> Iterator[Stage]:
    with opened_stage() as stage:
        for session in (FIRST, SECOND):
            stage.log.append(session, [EventInput.of("stream.created", StreamCreated(source="slack"))])
        yield stage


def _spoken_to(stage: Stage, session: StreamId, *, delivery: int) -> None:
    settled = InboundSettled(delivery=delivery, state="routed", session=session, offset=2)
    created = EventInput.of("stream.created", StreamCreated(source="slack"))
    stage.log.append(CHANNEL, [EventInput.of("inbound.settled", settled)], create=created)


def test_a_command_whose_answer_was_not_sent_is_not_given_to_whom_was_spoken_meanwhile(stage: Stage) -> None:
    told: list[str] = []

    def respond(text: str) -> None:
        told.append(text)
        if len(told) == 1:
            raise DeliveryError("not_sent", code="dns")

    commands = Commands(stage.log, lambda *_: None)
    queued = InboundQueued(
        job=f"{CHANNEL}@n5", delivery=5, session="", destination="d", does="command", is_there=True
    )
    given = Commanded(word="reset", key="slack:command:1", by="slack:U1", respond=respond)
    _spoken_to(stage, FIRST, delivery=4)
    with pytest.raises(DeliveryError):
        commands.run(queued, given)

    _spoken_to(stage, SECOND, delivery=7)
    done = commands.run(queued, given)

    assert (done.state, done.session, len(told)) == ("routed", FIRST, 2)
    assert stage.log.head(SECOND) == 1
