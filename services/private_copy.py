"""Copies of secrets on disk, for the person who runs this machine: a line of text in a file of mode 0600."""

from __future__ import annotations

import os
from pathlib import Path


def read_copy(copy: Path) -> str | None:
    """The line in `copy`; None where there is none, or what is there can not be one."""
    try:
        text = copy.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return None
    return text if text.isprintable() and " " not in text and text else None


def write_copy(copy: Path, text: str) -> None:
    """Let `copy` hold `text`, readable by its owner only. Another process sees the old or the new one."""
    if read_copy(copy) == text and copy.stat().st_mode & 0o077 == 0:
        return
    copy.parent.mkdir(parents=True, exist_ok=True)
    draft = copy.with_name(f".{copy.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(f"{text}\n")
    draft.replace(copy)
