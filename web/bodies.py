"""Reading requests: bytes and query strings become values once, here, or are refused by name."""

from __future__ import annotations

import re
from typing import TypeVar

import msgspec
from flask import Response, request
from werkzeug.exceptions import ClientDisconnected, RequestEntityTooLarge

from services.errors import Invalid
from web.answers import Document
from web.connections import has_body, reading_body
from web.here import this_request
from web.problems import Failure

T = TypeVar("T", bound=msgspec.Struct)

_UNKNOWN = re.compile(r"unknown field `(.+?)`")
_MISSING = re.compile(r"missing required field `(.+?)`")
_PATH = re.compile(r" - at `\$\.?(.*?)`$")
_KEY = re.compile(r"[\x21-\x7e]{1,200}")
_WAIT = re.compile(r"\s*wait\s*=\s*\"?(\d{1,6})\"?\s*", re.IGNORECASE)


def read_body(shape: type[T], *, optional: bool = False) -> T:
    """Parse the JSON body as `shape`; an absent `optional` one is `shape()`.

    Raises: Failure (encoding, media type, malformed), Invalid (a value, by its path), 413.
    """
    encoding = this_request().headers.get("Content-Encoding", "identity").strip().lower()
    if encoding not in ("", "identity"):
        raise Failure("unsupported-encoding")
    if optional and not has_body():
        return shape()
    if this_request().mimetype != "application/json":
        raise Failure("unsupported-media-type")
    raw = _read()
    if optional and not raw:
        return shape()
    try:
        return msgspec.json.decode(raw, type=shape)
    except msgspec.ValidationError as error:
        raise _invalid(str(error)) from None
    except UnicodeError:
        raise Failure("malformed", "The body is not UTF-8") from None
    except RecursionError:
        raise Failure("malformed", "The body is nested too deeply") from None
    except msgspec.DecodeError as error:
        raise Failure("malformed", str(error)) from None


def read_raw(most: int) -> bytes:
    """The body as it was sent, of at most `most` bytes. Raises: Failure (encoding), 413."""
    encoding = this_request().headers.get("Content-Encoding", "identity").strip().lower()
    if encoding not in ("", "identity"):
        raise Failure("unsupported-encoding")
    if (request.content_length or 0) > most:
        raise RequestEntityTooLarge
    request.max_content_length = most
    return _read()


def read_query(shape: type[T]) -> T:
    """Parse the query string as `shape`. A tuple field takes repeats and comma lists. Raises: Invalid."""
    lists = {each.encode_name for each in msgspec.structs.fields(shape) if each.default == ()}
    values: dict[str, str | list[str]] = {}
    for name in request.args:
        given = request.args.getlist(name)
        if name in lists:
            values[name] = [part for each in given for part in each.split(",")]
        elif len(given) > 1:
            raise Invalid(name, "is given more than once")
        else:
            values[name] = given[0]
    try:
        return msgspec.convert(values, shape, strict=False)
    except msgspec.ValidationError as error:
        raise _invalid(str(error)) from None


def read_key() -> str | None:
    """The Idempotency-Key header, if there is one. Raises: Invalid."""
    key = this_request().headers.get("Idempotency-Key")
    if key is not None and not _KEY.fullmatch(key):
        raise Invalid("Idempotency-Key", "must be 1 to 200 visible ASCII characters")
    return key


def read_wait_s(most: float) -> float:
    """The seconds of `Prefer: wait=<s>` (RFC 7240), at most `most`; 0 when nobody asks to wait."""
    for part in this_request().headers.get("Prefer", "").split(","):
        if found := _WAIT.fullmatch(part.split(";")[0]):
            return min(float(found.group(1)), most)
    return 0.0


def reply(body: msgspec.Struct, status: int = 200) -> Response:
    """`body` as a JSON response."""
    return Document(msgspec.json.encode(body), status, mimetype="application/json")


def _read() -> bytes:
    here = this_request()
    length = here.content_length
    with reading_body():
        if length is None:
            return _read_unannounced()
        return _read_announced(length)


def _read_announced(length: int) -> bytes:
    try:
        raw: bytes = request.environ["wsgi.input"].read(length)
    except (OSError, ValueError):
        raise ClientDisconnected from None
    if len(raw) < length:
        raise ClientDisconnected
    return raw


def _read_unannounced() -> bytes:
    raw = request.get_data(cache=False)
    # Where the length is not announced, werkzeug cuts the body off at the limit without a word.
    if len(raw) >= (request.max_content_length or len(raw) + 1):
        raise RequestEntityTooLarge
    return raw


def _invalid(message: str) -> Invalid:
    path = _PATH.search(message)
    field = path.group(1) if path else ""
    reason = _PATH.sub("", message)
    for pattern, reason_of_one in ((_UNKNOWN, "unknown field"), (_MISSING, "is required")):
        if found := pattern.search(message):
            name = found.group(1)
            return Invalid(f"{field}.{name}" if field else name, reason_of_one)
    return Invalid(field or "request", reason)
