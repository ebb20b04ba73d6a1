"""What was said in a thread before we came into it: bounded, the newest kept, each text with who wrote it."""

from __future__ import annotations

import msgspec

from services.channels.github.api import API, PER_PAGE, Account, Comment
from services.channels.github.markers import unmarked
from services.channels.github.mentions import BOT
from services.channels.github.target import Target
from services.channels.github.within import Within

COMMENTS = 30
TEXT_LIMIT = 4_000
# Reviews are listed with all other reviews of the pull request.
_REVIEW_PAGES = 3


class Words(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody wrote, cut to `TEXT_LIMIT` characters; `login` is empty for a deleted account."""

    id: int
    login: str
    text: str
    is_bot: bool = False
    is_cut: bool = False


class Thread(msgspec.Struct, frozen=True, kw_only=True):
    """The last `comments` on an issue or pull request, oldest first. `is_whole`: there are no others."""

    comments: tuple[Words, ...]
    is_whole: bool


def thread_before(
    api: API, target: Target, said: int, within: Within, *, most: int = COMMENTS, as_of_s: float = 0.0
) -> Thread:
    """What was said before the comment `said`, 0: so far. In a review, its thread only.

    What was written or changed after `as_of_s` (epoch seconds, 0: ever) is left out: whoever called us then did not
    see it. Raises: DeliveryError.
    """
    issue = api.issue(target, within)
    found, is_all = (
        _in_review(api, target, within) if target.thread else _last(api, target, issue.comments, within)
    )
    before = [each for each in found if (not said or each.id < said) and _is_as_of(each, as_of_s)]
    return Thread(
        comments=tuple(_words(each.id, each.user, each.body) for each in before[-most:]),
        is_whole=is_all and len(before) <= most,
    )


def _is_as_of(comment: Comment, at_s: float) -> bool:
    return not at_s or comment.updated_at is None or comment.updated_at.timestamp() <= at_s


def _last(api: API, target: Target, count: int, within: Within) -> tuple[list[Comment], bool]:
    """The last page and the one before it, which are a hundred comments at least."""
    last = max(1, -(-count // PER_PAGE))
    first = max(1, last - 1)
    pages = (api.latest(target, within, page=page) for page in range(first, last + 1))
    return [each for page in pages for each in page], first == 1


def _in_review(api: API, target: Target, within: Within) -> tuple[list[Comment], bool]:
    found: list[Comment] = []
    for page in range(1, _REVIEW_PAGES + 1):
        newest_first = api.latest(target, within, page=page)
        found += (each for each in newest_first if target.thread in (each.id, each.in_reply_to_id))
        if len(newest_first) < PER_PAGE:
            return found[::-1], True
    return found[::-1], False


def _words(id: int, user: Account | None, body: str | None) -> Words:
    text = unmarked(body or "")
    return Words(
        id=id,
        login=user.login if user else "",
        text=text[:TEXT_LIMIT],
        is_bot=user is not None and (user.type == "Bot" or user.login.endswith(BOT)),
        is_cut=len(text) > TEXT_LIMIT,
    )
