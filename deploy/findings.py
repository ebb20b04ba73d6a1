"""What a start found in the environment and a person may want to know."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from services.settings import Settings


def openai_hint(settings: Settings) -> str:
    """How to use the OpenAI key that was found; empty when it is in use, or there is none."""
    found = settings.vendors["openai"].key is not None
    if not found or any(name.startswith("openai:") for name in settings.models):
        return ""
    return "OPENAI_API_KEY found; set TURNWRIGHT_MODEL=openai:<model>"
