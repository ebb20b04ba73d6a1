"""What people read in a thread, wherever they read it: letters, and notes about letters that do not come."""

from __future__ import annotations

from typing import Literal

from services.channels.contract import Letter

Holdup = Literal["llm", "retry", "tool", "behind", "queued", "faulted"]

_HOLDUPS: dict[Holdup, str] = {
    "llm": "the model has not answered yet",
    "retry": "the model can not be had right now, so I ask it again",
    "tool": "a tool has not come back yet",
    "behind": "something that came before is not done yet",
    "queued": "its turn has not begun yet",
    "faulted": "a part of me stopped and waits for whoever runs me",
}
# Why a session is paused, unless a person did it.
_PAUSES = {
    "spend": "what may be spent in an hour is used up",
    "circuit_breaker": "far more happened here than is allowed",
}

# Why what was asked came to nothing before it was even heard, by the code of what went wrong last.
_UNREACHED = {
    "paused": "I was paused for too long",
    "expired": "it waited for more than three days",
    "permission_unknown": "GitHub did not say whether you may ask me",
    "permission_unreadable": "I am not allowed to see who may ask me here",
    "defect": "I ran into a fault of my own, however often I tried",
    "timeout": "what I need for it did not answer in time, however often I tried",
}

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


def still_working(holdup: Holdup) -> str:
    """A note on an answer that takes long."""
    return f"Still working on this: {_HOLDUPS[holdup]}."


def gave_up_on(holdup: Holdup) -> str:
    """A note on an answer that took too long. It may be wrong later: nobody is stopped by it."""
    return f"I could not answer this in time: {_HOLDUPS[holdup]}. If there is an answer after all, I will post it here."


def not_posted(code: str) -> str:
    """A note on an answer that is there and could not be said."""
    return (
        f"I have an answer to what was asked here, but could not post it ({code})."
        " Whoever runs me finds it with `turnwright outbox` and can send it again."
    )


def paused_by(reason: str, session: str) -> str:
    """A note on a pause for that `reason`, and how it ends; empty for one that a person decided on."""
    told = _PAUSES.get(reason)
    return f"I am paused: {told}. I go on after `turnwright resume {session}`." if told else ""


def paused_meanwhile(session: str) -> str:
    """A note on what is asked while the session is paused, by whomever."""
    return f"I am paused, so this waits. I go on after `turnwright resume {session}`."


def never_reached(code: str, session: str) -> str:
    """A note on what was asked and never became an input of `session`; what was asked before it, it is about too."""
    why = _UNREACHED.get(code, f"what I need for it failed, however often I tried ({code})")
    after = f" after `turnwright resume {session}`" if code == "paused" else ""
    return (
        f"What was asked here did not reach me, because {why}. Please ask again{after}."
        " Whoever runs me sees more with `turnwright inbound --state failed`."
    )
