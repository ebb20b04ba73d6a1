"""Small records that other processes read, replaced atomically; among them `<home>/run/roles.json`."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import msgspec

from services.diagnosis.roles import Roles, RoleState, SupervisorRecord, roles_path


def write_roles(home: Path, *, supervisor: SupervisorRecord, roles: Mapping[str, RoleState]) -> None:
    """Replace the record of what runs on `home`."""
    write_record(roles_path(home), Roles(supervisor=supervisor, roles=dict(roles)))


def write_record(path: Path, record: object) -> None:
    """Replace `path` by the JSON of `record`, readable by its owner only. Readers see the old or the new.

    Not synced to disk: it describes processes, which a power loss ends as well.
    """
    descriptor, draft = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(msgspec.json.encode(record) + b"\n")
        os.replace(draft, path)
    except OSError:
        with suppress(OSError):
            os.unlink(draft)
        raise
