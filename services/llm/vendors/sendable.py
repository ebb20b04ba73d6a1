"""What of a history has to be changed before a vendor takes it back: it may stem from another vendor.

Both vendors refuse names and ids with other than these letters, and arguments that are no JSON object.
"""

from __future__ import annotations

import hashlib
import re

import msgspec

_ID_LENGTH = 40
_NAME_LENGTH = 64
_SENDABLE = re.compile(r"[A-Za-z0-9_-]+")
_NOT_SENDABLE = re.compile(r"[^A-Za-z0-9_-]")


def sendable_id(id: str) -> str:
    """The id of a tool call: itself, or a short one that always stands for it."""
    if len(id) <= _ID_LENGTH and _SENDABLE.fullmatch(id):
        return id
    return f"call_{hashlib.blake2s(id.encode(), digest_size=12).hexdigest()}"


def sendable_name(name: str) -> str:
    """The name of a tool that a model called, which need not exist."""
    return _NOT_SENDABLE.sub("_", name)[:_NAME_LENGTH] or "unknown"


def object_of(arguments: str) -> dict[str, object]:
    """The arguments of a call. What a model wrote wrongly is shown to it as `invalid_arguments`."""
    if not arguments.strip():
        return {}
    try:
        return msgspec.json.decode(arguments, type=dict[str, object])
    except (msgspec.DecodeError, RecursionError):
        return {"invalid_arguments": arguments}


def is_object(arguments: str) -> bool:
    """Whether the arguments of a call are whole."""
    try:
        msgspec.json.decode(arguments, type=dict[str, msgspec.Raw])
    except (msgspec.DecodeError, RecursionError):
        return False
    return True
