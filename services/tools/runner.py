"""Runs one tool call to an outcome, whatever the tool does: raise, hang, return too much."""

from __future__ import annotations

import contextvars
import threading
from dataclasses import dataclass
from typing import Literal

import msgspec

from services.errors import NotFound
from services.tools.contract import Tool, ToolCall, ToolError
from services.tools.registry import Allowed, ToolRegistry

RESULT_LIMIT = 256 * 1024
_WORDS_LIMIT = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolOutcome:
    """How a call ended. `result` is what the model is told; `error` a safe code, empty on success."""

    outcome: Literal["succeeded", "failed", "interrupted"]
    result: str
    error: str = ""


class _Fault(msgspec.Struct, frozen=True, omit_defaults=True):
    error: str
    message: str = ""


def fault(error: str, message: str = "") -> str:
    """The words a model is given for a call without result, as JSON."""
    return msgspec.json.encode(_Fault(error, message)).decode()


class ToolRunner:
    """Runs tools of one registry, each call in a thread of its own. Thread-safe."""

    def __init__(self, registry: ToolRegistry) -> None:
        self._registry = registry
        self._lock = threading.Lock()
        self._stuck = 0

    def stuck_threads(self) -> int:
        """Threads whose call was settled by time limit or cancel and that are still running."""
        return self._stuck

    def run(self, name: str, arguments: str, call: ToolCall, allowed: Allowed = None) -> ToolOutcome:
        """Run one call; never raises for what the model or the tool did.

        `arguments` is the model's JSON text. A `ToolError` tells the model its words, any other exception
        only its type. At the tool's time limit the outcome is `failed: timeout`, on cancel `interrupted`;
        the thread can not be stopped and is left behind, counted until it ends. A result over 256 KB is
        cut, visibly.
        """
        try:
            tool = self._registry.get(name, allowed)
        except NotFound:
            offered = ", ".join(spec.name for spec in self._registry.specs(allowed)) or "none"
            return _failed("unknown_tool", f"there is no tool {name[:100]!r}; there are: {offered}")
        if call.is_cancelled():
            return _interrupted()
        attempt = _Attempt(tool, arguments, call)
        forget = call.on_cancel(attempt.wake)
        try:
            return self._wait(attempt, tool)
        finally:
            forget()

    def _wait(self, attempt: _Attempt, tool: Tool) -> ToolOutcome:
        context = contextvars.copy_context()
        threading.Thread(
            target=lambda: context.run(self._work, attempt), name=f"tool-{tool.name}", daemon=True
        ).start()
        was_woken = attempt.awake.wait(tool.timeout_s)
        with self._lock:
            if attempt.outcome is not None:
                return attempt.outcome
            attempt.is_abandoned = True
            self._stuck += 1
        attempt.call.cancel("timeout")
        if was_woken:
            return _interrupted()
        return _failed("timeout", f"stopped after {tool.timeout_s:g} s; whether it took effect is unknown")

    def _work(self, attempt: _Attempt) -> None:
        outcome = attempt.run()
        with self._lock:
            attempt.outcome = outcome
            if attempt.is_abandoned:
                self._stuck -= 1
        attempt.wake()


class _Attempt:
    """What the waiting and the working thread share."""

    def __init__(self, tool: Tool, arguments: str, call: ToolCall) -> None:
        self.call = call
        self.awake = threading.Event()
        self.outcome: ToolOutcome | None = None
        self.is_abandoned = False
        self._tool = tool
        self._arguments = arguments

    def wake(self) -> None:
        self.awake.set()

    def run(self) -> ToolOutcome:
        try:
            return ToolOutcome(outcome="succeeded", result=_text(self._invoke()))
        except _BadArguments as error:
            return _failed("bad_arguments", str(error))
        except ToolError as error:
            return _failed("tool_error", _bounded(str(error)[:_WORDS_LIMIT]))
        except BaseException as error:
            # The edge of the tool's thread; its own words may hold secrets, so only the type is told.
            return _failed(type(error).__name__[:64], "the tool failed in a way it did not foresee")

    def _invoke(self) -> object:
        try:
            bound = self._tool.bind(self._arguments, self.call)
        except (msgspec.DecodeError, RecursionError, UnicodeEncodeError) as error:
            raise _BadArguments(_why(error)) from None
        return bound()


class _BadArguments(Exception):
    pass


def _why(error: Exception) -> str:
    return (
        str(error)[:_WORDS_LIMIT]
        if isinstance(error, msgspec.DecodeError)
        else "arguments are no readable JSON"
    )


def _text(result: object) -> str:
    if isinstance(result, str):
        return _bounded(result)
    return _bounded(msgspec.json.encode(result).decode())


def _bounded(text: str) -> str:
    body = text.encode("utf-8", "replace")
    if len(body) <= RESULT_LIMIT:
        return body.decode()
    mark = f"\n[cut: {len(body)} bytes, the first {RESULT_LIMIT // 1024} KB are shown]"
    kept = body[: RESULT_LIMIT - len(mark)].decode("utf-8", "ignore")
    return kept + mark


def _failed(error: str, message: str) -> ToolOutcome:
    return ToolOutcome(outcome="failed", result=fault(error, message), error=error)


def _interrupted() -> ToolOutcome:
    message = "stopped before it answered; whether it took effect is unknown"
    return ToolOutcome(outcome="interrupted", result=fault("interrupted", message), error="interrupted")
