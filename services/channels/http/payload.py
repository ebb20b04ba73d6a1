"""What a receiver is told: one settled turn, as JSON that is the same in every attempt."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec

from services.channels.contract import Letter
from services.streams.vocabulary import TurnOutcome, Usage

TEXT_LIMIT = 262_144


class SettledTurn(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The end of a turn. `url` is where the session can be read, with a token.

    `truncated`: `text` was longer than `TEXT_LIMIT` bytes; the session has all of it.
    """

    session: str
    turn: int
    outcome: TurnOutcome
    inputs: tuple[int, ...]
    text: str
    usage: Usage
    reason: str = ""
    trace_id: str = ""
    url: str = ""
    truncated: bool = False


class Callback(msgspec.Struct, frozen=True, kw_only=True):
    """The body of a callback. `timestamp` is when the turn was settled, ISO 8601 in UTC."""

    type: str
    timestamp: str
    data: SettledTurn


def body_of(letter: Letter, public_url: str | None = None) -> bytes:
    """The body that tells `letter`, with a link below `public_url` where there is one."""
    turn = letter.turn
    text = _cut(turn.text)
    settled_at = datetime.fromtimestamp(letter.queued_at / 1000, UTC)
    data = SettledTurn(
        session=letter.session,
        turn=turn.turn,
        outcome=turn.outcome,
        inputs=turn.inputs,
        text=text,
        usage=turn.usage,
        reason=turn.reason,
        trace_id=turn.trace_id,
        url=f"{public_url}/api/sessions/{letter.session}" if public_url else "",
        truncated=text != turn.text,
    )
    timestamp = settled_at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return msgspec.json.encode(Callback(type="turn.settled", timestamp=timestamp, data=data))


def _cut(text: str) -> str:
    if len(text) <= TEXT_LIMIT // 4:
        return text
    return text.encode()[:TEXT_LIMIT].decode(errors="ignore")
