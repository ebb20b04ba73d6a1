"""Every failure as `application/problem+json` (RFC 9457) with a stable `type`; never a traceback.

What is unexpected is answered with 500 and no detail, and logged by kind and place only.
"""

from __future__ import annotations

import math
import traceback
from pathlib import Path

import msgspec
from flask import Flask, Response
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from services import errors
from services.inbound.capture import SourceOff
from services.logs import get_logger
from web.answers import Document

_log = get_logger("web")

TYPE_PREFIX = "urn:turnwright:problem:"

KINDS: dict[str, tuple[int, str]] = {
    "malformed": (400, "The request can not be read"),
    "unauthorized": (401, "A known token is needed"),
    "bad-signature": (401, "The signature is missing, wrong or too old"),
    "not-found": (404, "It does not exist"),
    "method-not-allowed": (405, "The path has no such method"),
    "key-reused": (409, "The idempotency key was used with other content"),
    "session-paused": (409, "The session is paused"),
    "not-pending": (409, "The input can no longer be changed"),
    "state": (409, "Its state does not allow that"),
    "conflict": (409, "Somebody was faster"),
    "too-large": (413, "The request is too large"),
    "unsupported-media-type": (415, "The body must be application/json"),
    "unsupported-encoding": (415, "The body must not be encoded"),
    "invalid": (422, "A value is invalid"),
    "defect": (500, "Something is broken here"),
    "source-off": (503, "Not set up here"),
    "unavailable": (503, "Not available now"),
    "overloaded": (503, "Too much at once"),
}

_BY_STATUS = {400: "malformed", 401: "unauthorized", 404: "not-found", 405: "method-not-allowed"} | {
    413: "too-large",
    415: "unsupported-media-type",
}


class Problem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The body of a failure. `field` names the value that is wrong, as a path into the request.

    `reason` is a code for programs, where one kind of failure has several.
    """

    type: str
    title: str
    status: int
    detail: str = ""
    field: str | None = None
    reason: str = ""


class Failure(Exception):
    """What a view raises to end with a problem of `kind`, one of `KINDS`."""

    def __init__(
        self, kind: str, detail: str = "", *, reason: str = "", headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(kind)
        self.kind = kind
        self.detail = detail
        self.reason = reason
        self.headers = headers or {}


def problem(kind: str, detail: str = "", field: str | None = None, *, reason: str = "") -> Problem:
    """The body for one of `KINDS`."""
    status, title = KINDS[kind]
    return Problem(
        type=TYPE_PREFIX + kind, title=title, status=status, detail=detail, field=field, reason=reason
    )


def answer(body: Problem, headers: dict[str, str] | None = None) -> Response:
    """`body` as a response."""
    response = Document(msgspec.json.encode(body), body.status, mimetype="application/problem+json")
    response.headers.update(headers or {})
    return response


def register(app: Flask) -> None:
    """Let every exception of `app` end as a problem."""
    app.register_error_handler(Exception, _answer_exception)


def _answer_exception(error: Exception) -> Response:
    match error:
        case Failure():
            return answer(problem(error.kind, error.detail, reason=error.reason), error.headers)
        case errors.Refused():
            return answer(_refused(error))
        case errors.Conflict():
            return answer(problem("conflict", error.reason))
        case errors.Overloaded():
            retry = {"Retry-After": str(math.ceil(error.retry_after_s))}
            return answer(problem("overloaded", error.reason), retry)
        case SourceOff():
            return answer(problem("source-off", str(error)), {"Retry-After": "60"})
        case errors.StoreAway():
            return answer(problem("unavailable", str(error), reason=error.reason), {"Retry-After": "1"})
        case errors.Unavailable():
            return answer(problem("unavailable"), {"Retry-After": "1"})
        case HTTPException() if error.code is not None and error.code < 500:
            return _answer_http(error, error.code)
        case _:
            _report(error)
            return answer(problem("defect"))


def _refused(error: errors.Refused) -> Problem:
    match error:
        case errors.Invalid():
            return problem("invalid", error.reason, error.field)
        case errors.NotFound():
            return problem("not-found", str(error))
        case errors.Forged():
            return problem("bad-signature", str(error))
        case errors.Unauthorized():
            return problem("unauthorized")
        case errors.KeyReused():
            return problem("key-reused")
        case errors.StreamPaused():
            return problem("session-paused", error.reason)
        case errors.NotPending():
            return problem("not-pending")
        case errors.TooLarge():
            return problem("too-large", str(error))
        case _:
            return problem("state", str(error))


def _answer_http(error: HTTPException, status: int) -> Response:
    headers = {}
    if isinstance(error, MethodNotAllowed) and error.valid_methods:
        headers["Allow"] = ", ".join(sorted(error.valid_methods))
    return answer(problem(_BY_STATUS.get(status, "malformed")), headers)


def _report(error: Exception) -> None:
    frames = traceback.extract_tb(error.__traceback__)
    place = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    _log.error("request failed", kind=type(error).__name__, place=place)
