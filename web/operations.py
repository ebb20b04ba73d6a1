"""What a route is, said once beside its view: the OpenAPI document is made from these."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

import msgspec
from flask.typing import ResponseReturnValue

from services.sessions.values import Commanded
from web.requests import Nothing

View = TypeVar("View", bound=Callable[..., ResponseReturnValue])

_ATTRIBUTE = "turnwright_operation"


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """One route for people who call it. `answers` maps a status to its body's shape or media type."""

    summary: str
    answers: Mapping[int, type[msgspec.Struct] | str]
    body: type[msgspec.Struct] | None = None
    is_body_optional: bool = False
    query: type[msgspec.Struct] | None = None
    headers: Mapping[str, str] = {}
    streams: bool = False
    is_signed: bool = False


def command(summary: str, body: type[msgspec.Struct] = Nothing) -> Operation:
    """A route by which a person decides something, answered once that is in the log. Its body may be left out."""
    return Operation(summary=summary, body=body, is_body_optional=True, answers={202: Commanded})


def signed(summary: str) -> Operation:
    """A route for other programs, which sign what they send."""
    return Operation(summary=summary, answers={200: "application/json"}, is_signed=True)


def documented(operation: Operation) -> Callable[[View], View]:
    """Say what the decorated view is."""

    def mark(view: View) -> View:
        setattr(view, _ATTRIBUTE, operation)
        return view

    return mark


def operation_of(view: Callable[..., object]) -> Operation | None:
    """What was said of `view`; None if nothing was."""
    found = getattr(view, _ATTRIBUTE, None)
    return found if isinstance(found, Operation) else None
