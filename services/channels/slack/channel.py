"""The channel `slack`: the answer of a turn, as a reply in its thread, exactly once.

A long answer is several messages but one letter: `send` posts in order the parts that are not there yet, each
with the letter's marker and its number. So the outbox has nothing to know of parts, its queue keeps their order,
and an attempt that ended anywhere is taken up where the thread says it ended.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from services.channels.contract import Answering, DeliveryError, Letter, Receipt, Sending
from services.channels.doubts import ambiguous, doubted
from services.channels.said import said
from services.channels.slack.address import BadAddress, SlackAddress, known_ts
from services.channels.slack.buttons import retry_button
from services.channels.slack.client import SlackClient
from services.channels.slack.facts import Identity, identity_of
from services.channels.slack.marks import mark, marked
from services.channels.slack.text import escaped, parts, plain, unpaged

if TYPE_CHECKING:
    from services.channels.slack.sdk import Web

# What a notification shows of a message that is made of blocks.
PREVIEW = 300
# Slack counts in ways it does not tell: what it will not take as markdown is said as plain text.
_NOT_AS_BLOCKS = frozenset({"invalid_blocks", "msg_blocks_too_long"})


class SlackChannel:
    """Posts through `client`; `answered` takes back that an answer is worked on.

    `settle_ms`: what a dead process sent is in the thread by then.
    """

    name = "slack"
    settle_ms = 5_000

    def __init__(self, client: SlackClient, answered: Answering | None = None) -> None:
        self._client, self._answered = client, answered
        self._us: Identity | None = None

    def send(self, letter: Letter, sending: Sending) -> Receipt:
        """Post what is not there yet of `letter`, within its `timeout_s`.

        Raises: DeliveryError: ambiguous too for everything that may be mended, once a part of it is there, as the
        next attempt must look first.
        """
        address, bodies = _address(letter), _bodies(letter)
        web = self._client.attempt(sending, letter.timeout_s)
        there: dict[int, str] = {}
        if letter.is_repeat and len(bodies) > 1:
            there |= self._look(web, address, letter, len(bodies))
        for part, body in enumerate(bodies):
            if part in there:
                continue
            is_last = part == len(bodies) - 1
            try:
                there[part] = _post(
                    web,
                    # What begins a thread goes on in it.
                    address.within(there.get(0, "")),
                    body,
                    mark(letter.marker, part, len(bodies)),
                    below=_below(letter) if is_last else (),
                )
            except DeliveryError as error:
                raise (doubted(error) if there else error) from None
        return self._delivered(letter, sending, address, there)

    def find(self, letter: Letter, sending: Sending) -> Receipt | None:
        """Look in the thread for every part of `letter`; None when one is missing, which `send` then posts.

        Raises: DeliveryError: ambiguous for whatever keeps it from telling; cancelled.
        """
        web = self._client.attempt(sending, letter.timeout_s)
        address, count = _address(letter), len(_bodies(letter))
        there = self._look(web, address, letter, count)
        return self._delivered(letter, sending, address, there) if len(there) == count else None

    def _delivered(
        self, letter: Letter, sending: Sending, address: SlackAddress, there: Mapping[int, str]
    ) -> Receipt:
        if self._answered is not None:
            self._answered(letter, sending)
        return Receipt(begun="" if address.thread_ts else address.within(there[0]).encode())

    def close(self) -> None:
        """Close idle connections."""
        self._client.close()

    def _look(self, web: Web, address: SlackAddress, letter: Letter, count: int) -> Mapping[int, str]:
        try:
            us = self._us = self._us or identity_of(web)
            return marked(web, address, letter.marker, parts=count, since_ms=letter.queued_at, us=us)
        except DeliveryError as error:
            # That it can not be looked for says nothing of whether it is there.
            raise (error if error.kind == "cancelled" else ambiguous(error)) from None


def _below(letter: Letter) -> Sequence[dict[str, object]]:
    """What can be done about a turn that failed stands below what is said of it."""
    turn = letter.turn
    if letter.note or turn.outcome != "failed" or not turn.inputs:
        return ()
    return (retry_button(letter.session, turn.inputs[-1]),)


def _post(
    web: Web,
    address: SlackAddress,
    body: str,
    metadata: dict[str, object],
    *,
    below: Sequence[dict[str, object]],
) -> str:
    """The time stamp of what is posted then."""
    try:
        done = web.chat_postMessage(
            channel=address.channel,
            thread_ts=address.thread_ts or None,
            text=escaped(body[:PREVIEW]),
            blocks=[{"type": "markdown", "text": body}, *below],
            metadata=metadata,
            # A preview is fetched by Slack: an address that the model was talked into would be visited.
            unfurl_links=False,
            unfurl_media=False,
        )
    except DeliveryError as error:
        if error.code not in _NOT_AS_BLOCKS:
            raise
        done = web.chat_postMessage(
            channel=address.channel,
            thread_ts=address.thread_ts or None,
            text=plain(body),
            metadata=metadata,
            unfurl_links=False,
            unfurl_media=False,
        )
    ts = known_ts(str(done.get("ts", "")))
    if not ts:
        raise DeliveryError("ambiguous", code="no_ts")
    return ts


def _bodies(letter: Letter) -> Sequence[str]:
    return parts(unpaged(said(letter)))


def _address(letter: Letter) -> SlackAddress:
    """Where its input says, else the thread that its session is. Raises: DeliveryError (refused)."""
    try:
        if letter.input.reply_to:
            return SlackAddress.parse(letter.input.reply_to, may_begin=True)
        return SlackAddress.parse(letter.session)
    except BadAddress:
        raise DeliveryError("refused", code="no_such_thread") from None
