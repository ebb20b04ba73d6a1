"""Structured logs on stderr, ours and the libraries', with levels that change while a process runs.

A line holds ids, kinds and counts. What people wrote and what must stay secret is dropped by name;
an error shows its type and place, and its words only where Turnwright chose them.
"""

from __future__ import annotations

import logging
import re
import sys
import threading
from collections.abc import Mapping, MutableMapping
from types import TracebackType
from typing import Any

import structlog

from services.errors import Invalid
from services.log_lines import Line, as_console, as_json, describe_error, redacted
from services.settings import LOG_LEVELS, LogFormat, LogLevel, Settings
from services.telemetry.context import current, session

_ROOT = "turnwright"
# Says of every export that fails what `telemetry` says once a minute, with the address.
_MUTE = "opentelemetry."
_NUMBERS: Mapping[LogLevel, int] = dict(
    zip(LOG_LEVELS, (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR, logging.FATAL), strict=True)
)
_COMPONENT = re.compile(r"[a-z][a-z0-9_]{0,31}(\.[a-z][a-z0-9_]{0,31}){0,3}")
_MESSAGE_LIMIT = 500
_PLACEHOLDER = re.compile(r"%(?:\((\w+)\))?[#0 +-]*[\d*]*(?:\.[\d*]+)?[a-zA-Z]")


def configure_logging(settings: Settings, component: str) -> None:
    """Send all logging of this process to stderr; `component` is its role (web, worker, …).

    Repeatable: takes the place of whatever a framework set up. Libraries log warnings and worse, with
    `debug` also their infos, never their debug lines: those hold bodies. A crash that nobody handled
    becomes a fatal line.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(lambda record: not record.name.startswith(_MUTE))
    handler.setFormatter(_LineFormatter(settings.log_format, role=component))
    for name in list(logging.root.manager.loggerDict):
        known = logging.getLogger(name)
        known.handlers.clear()
        known.propagate = True
    logging.root.handlers[:] = [handler]
    logging.raiseExceptions = False
    set_level(None, settings.log_level)
    sys.excepthook = _on_crash
    threading.excepthook = _on_thread_crash


def get_logger(component: str) -> structlog.stdlib.BoundLogger:
    """The logger of `component`; usable at import time. An event is a short fixed text, facts are keys."""
    logger: structlog.stdlib.BoundLogger = structlog.wrap_logger(
        logging.getLogger(f"{_ROOT}.{component}"),
        processors=_CHAIN,
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    return logger


def set_level(component: str | None, level: LogLevel) -> None:
    """Log from `level` on in `component` and what is below it; `None`: everywhere, forgetting exceptions.

    Raises: Invalid, for a component that is no name or an unknown level.
    """
    if level not in _NUMBERS:
        raise Invalid("level", f"must be one of {', '.join(LOG_LEVELS)}")
    if component is not None:
        if not _COMPONENT.fullmatch(component):
            raise Invalid("component", "must be a name like jobs or streams.store")
        logging.getLogger(f"{_ROOT}.{component}").setLevel(_NUMBERS[level])
        return
    for name in list(logging.root.manager.loggerDict):
        logging.getLogger(name).setLevel(logging.NOTSET)
    logging.getLogger(_ROOT).setLevel(_NUMBERS[level])
    logging.root.setLevel(logging.INFO if level == "debug" else max(_NUMBERS[level], logging.WARNING))


class _LineFormatter(logging.Formatter):
    """Writes our records and those of libraries as the same kind of line."""

    def __init__(self, log_format: LogFormat, role: str) -> None:
        super().__init__()
        self._write = as_json if log_format == "json" else as_console
        self._role = role

    def format(self, record: logging.LogRecord) -> str:
        try:
            return self._write(self._line_of(record), record.created)
        except Exception:  # a process edge: a log line must never break what it tells about
            lost: Line = {"level": "error", "component": "logs", "event": "a log line could not be written"}
            return self._write(lost, record.created)

    def _line_of(self, record: logging.LogRecord) -> Line:
        line: Line = {
            "level": _level_name(record.levelno),
            "component": record.name.removeprefix(f"{_ROOT}."),
            "role": self._role,
        }
        if isinstance(record.msg, dict) and record.name.startswith(f"{_ROOT}."):
            return {**line, "event": "", **record.msg, **line}
        line["event"] = _without_texts(record)
        _place(line)
        error = record.exc_info[1] if record.exc_info else None
        return {**line, **describe_error(error)} if error else line


def _level_name(number: int) -> LogLevel:
    return next((level for level in reversed(LOG_LEVELS) if number >= _NUMBERS[level]), "debug")


def _described(_logger: object, _method: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    line.pop("positional_args", None)
    error = line.pop("exc_info", None)
    if isinstance(error, tuple):
        error = error[1]
    elif error and not isinstance(error, BaseException):
        error = sys.exc_info()[1]
    if error:
        line.update(describe_error(error))
    return line


def _placed(_logger: object, _method: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    _place(line)
    return line


def _place(line: MutableMapping[str, Any]) -> None:
    """Whose work a line is about: the trace, and the session where there is one."""
    trace = current()
    if trace is not None:
        line.setdefault("trace_id", trace.trace_id)
        line.setdefault("span_id", trace.span_id)
    if own := session():
        line.setdefault("session", own)


def _redacted(_logger: object, _method: str, line: MutableMapping[str, Any]) -> tuple[tuple[Line], Line]:
    """Last: what leaves here is what is written. Reads like a call of the standard logger."""
    try:
        return (redacted(line),), {}
    except Exception:  # a process edge: a log line must never break what it tells about
        return ({"event": "a log line could not be made safe"},), {}


_CHAIN = (
    structlog.stdlib.filter_by_level,
    structlog.contextvars.merge_contextvars,
    _placed,
    _described,
    _redacted,
)


def _on_crash(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
    else:
        get_logger("crash").fatal("nobody handled an error", exc_info=error)


def _on_thread_crash(crash: threading.ExceptHookArgs) -> None:
    if not issubclass(crash.exc_type, SystemExit):
        thread = crash.thread.name if crash.thread else ""
        get_logger("crash").fatal("nobody handled an error", thread=thread, exc_info=crash.exc_value)


def _without_texts(record: logging.LogRecord) -> str:
    """A library's message with its numbers; its texts may hold anything and are left out."""
    if not isinstance(record.msg, str):
        return f"<{type(record.msg).__name__}>"
    given = iter(record.args if isinstance(record.args, tuple) else ())
    named = record.args if isinstance(record.args, Mapping) else {}

    def fill(place: re.Match[str]) -> str:
        value = named.get(place[1]) if place[1] else next(given, None)
        return str(value) if isinstance(value, int | float) else "…"

    message = _PLACEHOLDER.sub(fill, record.msg.replace("%%", "\0")) if record.args else record.msg
    said = str(record.exc_info[1]) if record.exc_info else ""
    return (message.replace(said, "…") if said else message).replace("\0", "%")[:_MESSAGE_LIMIT]
