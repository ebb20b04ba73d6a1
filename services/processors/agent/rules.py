"""The limits of one agent as the processor needs them; filled from the configuration."""

from __future__ import annotations

import msgspec


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """Limits of an agent. Times in milliseconds."""

    debounce_ms: int = 0
    max_steps: int = 20
    max_turns_without_human: int = 20
    job_expires_ms: int = 3_600_000
    config_hash: str = ""
