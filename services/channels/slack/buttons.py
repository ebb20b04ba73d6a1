"""Buttons that were pressed: gone at once, so that nobody presses them again, and their answer in their place."""

from __future__ import annotations

from services.channels.contract import Sending
from services.channels.slack.client import SlackClient
from services.channels.slack.text import escaped

TIMEOUT_S = 10.0


def replace(
    client: SlackClient, response_url: str, text: str, sending: Sending, *, timeout_s: float = TIMEOUT_S
) -> None:
    """Put `text`, as it is, where the pressed buttons were. May be repeated.

    Raises: DeliveryError: gone when the URL is used up (five times, half an hour), refused when it is not Slack's.
    """
    client.respond(
        response_url, {"replace_original": True, "text": escaped(text), "blocks": []}, sending, timeout_s
    )


def whisper(
    client: SlackClient, response_url: str, text: str, sending: Sending, *, timeout_s: float = TIMEOUT_S
) -> None:
    """Say `text`, as it is, to whoever pressed or commanded, and to nobody else. Raises: like `replace`."""
    body = {"response_type": "ephemeral", "replace_original": False, "text": escaped(text)}
    client.respond(response_url, body, sending, timeout_s)
