"""What an event of Slack's is to the routes, to its session and to whoever gives commands in a thread. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from services.channels.slack.content import pieces_of
from services.channels.slack.events import Arrival
from services.channels.slack.facts import Earlier
from services.inbound.commands import WORDS
from services.inbound.rules import Subject

# Before the word at most that we are named.
_command = re.compile(r"\s*(?:<@[A-Z0-9]+(?:\|[^<>]*)?>[ ,:]*)?!([a-z]+)\b", re.IGNORECASE)


def key_of(arrival: Arrival) -> str:
    """What everything that ever happens to one message has in common."""
    return f"slack:{arrival.team}:{arrival.channel}:{arrival.ts}"


def subject_of(arrival: Arrival, *, is_called: bool) -> Subject:
    """`arrival` as routes tell it apart. `is_called`: its text names us."""
    return Subject(
        event=_event(arrival, is_called=is_called),
        place=arrival.channel,
        thread=arrival.session or arrival.stream,
        author=arrival.author or arrival.bot,
        is_bot=bool(arrival.bot) or arrival.kind == "bot",
        text=arrival.text,
        parts={
            "team": arrival.team,
            "channel": arrival.channel,
            "thread": arrival.thread_ts or arrival.ts,
            "author": arrival.author,
        },
    )


def command_of(arrival: Arrival) -> str:
    """The command that a message is, in lower case; empty for one that only says something."""
    if arrival.kind == "stopped":
        return "stop"
    found = _command.match(arrival.text)
    word = found[1].lower() if found else ""
    return word if word in WORDS else ""


def told_of(earlier: Sequence[Earlier], names: Mapping[str, str]) -> str:
    """What was said before we came in, as what it is: words of others, told to us. Empty where nothing was."""
    quoted = []
    for each in earlier:
        said = pieces_of(each.text, each.attachments, each.files, names)
        if said:
            quoted += [f"> {line}" for line in f"@{names.get(each.author, each.author)}: {said}".splitlines()]
    return "\n".join(["Earlier in this thread:", *quoted]) if quoted else ""


def _event(arrival: Arrival, *, is_called: bool) -> str:
    """The word that routes have for it. A mention comes as a message too, whichever is first."""
    if arrival.kind == "mention" or is_called:
        return "mention"
    if arrival.channel_type == "im":
        return "direct"
    if arrival.kind in ("edited", "deleted", "stopped"):
        # What was said there may be ours, wherever it was said.
        return "reply"
    return "reply" if arrival.thread_ts and arrival.thread_ts != arrival.ts else "message"
