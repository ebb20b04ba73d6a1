"""A request to GitHub's API as a value, and where answers lead on to: the next page, a renamed repository.

No answer leads to another host: it would get our token.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import parse_qsl, quote, urlencode, urljoin, urlsplit

import msgspec

_next = re.compile(r"<([^<>]{1,2048})>\s*;[^,]*\brel=\"?next\"?", re.ASCII)


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """`path` is below the API's address and begins with a slash."""

    method: str = "GET"
    path: str
    query: tuple[tuple[str, str], ...] = ()
    body: bytes | None = None

    @property
    def is_write(self) -> bool:
        """Whether it changes something."""
        return self.method != "GET"

    @property
    def target(self) -> str:
        """Path and query as they are sent."""
        return f"{self.path}?{urlencode(self.query)}" if self.query else self.path


def path_of(parts: Iterable[object]) -> str:
    """A path of `parts`, each one step whatever is in it."""
    return "".join("/" + quote(str(part), safe="") for part in parts)


def next_page(ask: Ask, link: str, *, base: str) -> Ask | None:
    """The request for the page after the one that `ask` got, by its header `Link`; None at the end."""
    found = _next.search(link[:8192])
    return None if found is None else redirected(ask, found[1], base=base)


def redirected(ask: Ask, location: str, *, base: str) -> Ask | None:
    """`ask` at `location`; None when that is not below `base`."""
    if not location:
        return None
    home = urlsplit(base)
    try:
        url = urlsplit(urljoin(base + ask.target, location))
        same = (url.scheme, url.hostname, url.port) == (home.scheme, home.hostname, home.port)
    except ValueError:
        return None
    if not same or url.username is not None or not url.path.startswith(home.path + "/"):
        return None
    query = tuple(parse_qsl(url.query, keep_blank_values=True))
    return msgspec.structs.replace(ask, path=url.path.removeprefix(home.path), query=query)
