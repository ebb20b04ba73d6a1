"""What people read of a letter, wherever they read it."""

from __future__ import annotations

from services.channels.contract import Letter

_ENDS = {
    "answered": "I have nothing to say to that.",
    "failed": "I could not answer this.",
    "cancelled": "Stopped.",
    "superseded": "Stopped, because something newer came in.",
    "limited": "I stopped here, because a limit was reached.",
}


def said(letter: Letter) -> str:
    """Its note; else the model's text, and a sentence that says so where the turn did not end well. Never empty.

    The reason is a safe code of ours, so it may be shown.
    """
    if letter.note.strip():
        return letter.note
    turn = letter.turn
    ending = _ENDS[turn.outcome]
    if turn.outcome != "answered" and turn.reason:
        ending = f"{ending} ({turn.reason})"
    text = turn.text.strip("\n")
    if not text.strip():
        return ending
    return text if turn.outcome == "answered" else f"{text}\n\n{ending}"
