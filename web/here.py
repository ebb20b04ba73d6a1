"""The request a view is about, itself: each look through Flask's stand-in for it costs as much as a call."""

from __future__ import annotations

from flask import Request, request


def this_request() -> Request:
    """The request this thread serves. Raises: RuntimeError outside of one."""
    found: Request = request._get_current_object()  # type: ignore[attr-defined]  # how Flask documents it
    return found
