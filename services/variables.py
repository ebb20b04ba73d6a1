"""What the value of an environment variable may be: one parser for each kind.

A parser takes the stripped, not empty text and returns the value, or raises ValueError saying what
would be right. It never repeats the text of something that may hold a secret.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import ipaddress
import re
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar
from urllib.parse import SplitResult, urlsplit

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Destination = str | Network

T = TypeVar("T")
W = TypeVar("W", bound=str)

MODEL_PATTERN = r"offline|[a-z][a-z0-9_-]*:[^\s,]+"

_NAMESPACE = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
_HOST_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9-]{1,63})*")
_SIGNING_PREFIX = "whsec_"
_SIGNING_BYTES = (24, 64)
_STORE_SCHEMES = ("redis", "rediss", "unix")


class Secret:
    """A text that shows itself only to who asks by name. Compares in constant time."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The secret itself. Never log, store or format it."""
        return self._text

    def __repr__(self) -> str:
        return "Secret(***)"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self._text.encode(), other._text.encode())

    def __hash__(self) -> int:
        return hash(self._text)


def secret_of(text: str) -> Secret:
    """A token that fits into an HTTP header."""
    if not (text.isascii() and text.isprintable()) or " " in text:
        raise ValueError("must be printable ASCII without spaces")
    return Secret(text)


def signing_secret_of(text: str) -> Secret:
    """A secret of Standard Webhooks: `whsec_` and 24 to 64 bytes in base64."""
    signing_key(text)
    return Secret(text)


