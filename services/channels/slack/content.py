"""What somebody said in Slack, as text a model can read: names for ids, what was forwarded, which files. Pure."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Mapping

from services.channels.slack.events import Arrival
from services.channels.slack.payloads import Attachment, File, several

# What one message may bring along. Slack's own limit of a text is 40,000.
TEXT_LIMIT = 40_000
_NAME_LIMIT = 200
# Nothing is as large: whoever says so says nothing.
_SIZE_LIMIT = 1 << 50

_reference = re.compile(r"<([^<>\s][^<>]*)>")
_NOTHING: Mapping[str, str] = {}


def content_of(arrival: Arrival, names: Mapping[str, str] = _NOTHING) -> str:
    """The text of `arrival` without the mention of ourselves, what was forwarded with it, and its files.

    `names` are those of users and channels by id. At most `TEXT_LIMIT` characters of each piece; empty when
    nothing was said.
    """
    return pieces_of(_unmentioned(arrival.text, arrival.bot_user), arrival.attachments, arrival.files, names)


def pieces_of(
    text: str,
    attachments: Iterable[Attachment] = (),
    files: Iterable[File] = (),
    names: Mapping[str, str] = _NOTHING,
) -> str:
    """A message's text, what was forwarded with it, and its files; empty when it holds none of that."""
    pieces = [readable(text, names), *(_forwarded(each, names) for each in attachments), _listed(files)]
    return "\n\n".join(each for each in pieces if each)


def readable(text: str, names: Mapping[str, str] = _NOTHING) -> str:
    """`text` as people see it: mentions and channels by name, links by label and address, entities resolved."""
    shown = _reference.sub(lambda found: _shown(found[1], names), text[:TEXT_LIMIT])
    return html.unescape(shown).strip()


def mentioned(text: str) -> frozenset[str]:
    """The ids of all users that `text` names."""
    found = (match[1] for match in _reference.finditer(text[:TEXT_LIMIT]))
    return frozenset(each[1:].partition("|")[0] for each in found if each.startswith("@"))


def _unmentioned(text: str, bot_user: str) -> str:
    if not bot_user:
        return text
    return re.sub(rf"<@{re.escape(bot_user)}(\|[^<>]*)?>[ ,:]*", "", text)


def _shown(inside: str, names: Mapping[str, str]) -> str:
    target, _, label = inside.partition("|")
    match target[:1]:
        case "@":
            return "@" + (label or names.get(target[1:], target[1:]))
        case "#":
            return "#" + (label or names.get(target[1:], target[1:]))
        case "!":
            return label or "@" + target[1:].partition("^")[0]
        case _:
            bare = target.removeprefix("mailto:")
            return f"{label} ({target})" if label and label != bare else bare


def _forwarded(attachment: Attachment, names: Mapping[str, str]) -> str:
    """A message that came along; previews of links and what other apps attach are not what somebody said."""
    if not (attachment.is_msg_unfurl or attachment.is_share):
        return ""
    text = readable(attachment.text or attachment.fallback or "", names)
    files = _listed(several(attachment.files, File))
    by = attachment.author_name or names.get(attachment.author_id or "", attachment.author_id or "somebody")
    inside = "\n".join(each for each in (text, files) if each)
    if not inside:
        return ""
    quoted = "\n".join(f"> {line}" for line in inside.splitlines())
    return f"Forwarded message from {_plain(by)}:\n{quoted}"


def _listed(files: Iterable[File]) -> str:
    return "\n".join(
        f"[file: {_plain(each.name or each.title or each.id or 'unnamed')}, "
        f"{_plain(each.mimetype or 'unknown type')}, {_size(each.size)}]"
        for each in files
    )


def _plain(name: str) -> str:
    """A name that stays on its line."""
    return " ".join(name[:_NAME_LIMIT].split()).replace("]", ")")


def _size(size: int | None) -> str:
    if size is None or not 0 <= size < _SIZE_LIMIT:
        return "unknown size"
    if size < 1024:
        return f"{size} bytes"
    return f"{size / 1024:.0f} KB" if size < 1024**2 else f"{size / 1024**2:.1f} MB"
