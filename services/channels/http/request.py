"""The bytes of one request, head and body together: what leaves in one piece arrives in one."""

from __future__ import annotations

import re
from collections.abc import Mapping

from services.channels.http.targets import Target

# What would end a line, or what no header of ours has.
_unsafe = re.compile(r"[^\x20-\x7e]")


class UnsafeHeader(ValueError):
    """A header that could be read as something else. Says no more: its value may be a secret."""


def request_of(target: Target, headers: Mapping[str, str], body: bytes) -> bytes:
    """The request that posts `body` to `target`. Raises: UnsafeHeader."""
    lines = [
        f"POST {target.path} HTTP/1.1",
        f"host: {target.authority}",
        f"content-length: {len(body)}",
        *[f"{name}: {value}" for name, value in headers.items()],
    ]
    if _unsafe.search("".join(lines)):
        raise UnsafeHeader
    return "\r\n".join([*lines, "\r\n"]).encode("ascii") + body
