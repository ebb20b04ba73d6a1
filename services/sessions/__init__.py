"""Sessions as people see them: prompts go in, commands are given, pages are read."""

from services.sessions.facade import Sessions

__all__ = ["Sessions"]
