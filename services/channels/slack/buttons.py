"""Buttons: what they are, and what takes their place once somebody pressed them, so that nobody does again."""

from __future__ import annotations

from collections.abc import Sequence

from services.channels.contract import Sending
from services.channels.slack.client import SlackClient
from services.channels.slack.text import escaped

TIMEOUT_S = 10.0
RETRY = "turnwright_retry"


def retry_button(session: str, input: int) -> dict[str, object]:
    """The block that lets people ask again what could not be answered: the `input` of `session`, by its offset."""
    text = {"type": "plain_text", "text": "Try again"}
    button = {"type": "button", "action_id": RETRY, "text": text, "value": f"{session}@{input}"}
    return {"type": "actions", "block_id": "turnwright", "elements": [button]}


def replace(
    client: SlackClient,
    response_url: str,
    text: str,
    sending: Sending,
    *,
    kept: Sequence[object] = (),
    timeout_s: float = TIMEOUT_S,
) -> None:
    """Put `text`, as it is, where the pressed buttons were, below the blocks that are `kept`. May be repeated.

    Raises: DeliveryError: gone when the URL is used up (five times, half an hour), refused when it is not Slack's.
    """
    said = {"type": "context", "elements": [{"type": "plain_text", "text": text}]}
    blocks = [*kept, said] if kept else []
    client.respond(
        response_url, {"replace_original": True, "text": escaped(text), "blocks": blocks}, sending, timeout_s
    )


def whisper(
    client: SlackClient, response_url: str, text: str, sending: Sending, *, timeout_s: float = TIMEOUT_S
) -> None:
    """Say `text`, as it is, to whoever pressed or commanded, and to nobody else. Raises: like `replace`."""
    body = {"response_type": "ephemeral", "replace_original": False, "text": escaped(text)}
    client.respond(response_url, body, sending, timeout_s)
