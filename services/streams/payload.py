"""What all payloads of events have in common."""

from __future__ import annotations

from typing import Literal

import msgspec

Policy = Literal["follow_up", "steer", "collect", "silent"]


class Payload(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Base of all payload shapes."""
