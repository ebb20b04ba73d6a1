"""What the local supervisor last wrote about the processes it runs: `<home>/run/roles.json`.

Only read here; `deploy` writes it. Where nothing is supervised locally there is no such file.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

RoleStatus = Literal["starting", "running", "backoff", "down", "stopped"]


class RoleState(msgspec.Struct, frozen=True, kw_only=True):
    """One role. `down` means given up: it died too often and waits for a person.

    `restarts` counts since the supervisor started, `since_ms` (epoch) is when `state` began. `last_exit`
    is how the process ended last, in words, `reason` a known cause of it (`disk full`); empty when none.
    """

    state: RoleStatus
    pid: int | None = None
    restarts: int = 0
    since_ms: int = 0
    last_exit: str = ""
    reason: str = ""


class SupervisorRecord(msgspec.Struct, frozen=True, kw_only=True):
    """Which process supervises; `started` tells it from a later one with the same pid."""

    pid: int
    started: str


class Roles(msgspec.Struct, frozen=True, kw_only=True):
    """The whole file."""

    supervisor: SupervisorRecord
    roles: dict[str, RoleState]


def roles_path(home: Path) -> Path:
    """Where the supervisor of `home` writes."""
    return home / "run" / "roles.json"


def read_supervised(home: Path) -> Roles | None:
    """What the last supervisor of `home` wrote; None when there never was one, or it is unreadable."""
    try:
        return msgspec.json.decode(roles_path(home).read_bytes(), type=Roles)
    except (OSError, msgspec.MsgspecError):
        return None


def read_roles(home: Path) -> dict[str, RoleState]:
    """The roles of `home` by name; empty when nothing is supervised there."""
    supervised = read_supervised(home)
    return supervised.roles if supervised else {}