def signing_key(text: str) -> bytes:
    """The bytes of a signing secret. Raises: ValueError, which does not repeat it."""
    least, most = _SIGNING_BYTES
    wrong = ValueError(f"must be {_SIGNING_PREFIX}<base64 of {least} to {most} bytes>")
    try:
        key = base64.b64decode(text.removeprefix(_SIGNING_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        raise wrong from None
    if not text.startswith(_SIGNING_PREFIX) or not least <= len(key) <= most:
        raise wrong
    return key


def flag_of(text: str) -> bool:
    """`1` or `0`."""
    if text not in ("0", "1"):
        raise ValueError(f"must be 1 or 0, not {text!r}")
    return text == "1"


def int_between(low: int, high: int) -> Callable[[str], int]:
    """A parser of whole numbers, both bounds included."""

    def parse(text: str) -> int:
        if not (text.isascii() and text.isdigit() and len(text) <= 9 and low <= int(text) <= high):
            raise ValueError(f"must be a whole number from {low} to {high}, not {text!r}")
        return int(text)

    return parse


def seconds_of(text: str) -> float:
    """A time in seconds, from a hundredth to an hour."""
    if not re.fullmatch(r"\d{1,4}(\.\d{1,3})?", text, re.ASCII) or not 0.01 <= float(text) <= 3600:
        raise ValueError(f"must be a number of seconds from 0.01 to 3600, not {text!r}")
    return float(text)


def one_of(choices: tuple[W, ...]) -> Callable[[str], W]:
    """A parser of a word from a fixed list; upper and lower case are the same."""

    def parse(text: str) -> W:
        for choice in choices:
            if choice == text.lower():
                return choice
        raise ValueError(f"must be one of {', '.join(choices)}, not {text!r}")

    return parse


def list_of(parse_one: Callable[[str], T]) -> Callable[[str], tuple[T, ...]]:
    """A parser of a comma list; spaces around the commas do not matter."""

    def parse(text: str) -> tuple[T, ...]:
        parts = [part.strip() for part in text.split(",")]
        if not all(parts):
            raise ValueError("must be a comma list without empty entries")
        return tuple(parse_one(part) for part in parts)

    return parse


def namespace_of(text: str) -> str:
    """The prefix of keys, queues and markers."""
    if not _NAMESPACE.fullmatch(text):
        raise ValueError("must be 1 to 32 of a-z, 0-9 and -, not starting with -")
    return text


def model_of(text: str) -> str:
    """`offline` or `<provider>:<model>`; whether the provider exists is checked where it is made."""
    if not re.fullmatch(MODEL_PATTERN, text):
        raise ValueError(f"must be offline or <provider>:<model>, not {text!r}")
    return text


def host_of(text: str) -> str:
    """An address or name to listen on, without port and without brackets."""
    if not is_address(text) and not _HOST_NAME.fullmatch(text):
        raise ValueError(f"must be an IP address or a host name, not {text!r}")
    return text


def is_address(text: str) -> bool:
    """Whether `text` is an IP address."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach `host`. Names other than localhost count as reachable."""
    if not is_address(host):
        return host.lower() == "localhost"
    return ipaddress.ip_address(host).is_loopback


def network_of(text: str) -> Network:
    """An address, or a network in the form 10.0.0.0/8."""
    try:
        return ipaddress.ip_network(text)
    except ValueError:
        raise ValueError(f"must be an IP address or a network like 10.0.0.0/8, not {text!r}") from None


def destination_of(text: str) -> Destination:
    """A host name in lower case, or an address or network."""
    try:
        return ipaddress.ip_network(text)
    except ValueError:
        pass
    # What looks like an address and is none must not become a name that never matches.
    if not _HOST_NAME.fullmatch(text) or re.fullmatch(r"[0-9.]+", text):
        wanted = "a host name, an IP address or a network like 10.0.0.0/8"
        raise ValueError(f"must be {wanted}, not {text!r}")
    return text.lower()


def path_of(text: str) -> Path:
    """An absolute path; a relative one starts at the working directory."""
    try:
        path = Path(text).expanduser().absolute()
    except (OSError, RuntimeError):
        raise ValueError("must be a path that can be made absolute") from None
    if not text.isprintable():
        raise ValueError("must be a path of printable characters")
    return path


def existing_folder(text: str) -> Path:
    """The path of a folder that is there."""
    if not (path := path_of(text)).is_dir():
        raise ValueError(f"must be an existing folder, {path} is none")
    return path


def existing_file(text: str) -> Path:
    """The path of a file that is there."""
    if not (path := path_of(text)).is_file():
        raise ValueError(f"must be an existing file, {path} is none")
    return path


def data_folder(text: str) -> Path:
    """The path of a folder that is there or can still be made."""
    if (path := path_of(text)).exists() and not path.is_dir():
        raise ValueError(f"must be a folder, {path} is something else")
    return path


def web_url_of(text: str) -> str:
    """An http or https address without user, query and trailing slash."""
    parts = _split_url(text)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("must be an address like https://host.example.org")
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise ValueError("must hold no user, password, query or fragment")
    return text.rstrip("/")


def store_url_of(text: str) -> str:
    """The address of a Redis-protocol server. It may hold a password: show it `without_password`."""
    parts = _split_url(text)
    if parts.scheme not in _STORE_SCHEMES:
        raise ValueError(f"must start with {', '.join(f'{name}://' for name in _STORE_SCHEMES)}")
    if parts.scheme == "unix" and (parts.netloc.rpartition("@")[2] or not parts.path.strip("/")):
        raise ValueError("must name a socket by its absolute path, like unix:///run/valkey.sock")
    if parts.scheme != "unix" and not parts.hostname:
        raise ValueError(f"must name a host, like {parts.scheme}://127.0.0.1:6379/0")
    if parts.scheme != "unix" and not re.fullmatch(r"(/\d{0,4})?", parts.path):
        raise ValueError("must end with the number of a database, like /0, or with none")
    return text


def without_password(url: str) -> str:
    """`url` as it may be shown: user, password and query are left out."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _split_url(text: str) -> SplitResult:
    try:
        parts = urlsplit(text)
        parts.port  # noqa: B018  # reading it is what checks it
    except ValueError:
        raise ValueError("must be a URL with a valid host and port") from None
    if not text.isprintable() or " " in text:
        raise ValueError("must be a URL without spaces")
    return parts
