"""Callback URLs: one plain spelling is understood, everything that could be read in two ways is refused."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.channels.http.addresses import Addresses
from services.channels.http.targets import URL_LIMIT, BadTarget, Target, shown, target_of

HOSTILE = {
    "no scheme": "example.org/hook",
    "other scheme": "ftp://example.org/hook",
    "file": "file:///etc/passwd",
    "gopher": "gopher://127.0.0.1:6379/_INFO",
    "scheme only": "http://",
    "no slashes": "http:example.org",
    "three slashes": "http:///example.org/",
    "nothing": "",
    "userinfo": "http://user:pw@example.org/",
    "empty userinfo": "http://@example.org/",
    "host in userinfo": "http://example.org:80@127.0.0.1/",
    "at sign hidden by an encoding": "http://example.org%40127.0.0.1/",
    "fragment": "http://example.org/#x",
    "fragment that hides a host": "http://example.org#@127.0.0.1/",
    "backslash": "http://example.org\\@127.0.0.1/",
    "backslash in the path": "http://example.org/\\127.0.0.1",
    "space": "http://example.org/a b",
    "tab": "http://exam\tple.org/",
    "new line": "http://example.org/\r\nHost: 127.0.0.1",
    "zero byte": "http://example.org/\x00",
    "leading space": " http://example.org/",
    "decimal address": "http://2130706433/",
    "octal address": "http://0177.0.0.1/",
    "octal without dots": "http://017700000001/",
    "hexadecimal address": "http://0x7f000001/",
    "hexadecimal parts": "http://0x7f.0.0.1/",
    "hexadecimal last part": "http://127.0.0.0x1/",
    "short address": "http://127.1/",
    "shorter address": "http://10.1/",
    "zero": "http://0/",
    "leading zeros": "http://127.000.000.001/",
    "five parts": "http://127.0.0.1.1/",
    "address with a trailing dot": "http://127.0.0.1./",
    "name with a trailing dot": "http://example.org./",
    "two dots": "http://example..org/",
    "leading dot": "http://.example.org/",
    "fullwidth digits": "http://１２７.0.0.1/",
    "circled letters": "http://ⓔxample.org/",
    "ideographic full stop": "http://127。0。0。1/",
    "umlaut": "http://bücher.example/",
    "encoded dot": "http://127%2e0%2e0%2e1/",
    "encoded host": "http://%31%32%37.0.0.1/",
    "zone": "http://[fe80::1%25eth0]/",
    "plain zone": "http://[fe80::1%eth0]/",
    "unclosed bracket": "http://[::1/",
    "name in brackets": "http://[example.org]/",
    "IPv4 in brackets": "http://[127.0.0.1]/",
    "empty brackets": "http://[]/",
    "IPv6 without brackets": "http://::1/",
    "future address": "http://[v1.x]/",
    "port of mail": "http://example.org:25/",
    "port of ssh": "http://example.org:22/",
    "port zero": "http://example.org:0/",
    "port too high": "http://example.org:65536/",
    "port with a sign": "http://example.org:+80/",
    "port with zeros": "http://example.org:0080/",
    "empty port": "http://example.org:/",
    "two ports": "http://example.org:80:80/",
    "long label": f"http://{'a' * 64}.org/",
    "long name": f"http://{'a.' * 127}org/",
    "too long": "http://example.org/" + "a" * URL_LIMIT,
}

FORBIDDEN = (
    *("http://127.0.0.1/", "https://127.8.9.10:8443/", "http://0.0.0.0/", "http://10.0.0.1/"),
    *("http://172.16.0.1/", "http://172.31.255.255/", "http://192.168.1.1/", "http://100.64.0.1/"),
    *("http://100.100.100.200/", "http://169.254.169.254/latest/meta-data/", "http://168.63.129.16/"),
    *("http://192.0.0.192/", "http://192.0.2.1/", "http://198.51.100.7/", "http://203.0.113.9/"),
    *("http://198.18.0.1/", "http://192.88.99.1/", "http://224.0.0.1/", "http://255.255.255.255/"),
    *("http://240.0.0.1/", "http://localhost/", "http://LOCALHOST:8080/", "http://x.localhost/"),
    *("http://[::]/", "http://[::1]/", "http://[0:0:0:0:0:0:0:1]/", "http://[::ffff:127.0.0.1]/"),
    *("http://[::ffff:7f00:1]/", "http://[::ffff:a9fe:a9fe]/", "http://[::127.0.0.1]/"),
    *("http://[64:ff9b::127.0.0.1]/", "http://[64:ff9b::a9fe:a9fe]/", "http://[64:ff9b:1::10.0.0.1]/"),
    *(
        "http://[2002:7f00:1::]/",
        "http://[2002:808:808::]/",
        "http://[2001:0:4136:e378:8000:63bf:3fff:fdd2]/",
    ),
    *("http://[fe80::1]/", "http://[fec0::1]/", "http://[fc00::1]/", "http://[fd00:ec2::254]/"),
    *("http://[ff02::1]/", "http://[2001:db8::1]/", "http://[3fff::1]/", "http://[100::1]/"),
    *("http://[5f00::1]/", "http://[4000::1]/"),
)

PUBLIC = (
    "http://8.8.8.8/",
    "https://[2606:4700::1111]/",
    "http://[::ffff:8.8.8.8]/",
    "http://[64:ff9b::808:808]/",
)


@pytest.mark.parametrize("url", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_url_that_is_not_plain_is_refused(url: str) -> None:
    with pytest.raises(BadTarget) as caught:
        target_of(url)

    assert caught.value.code.replace("_", "").isalpha()
    assert caught.value.reason.startswith("must ")


@pytest.mark.parametrize("url", FORBIDDEN)
def test_an_address_that_is_not_public_is_refused_at_once(url: str) -> None:
    with pytest.raises(BadTarget) as caught:
        Addresses().check_literal(target_of(url))

    assert caught.value.code == "address_refused"


@pytest.mark.parametrize("url", PUBLIC)
def test_a_public_address_passes(url: str) -> None:
    Addresses().check_literal(target_of(url))


def test_names_pass_until_somebody_resolves_them() -> None:
    Addresses().check_literal(target_of("https://hooks.example.org/x"))


def test_a_url_is_taken_apart() -> None:
    assert target_of("HTTPS://Hooks.Example.ORG:8443?a=1&b=%2F") == Target(
        scheme="https", host="hooks.example.org", port=8443, path="/?a=1&b=%2F"
    )


@pytest.mark.parametrize(
    ("url", "authority"),
    [
        ("http://example.org:80/", "example.org"),
        ("https://example.org:443/", "example.org"),
        ("https://example.org:80/", "example.org:80"),
        ("http://[2606:4700::1111]:8080/", "[2606:4700::1111]:8080"),
    ],
)
def test_the_host_header_names_a_port_only_where_it_is_not_the_usual_one(url: str, authority: str) -> None:
    assert target_of(url).authority == authority


@pytest.mark.parametrize(
    ("allowed", "url"),
    [
        ("127.0.0.0/8", "http://127.0.0.1:9000/"),
        ("127.0.0.1", "http://localhost:9000/"),
        ("10.0.0.0/8", "http://[::ffff:10.1.2.3]/"),
        ("10.0.0.0/8", "http://[64:ff9b::10.1.2.3]/"),
        ("::1", "http://[::1]/"),
        ("fd00::/8", "http://[fd00::5]/"),
        ("64:ff9b:1::/48", "http://[64:ff9b:1::10.0.0.1]/"),
    ],
)
def test_what_the_operator_allowed_passes(allowed: str, url: str) -> None:
    Addresses([ipaddress.ip_network(allowed)]).check_literal(target_of(url))


@pytest.mark.parametrize("url", ["http://0.0.0.0/", "http://[::]/", "http://224.0.0.1/", "http://[ff02::1]/"])
def test_no_allowance_opens_what_is_nobodys_address(url: str) -> None:
    everything = Addresses([ipaddress.ip_network("0.0.0.0/0"), ipaddress.ip_network("::/0")])

    with pytest.raises(BadTarget):
        everything.check_literal(target_of(url))


def test_a_url_is_shown_without_what_may_be_secret_in_it() -> None:
    assert shown("https://hooks.example.org:8443/T0/B1/secret?token=x") == "https://hooks.example.org:8443/…"
    assert shown("https://user:secret@example.org/") == "…"


@given(st.text(max_size=60))
def test_any_text_is_a_target_or_is_refused(text: str) -> None:
    try:
        target = target_of(f"http://{text}")
    except BadTarget:
        return
    assert target.path.startswith("/")
    assert (target.host + target.path).isascii()
    assert target_of(f"{target.scheme}://{target.authority}{target.path}") == target
