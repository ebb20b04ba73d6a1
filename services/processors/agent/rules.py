"""The limits of one agent as the processor needs them; filled from the configuration."""

from __future__ import annotations

import msgspec


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """Limits of an agent. Times in milliseconds; caps of an hour in tokens and millionths of a dollar, 0 for none."""

    debounce_ms: int = 0
    max_steps: int = 20
    max_turns_without_human: int = 20
    max_tokens_per_hour: int = 0
    max_microusd_per_hour: int = 0
    job_expires_ms: int = 3_600_000
    config_hash: str = ""
