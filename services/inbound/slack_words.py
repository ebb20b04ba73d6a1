"""What an event of Slack's is to the routes, to its session and to whoever gives commands in a thread. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from services.channels.slack.content import mentioned, pieces_of
from services.channels.slack.events import Arrival
from services.channels.slack.facts import Earlier
from services.inbound.commands import WORDS
from services.inbound.rules import Subject

# Of one message that was there before us, and of all together.
EARLIER_EACH = 4_000
EARLIER_LIMIT = 40_000
# Much less than keys of what was said are kept.
NEW_S = 86_400.0

_command = re.compile(r"\s*(?:<@([A-Z0-9]+)(?:\|[^<>]*)?>[ ,:]*)?!([a-z]+)\b", re.IGNORECASE)


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
    """The command that a message is, in lower case; empty for one that only says something.

    Before the word at most that we are named: what is told to somebody else is no command to us. Nor is what a bot
    says: two that stop, ask again and reset each other would never come to an end.
    """
    if arrival.kind == "stopped":
        return "stop"
    found = _command.match(arrival.text)
    if found is None or found[1] not in (None, arrival.bot_user) or arrival.bot or arrival.kind == "bot":
        return ""
    word = found[2].lower()
    return word if word in WORDS else ""


def may_begin(arrival: Arrival) -> bool:
    """Whether an edit may be the first that we hear of a message: it names us now and did not before, or the message
    is new, so that it may have come before what it edits. Of an old one nobody knows any more whether it was answered.
    """
    if arrival.before is not None and arrival.bot_user not in mentioned(arrival.before):
        return arrival.bot_user in mentioned(arrival.text) or _is_new(arrival)
    return _is_new(arrival)


def _is_new(arrival: Arrival) -> bool:
    return bool(arrival.ts) and arrival.event_time_s - float(arrival.ts) < NEW_S


def told_of(earlier: Sequence[Earlier], names: Mapping[str, str]) -> str:
    """What was said before we came in, as what it is: words of others, told to us. Empty where nothing was.

    Long words are cut, and of much the middle is left out: a question must fit into what a model reads.
    """
    quoted = list(filter(None, (_quoted(each, names) for each in earlier)))
    if not quoted:
        return ""
    room = EARLIER_LIMIT - len(quoted[0])
    newest: list[str] = []
    for each in reversed(quoted[1:]):
        room -= len(each)
        if room < 0:
            newest.append("> [some messages are left out]")
            break
        newest.append(each)
    return "\n".join(["Earlier in this thread:", quoted[0], *reversed(newest)])


def _quoted(earlier: Earlier, names: Mapping[str, str]) -> str:
    said = pieces_of(earlier.text, earlier.attachments, earlier.files, names)
    if not said:
        return ""
    cut = f"{said[:EARLIER_EACH]} […]" if len(said) > EARLIER_EACH else said
    author = names.get(earlier.author, earlier.author)
    return "\n".join(f"> {line}" for line in f"@{author}: {cut}".splitlines())


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
