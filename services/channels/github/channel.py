"""The channel `github`: the answer of a turn, as a comment where it was asked, exactly once.

A long answer is several comments but one letter: those that are not there yet are written in order, each with the
letter's marker and its number. So the outbox knows nothing of parts, and an attempt that ended anywhere is taken up
where the thread says it ended.
"""

from __future__ import annotations

from collections.abc import Sequence

from services.channels.contract import Answering, DeliveryError, Letter, Receipt, Sending
from services.channels.doubts import ambiguous, doubted
from services.channels.github.api import API, Comment
from services.channels.github.markers import Mark, mark_of, marked
from services.channels.github.mentions import BOT
from services.channels.github.parts import PART_LIMIT, parts_of
from services.channels.github.target import SCHEME, BadAddress, Target, target_of
from services.channels.github.within import Within
from services.channels.said import said

# Our clock and GitHub's may differ by this much.
SKEW_MS = 600_000
# Of the time for an attempt, what looking may take: some is left to write what is missing.
LOOK_SHARE = 0.6


class GitHubChannel:
    """Writes through `api`. `login` is our name where GitHub does not tell it, `part_limit` the longest comment.
    `answered` takes back that an answer is worked on.

    `settle_ms`: what a dead process sent is in GitHub's lists by then.
    """

    name = SCHEME
    settle_ms = 5_000

    def __init__(
        self, api: API, *, login: str = "", part_limit: int = PART_LIMIT, answered: Answering | None = None
    ) -> None:
        self._api, self._answered = api, answered
        self._part_limit = part_limit
        self._login = login

    def send(self, letter: Letter, sending: Sending) -> Receipt:
        """Write what is not there yet of `letter`, within its `timeout_s`.

        Raises: DeliveryError: ambiguous too for whatever may be mended once a part of it is there, as the next
        attempt must look first.
        """
        target, parts = _target(letter), self._parts(letter)
        within = Within(letter.timeout_s, sending)
        # Of a single part `find` told already.
        there = self._look(target, letter, within) if letter.is_repeat and len(parts) > 1 else set()
        for number, text in enumerate(parts, start=1):
            if number in there:
                continue
            mark = Mark(letter.marker, number, len(parts))
            try:
                self._api.comment(target, marked(text, mark), within)
            except DeliveryError as error:
                raise (doubted(error) if there else error) from None
            there.add(number)
        if self._answered is not None:
            self._answered(letter, sending)
        return Receipt(status=201)

    def find(self, letter: Letter, sending: Sending) -> Receipt | None:
        """Look for every part of `letter`; None when one is missing, which `send` then writes.

        Raises: DeliveryError: ambiguous for whatever keeps it from telling; cancelled.
        """
        target, parts = _target(letter), self._parts(letter)
        there = self._look(target, letter, Within(letter.timeout_s * LOOK_SHARE, sending))
        if len(there) < len(parts):
            return None
        if self._answered is not None:
            self._answered(letter, sending)
        return Receipt(status=201)

    def close(self) -> None:
        """Close idle connections; sending later opens new ones."""
        self._api.client.close()

    def _parts(self, letter: Letter) -> Sequence[str]:
        author = (letter.input.author or "").removeprefix("@").removeprefix(f"{SCHEME}:")
        return parts_of(said(letter), author=author, limit=self._part_limit)

    def _look(self, target: Target, letter: Letter, within: Within) -> set[int]:
        """The numbers of the parts that are there."""
        own = self._own_logins(within)
        try:
            since_ms = letter.queued_at - SKEW_MS
            found = self._api.comments(target, within, since_ms=since_ms)
            marks = [mark_of(each.body or "") for each in found if _is_by(each, own)]
        except DeliveryError as error:
            # That it can not be looked for says nothing of whether it is there.
            raise (error if error.kind in ("cancelled", "gone") else ambiguous(error)) from None
        return {mark.part for mark in marks if mark is not None and mark.marker == letter.marker}

    def _own_logins(self, within: Within) -> frozenset[str]:
        """What the account that writes our comments may be called: a mark in anybody else's comment is no mark.

        An app `name[bot]` is not the person `name`, whoever that is.
        """
        try:
            return frozenset({self._api.login(within).casefold()})
        except DeliveryError as error:
            if error.kind == "cancelled":
                raise
            # Some tokens may not ask who they are.
            if error.kind in ("gone", "rejected") and self._login:
                name = self._login.casefold()
                return frozenset({name, name.removesuffix(BOT) + BOT})
            raise ambiguous(error) from None


def _target(letter: Letter) -> Target:
    """Where its input says. Raises: DeliveryError (refused)."""
    try:
        return target_of(letter.input.reply_to or "", seen_ms=letter.queued_at)
    except BadAddress:
        raise DeliveryError("refused", code="no_such_thread") from None


def _is_by(comment: Comment, own: frozenset[str]) -> bool:
    return comment.user is not None and comment.user.login.casefold() in own
