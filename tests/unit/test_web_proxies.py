"""Forwarded headers count only from configured peers."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from ipaddress import ip_network
from typing import TYPE_CHECKING

import pytest

from web.proxies import TrustedProxies

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment


def _seen_by_app(peer: str) -> tuple[str, str]:
    seen: list[tuple[str, str]] = []

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        seen.append((environ["REMOTE_ADDR"], environ["wsgi.url_scheme"]))
        return [b""]

    environ = {
        "REMOTE_ADDR": peer,
        "wsgi.url_scheme": "http",
        "HTTP_X_FORWARDED_FOR": "203.0.113.9",
        "HTTP_X_FORWARDED_PROTO": "https",
    }
    TrustedProxies(app, [ip_network("10.0.0.0/8"), ip_network("fd00::/8")])(environ, _start)
    return seen[0]


def _start(status: str, headers: list[tuple[str, str]], error: object = None, /) -> Callable[[bytes], object]:
    raise AssertionError("the application under test starts no response")


@pytest.mark.parametrize("peer", ["10.1.2.3", "fd00::1"])
def test_a_configured_proxy_says_who_the_caller_is(peer: str) -> None:
    assert _seen_by_app(peer) == ("203.0.113.9", "https")


@pytest.mark.parametrize("peer", ["192.0.2.1", "fe80::1", "", "unix:"])
def test_anybody_else_is_taken_for_what_the_connection_says(peer: str) -> None:
    assert _seen_by_app(peer) == (peer, "http")
