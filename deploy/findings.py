"""What a start found in the environment and a person may want to know."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from services.settings import Settings


def openai_hint(settings: Settings, models: Sequence[str]) -> str:
    """How to use the OpenAI key that was found; empty when one of `models` uses it, or there is none."""
    found = settings.vendors["openai"].key is not None
    if not found or any(name.startswith("openai:") for name in models):
        return ""
    return "OPENAI_API_KEY found; set TURNWRIGHT_MODEL=openai:<model>"
