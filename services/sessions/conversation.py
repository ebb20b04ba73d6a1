"""From events to a conversation: who said what, and how each turn ended. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from services.sessions.values import Utterance
from services.streams.event import Event, Offset
from services.streams.vocabulary import InputReceived, InputReplaced, InputWithdrawn, TurnSettled

SPOKEN = frozenset({"input.received", "turn.settled"})


class Edits:
    """What people changed about inputs before a request listed them."""

    def __init__(self, events: Iterable[Event]) -> None:
        self.texts: dict[Offset, str] = {}
        self.withdrawn: set[Offset] = set()
        for event in events:
            if event.type == "input.replaced":
                replaced = event.decode(InputReplaced)
                self.texts[replaced.input] = replaced.text
            elif event.type == "input.withdrawn":
                self.withdrawn.add(event.decode(InputWithdrawn).input)


def conversation(events: Iterable[Event], edits: Edits) -> list[Utterance]:
    """The utterances among `events`, in their order. Withdrawn inputs and superseded turns leave no trace."""
    said = (_utterance(event, edits) for event in events if event.type in SPOKEN)
    return [each for each in said if each is not None]


def _utterance(event: Event, edits: Edits) -> Utterance | None:
    return _input(event, edits) if event.type == "input.received" else _answer(event)


def _input(event: Event, edits: Edits) -> Utterance | None:
    if event.offset in edits.withdrawn:
        return None
    received = event.decode(InputReceived)
    return Utterance(
        role="user",
        offset=event.offset,
        created_at=event.created_at,
        text=edits.texts.get(event.offset, received.text),
        author=received.author,
    )


def _answer(event: Event) -> Utterance | None:
    settled = event.decode(TurnSettled)
    if settled.outcome == "superseded":
        return None
    return Utterance(
        role="assistant",
        offset=event.offset,
        created_at=event.created_at,
        text=settled.text,
        turn=settled.turn,
        outcome=settled.outcome,
        reason=settled.reason,
    )
