"""What a reply tells: the end of a turn, found in the log when it is sent, or a note, which it holds itself."""

from __future__ import annotations

import msgspec

from services.errors import Defect
from services.processors.advance import Held
from services.streams.event import Event, Offset
from services.streams.near import Past, back_from, newest_first
from services.streams.vocabulary import InputReceived, ReplyQueued, TurnSettled

PAGE = 40


class Content(msgspec.Struct, frozen=True, kw_only=True):
    """What `queued` tells. `input` says where to; `event` is the end of its `turn`, or
    where its `note` was first queued."""

    queued: ReplyQueued
    event: Event
    input: InputReceived
    turn: TurnSettled
    note: str = ""


def content_of(past: Past, held: Held, began: Offset = 0) -> Content:
    """What the job is to deliver, told shortly before the offset `began`, 0: the head. Raises: Defect, Unavailable."""
    queued, event = _find(past, held, began)
    if queued.note:
        return Content(
            queued=queued,
            event=event,
            input=InputReceived(text="", reply_to=queued.reply_to),
            turn=TurnSettled(turn=0, outcome="answered", inputs=()),
            note=queued.note,
        )
    said = _there(past.get(held.stream, queued.inputs[0])).decode(InputReceived)
    return Content(queued=queued, event=event, input=said, turn=event.decode(TurnSettled))


def _find(past: Past, held: Held, began: Offset) -> tuple[ReplyQueued, Event]:
    queued: ReplyQueued | None = None
    for event in newest_first(past, held.stream, before=back_from(began), page=PAGE):
        if queued is None and event.type == "reply.queued":
            found = event.decode(ReplyQueued)
            queued = found if found.job == held.id else None
            if queued is not None and queued.settled:
                return queued, _there(past.get(held.stream, queued.settled))
            if queued is not None and queued.note:
                return queued, event
        elif queued is not None and _settles(event, queued.turn):
            return queued, event
    raise Defect(f"job {held.id} has nothing to deliver")


def _settles(event: Event, turn: int) -> bool:
    return event.type == "turn.settled" and event.decode(TurnSettled).turn == turn


def _there(event: Event | None) -> Event:
    if event is None:
        raise Defect("an event that a reply refers to is not there")
    return event
