"""Where a callback goes: its URL taken apart, in the one spelling that nobody can read in two ways.

Pure: resolves no name. What it returns is handed on in parts, so no second parser sees the text.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Literal

import msgspec

URL_LIMIT = 2048
# Everything else below 1024 belongs to protocols that a POST might be taken for, such as mail.
LOW_PORTS = frozenset({80, 443})
HIGH_PORT = 1024

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

# No backslash: some readers take it for a slash, and then see another host.
_url = re.compile(r"(https?)://([^/?]*)((?:[/?][\x21-\x5b\x5d-\x7e]*)?)", re.IGNORECASE)
_authority = re.compile(r"(?:\[([^\]]*)\]|([^:\[\]]*))(?::([1-9][0-9]{0,4}))?")
_name = re.compile(
    r"(?=.{1,253}\Z)[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*"
)
_number = re.compile(r"[0-9]+|0x[0-9a-f]*")


class BadTarget(ValueError):
    """A URL that callbacks may not use. `code` is safe to log; `reason` says what would be right.

    Neither repeats anything of the URL: it may hold a secret.
    """

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """One address on the web. `host` is a lower-case name, or an IP address without brackets.

    `path` includes the query.
    """

    scheme: Literal["http", "https"]
    host: str
    port: int
    path: str

    @property
    def authority(self) -> str:
        """What belongs into the Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        is_default = self.port == (443 if self.scheme == "https" else 80)
        return host if is_default else f"{host}:{self.port}"

    @property
    def address(self) -> Address | None:
        """The host as an IP address; None for a name."""
        try:
            return ipaddress.ip_address(self.host)
        except ValueError:
            return None


def target_of(url: str) -> Target:
    """Take `url` apart. Raises: BadTarget, for everything that is not plainly an http or https URL."""
    if len(url) > URL_LIMIT:
        raise BadTarget("url_too_long", f"must have at most {URL_LIMIT} characters")
    if "#" in url:
        raise BadTarget("url_fragment", "must hold no fragment (#)")
    found = _url.fullmatch(url)
    if found is None:
        raise BadTarget("url_malformed", "must be an http:// or https:// URL in plain ASCII")
    scheme: Literal["http", "https"] = "https" if found.group(1).lower() == "https" else "http"
    if "@" in found.group(2):
        raise BadTarget("url_userinfo", "must hold no user or password (@)")
    host, port = _place(found.group(2), 443 if scheme == "https" else 80)
    path = found.group(3)
    return Target(scheme=scheme, host=host, port=port, path=path if path.startswith("/") else f"/{path}")


def shown(url: str) -> str:
    """`url` as other people may see it: no path and no query, for those may be what keeps it secret."""
    try:
        target = target_of(url)
    except BadTarget:
        return "…"
    return f"{target.scheme}://{target.authority}/…"


def _place(authority: str, default_port: int) -> tuple[str, int]:
    found = _authority.fullmatch(authority)
    if found is None:
        raise BadTarget("url_malformed", "must name a host, and a port only as a plain number")
    bracketed, plain, digits = found.groups()
    port = int(digits) if digits else default_port
    if port not in LOW_PORTS and not HIGH_PORT <= port <= 65535:
        raise BadTarget("port_refused", f"must use port 80, 443, or one from {HIGH_PORT} to 65535")
    return (_ipv6(bracketed) if bracketed is not None else _named(plain)), port


def _ipv6(text: str) -> str:
    try:
        address = ipaddress.IPv6Address(text)
    except ValueError:
        raise BadTarget("host_malformed", "must hold a plain IPv6 address between its brackets") from None
    if address.scope_id is not None:
        raise BadTarget("host_malformed", "must name no network interface (%)")
    return str(address)


def _named(text: str) -> str:
    host = text.lower()
    if not _name.fullmatch(host):
        raise BadTarget("host_malformed", "must name a host in plain ASCII, without a dot at its end")
    if _number.fullmatch(host.rpartition(".")[2]):
        try:
            return str(ipaddress.IPv4Address(host))
        except ValueError:
            reason = "must spell an IPv4 address as four plain numbers"
            raise BadTarget("host_malformed", reason) from None
    return host
