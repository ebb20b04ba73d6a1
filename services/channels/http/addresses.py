"""Which addresses callbacks may reach: the public ones, and those the operator allowed.

Own lists instead of `ipaddress.is_global`, whose answers differ between Python versions.
Source: https://www.iana.org/assignments/iana-ipv4-special-registry and its IPv6 sibling.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from functools import lru_cache

from services.channels.http.targets import Address, BadTarget, Target
from services.variables import Destination

NOT_ALLOWED = "address_refused"

# Nobody's unicast address: these name this host, everybody, or nobody. No allowance opens them.
_NEVER = [
    ipaddress.ip_network(each) for each in ("0.0.0.0/8", "224.0.0.0/4", "240.0.0.0/4", "::/128", "ff00::/8")
]
_NOT_PUBLIC_V4 = [
    ipaddress.IPv4Network(each)
    for each in (
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "168.63.129.16/32",  # a cloud's metadata, on an address that looks public
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
    )
]
_PUBLIC_V6 = ipaddress.IPv6Network("2000::/3")
# Documentation, and the tunnels (Teredo, ORCHID, 6to4) that lead to an IPv4 address of their own choice.
_NOT_PUBLIC_V6 = [
    ipaddress.IPv6Network(each) for each in ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")
]
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_LOOPBACK = ipaddress.IPv4Address("127.0.0.1")


class Addresses:
    """The rule of one installation; `allowed` are host names and networks besides the public ones."""

    def __init__(self, allowed: Sequence[Destination] = ()) -> None:
        self._hosts = frozenset(each for each in allowed if isinstance(each, str))
        self._networks = tuple(each for each in allowed if not isinstance(each, str))
        # The rule never changes, and most letters go to few places.
        self._judged = lru_cache(maxsize=1024)(self._judge)

    def may_reach(self, host: str, address: Address) -> bool:
        """Whether `address`, which `host` is or stands for, may be connected to.

        An allowed name may stand for any address of one machine: who allowed it trusts its DNS.
        """
        return self._judged(host, address)

    def _judge(self, host: str, address: Address) -> bool:
        meant = _meant(address)
        if any(_holds(network, each) for network in _NEVER for each in (address, meant)):
            return False
        if host in self._hosts:
            return True
        return _is_public(meant) or any(
            _holds(network, each) for network in self._networks for each in (address, meant)
        )

    def check_literal(self, target: Target) -> None:
        """Refuse what can be refused without asking DNS: addresses, and this machine's own name.

        Raises: BadTarget.
        """
        address = target.address
        if target.host == "localhost" or target.host.endswith(".localhost"):
            address = _LOOPBACK
        if address is not None and not self.may_reach(target.host, address):
            raise BadTarget(NOT_ALLOWED, "must be an address on the public internet, or one that is allowed")


def _meant(address: Address) -> Address:
    """The address a packet really goes to: IPv4 inside IPv6 is IPv4."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address in _NAT64:
            return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def _is_public(address: Address) -> bool:
    if isinstance(address, ipaddress.IPv4Address):
        return not any(address in network for network in _NOT_PUBLIC_V4)
    return address in _PUBLIC_V6 and not any(address in network for network in _NOT_PUBLIC_V6)


def _holds(network: ipaddress.IPv4Network | ipaddress.IPv6Network, address: Address) -> bool:
    return address.version == network.version and address in network
