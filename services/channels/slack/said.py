"""What people read of a settled turn in its thread."""

from __future__ import annotations

from services.streams.vocabulary import TurnSettled

_ENDS = {
    "answered": "I have nothing to say to that.",
    "failed": "I could not answer this.",
    "cancelled": "Stopped.",
    "superseded": "Stopped, because something newer came in.",
    "limited": "I stopped here, because a limit was reached.",
}


def said(turn: TurnSettled) -> str:
    """The model's text, and where the turn did not end well a sentence that says so. Never empty.

    The reason is a safe code of ours, so it may be shown.
    """
    ending = _ENDS[turn.outcome]
    if turn.outcome != "answered" and turn.reason:
        ending = f"{ending} ({turn.reason})"
    if not turn.text.strip():
        return ending
    return turn.text if turn.outcome == "answered" else f"{turn.text}\n\n{ending}"
