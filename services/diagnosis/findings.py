"""What a checkup finds."""

from __future__ import annotations

from typing import Literal

import msgspec

State = Literal["ok", "warning", "problem"]


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One checked part. `text` says what is so, or what to do about it."""

    part: str
    state: State
    text: str
