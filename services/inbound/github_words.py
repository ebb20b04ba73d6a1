"""What a delivery of GitHub's is called in routes, and how what it tells is put to a model.

The words of others are quotations, each under the name of who wrote it and what they may do. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from services.channels.github.events import Inbound, Person
from services.channels.github.markers import unmarked
from services.channels.github.mentions import is_login
from services.channels.github.permissions import Permission
from services.channels.github.threads import Thread, Words
from services.inbound.rules import Needs, Subject

OPENING_LIMIT = 16_000
_NOBODY = "a deleted account"
_SAYING = frozenset({"opened", "created", "submitted"})
_CHANGING = frozenset({"edited", "deleted"})
_THREADED = frozenset(
    {"issues", "issue_comment", "pull_request", "pull_request_review", "pull_request_review_comment"}
)


def event_of(inbound: Inbound) -> str:
    """The word that routes have for it; empty for what nobody could want to hear."""
    if inbound.session is None or inbound.kind not in _THREADED:
        return ""
    if inbound.trigger:
        return inbound.trigger
    if inbound.action in _SAYING:
        return "reply"
    if inbound.action in _CHANGING:
        return "mention" if inbound.calls or inbound.called else "reply"
    return ""


def needs_of(inbound: Inbound, event: str, login: str) -> Needs:
    """What a route must name itself to take it: nobody else's label, and no word that is not for us, by itself.

    What takes back or changes something finds what was said, or nothing happens.
    """
    if event == "reply":
        return "" if inbound.action in _CHANGING else "events"
    is_other_label = event == "labeled" and not is_login(inbound.label, login)
    return "labels" if is_other_label else ""


def subject_of(inbound: Inbound, event: str) -> Subject:
    """The delivery as routes tell deliveries apart: by who did it, not by who wrote it."""
    actor = inbound.actor
    return Subject(
        event=event,
        place=inbound.repository_name,
        thread=inbound.session or inbound.stream,
        author=actor.login if actor else "",
        is_bot=actor is not None and actor.is_bot,
        label=inbound.label,
        text=inbound.text,
        parts={
            "repository": str(inbound.repository),
            "number": str(inbound.number),
            "thread": str(inbound.number),
            "author": actor.login if actor else "",
        },
    )


def earlier_of(inbound: Inbound, thread: Thread) -> tuple[Words, ...]:
    """What was said between the beginning of a thread and what is said now; a gap is told in its place."""
    if thread.is_whole:
        return thread.comments
    gap = Words(id=0, login="", text="[earlier comments are left out]")
    return (gap, *thread.comments)


def text_of(
    inbound: Inbound, *, earlier: Sequence[Words], permissions: Mapping[str, Permission], is_first: bool
) -> str:
    """What is said, beginning with what one has to know of the thread where `is_first`."""
    pieces: list[str] = []
    is_opening = not inbound.said
    if is_first or inbound.trigger not in ("mention", ""):
        pieces.append(_heading(inbound))
        if not is_opening and inbound.opening.strip():
            wrote = _wrote(inbound.opener, permissions)
            pieces.append(f"{wrote} when it was opened:\n{_quoted(_cut(unmarked(inbound.opening)))}")
    if earlier:
        lines = "\n\n".join(_line(each, permissions) for each in earlier)
        pieces.append(f"Said there before:\n\n{lines}")
    if inbound.path:
        # Whoever opened the pull request has named the file: whatever is in it stays within this line.
        pieces.append(f"About a line of {inbound.path[:500]!r}:")
    pieces += _own_words(inbound, permissions)
    return "\n\n".join(pieces)


def _heading(inbound: Inbound) -> str:
    kind = "Pull request" if inbound.is_pull else "Issue"
    opener = f", opened by @{inbound.opener.login}" if inbound.opener else ""
    title = " ".join(inbound.title.split())[:300]
    return f"{kind} #{inbound.number} of {inbound.repository_name}{opener}: {title}"


def _own_words(inbound: Inbound, permissions: Mapping[str, Permission]) -> list[str]:
    """What was done or said now; in quotation marks where somebody else wrote it."""
    did = {
        "assigned": "You were assigned to this.",
        "review_requested": "You were asked to review this.",
        "labeled": f"The label {inbound.label[:100]!r} was put on this.",
    }.get(inbound.trigger, "")
    text = unmarked(inbound.text).strip()
    is_own = (
        inbound.author is not None and inbound.actor is not None and inbound.author.id == inbound.actor.id
    )
    if not did and is_own:
        return [text or "(no words)"]
    if not text:
        return [did or "(no words)"]
    return [*([did] if did else []), f"{_wrote(inbound.author, permissions)}:\n{_quoted(text)}"]


def _line(words: Words, permissions: Mapping[str, Permission]) -> str:
    if not words.id:
        return words.text
    cut = " […]" if words.is_cut else ""
    return f"{_name(words.login, permissions)}:\n{_quoted(words.text + cut)}"


def _wrote(person: Person | None, permissions: Mapping[str, Permission]) -> str:
    return f"{_name(person.login if person else '', permissions)} wrote"


def _name(login: str, permissions: Mapping[str, Permission]) -> str:
    if not login:
        return _NOBODY
    may = permissions.get(login)
    known = f" (may {may})" if may in ("admin", "write", "read") else " (may do nothing here)"
    return f"@{login}" + (known if may is not None and may != "unreadable" else "")


def _quoted(text: str) -> str:
    return "\n".join(f"> {line}" for line in text.splitlines())


def _cut(text: str) -> str:
    return text if len(text) <= OPENING_LIMIT else text[:OPENING_LIMIT] + " […]"
