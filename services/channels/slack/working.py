"""How Slack shows that a turn runs: at once, on the message that is answered."""

from __future__ import annotations

from services.channels.contract import Sending
from services.channels.signs import Turn
from services.channels.slack.address import BadAddress, SlackAddress
from services.channels.slack.status import WorkingStatus


class SlackSigns:
    """See `Signs`."""

    after_s = 0.0
    follows = False

    def __init__(self, status: WorkingStatus) -> None:
        self._status = status

    def name(self, turn: Turn) -> str:
        """See `Signs`. Each message shows its own."""
        return f"{turn.session}@{turn.said.message}" if _address(turn) is not None else ""

    def show(self, turn: Turn, sending: Sending, *, timeout_s: float) -> None:
        """See `Signs`."""
        address = _address(turn)
        if address is not None:
            self._status.show(address, turn.said.message, sending, timeout_s=timeout_s)

    def end(self, turn: Turn, sending: Sending, *, timeout_s: float) -> None:
        """See `Signs`."""
        address = _address(turn)
        if address is not None:
            self._status.end(address, turn.said.message, sending, timeout_s=timeout_s)


def _address(turn: Turn) -> SlackAddress | None:
    """Where the message is; None for what did not come from Slack."""
    if not turn.said.message:
        return None
    try:
        return SlackAddress.parse(turn.said.reply_to or "")
    except BadAddress:
        return None
