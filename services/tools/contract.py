"""What a tool is: a plain Python function with a name, a schema, a declared effect and a time limit."""

from __future__ import annotations

import inspect
import re
import threading
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Literal, overload

import msgspec

from services.jobs.cancellation import Cancellation
from services.llm.provider import ToolSpec

Effect = Literal["read_only", "write", "external", "unknown"]
DEFAULT_TIMEOUT_S = 30.0
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


class ToolError(Exception):
    """Raised by a tool that can not do what it was asked. The model is told its words: put no secret in."""


class ToolCall:
    """One running call of a tool, as the tool sees it. `call` is the model's id of it."""

    def __init__(self, *, session: str, call: str) -> None:
        self.session = session
        self.call = call
        self._cancellation = Cancellation()

    def is_cancelled(self) -> bool:
        """Whether nobody waits for the result any more: stop early, what is returned is dropped."""
        return self._cancellation.is_set()

    @property
    def cancel_reason(self) -> str:
        """Why the call was cancelled; empty when it was not."""
        return self._cancellation.reason

    def cancel(self, reason: str) -> None:
        """Stop waiting for this call, from any thread."""
        self._cancellation.set(reason)

    def on_cancel(self, stop: Callable[[], None]) -> Callable[[], None]:
        """Run `stop` on cancel, at once if that is past. Returns how to take it back."""
        return self._cancellation.add(stop)

    def wait_cancelled(self, timeout_s: float) -> bool:
        """Wait up to `timeout_s` for a cancel; use it instead of sleeping. Returns whether one came."""
        cancelled = threading.Event()
        forget = self.on_cancel(cancelled.set)
        try:
            return cancelled.wait(timeout_s)
        finally:
            forget()


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """A tool an agent can be given. `parameters` is the JSON Schema object of its arguments.

    `effect` decides what a crash means: a `read_only` call is simply run again, any other is not, because
    it may already have happened. `function` is the function as written, for calling it directly.
    """

    name: str
    description: str
    parameters: msgspec.Raw
    effect: Effect
    timeout_s: float
    function: Callable[..., object]
    arguments: type[msgspec.Struct]
    call_parameter: str | None = None

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ValueError(f"tool name {self.name!r}: up to 64 letters, digits, '_' and '-'")
        if self.effect not in typing.get_args(Effect):
            raise ValueError(f"tool {self.name}: effect must be one of {', '.join(typing.get_args(Effect))}")
        if not 0 < self.timeout_s < float("inf"):
            raise ValueError(f"tool {self.name}: timeout_s must be a positive number of seconds")

    def spec(self) -> ToolSpec:
        """The tool as a model sees it."""
        return ToolSpec(name=self.name, description=self.description, parameters=self.parameters)

    def bind(self, arguments: str, call: ToolCall) -> Callable[[], object]:
        """Decode the model's JSON arguments; the result runs the function in the calling thread.

        Raises: msgspec.DecodeError for arguments that do not fit.
        """
        decoded = msgspec.json.decode(arguments.strip() or "{}", type=self.arguments)
        values = {name: getattr(decoded, name) for name in self.arguments.__struct_fields__}
        if self.call_parameter:
            values[self.call_parameter] = call
        return partial(self.function, **values)


@overload
def tool(function: Callable[..., object], /) -> Tool: ...


@overload
def tool(
    *, effect: Effect = "unknown", timeout_s: float = DEFAULT_TIMEOUT_S, name: str | None = None
) -> Callable[[Callable[..., object]], Tool]: ...


def tool(
    function: Callable[..., object] | None = None,
    /,
    *,
    effect: Effect = "unknown",
    timeout_s: float = DEFAULT_TIMEOUT_S,
    name: str | None = None,
) -> Tool | Callable[[Callable[..., object]], Tool]:
    """Make a tool of a plain function, with or without brackets.

    The parameters' type hints become the schema (`Annotated[int, Meta(ge=1, description="…")]` for bounds
    and words), the docstring becomes the description. A first parameter annotated `ToolCall` is given the
    running call and is not shown to the model. Unknown arguments are refused. The result is text, or
    anything that msgspec can write as JSON.
    Raises: TypeError, ValueError when the function can not be one, at decoration.
    """

    def decorate(plain: Callable[..., object]) -> Tool:
        own_name = name or str(getattr(plain, "__name__", ""))
        call_parameter, fields = _parameters(plain, own_name)
        arguments = msgspec.defstruct(
            "Arguments", fields, kw_only=True, frozen=True, forbid_unknown_fields=True
        )
        return Tool(
            name=own_name,
            description=_description(plain, own_name),
            parameters=_schema(arguments),
            effect=effect,
            timeout_s=timeout_s,
            function=plain,
            arguments=arguments,
            call_parameter=call_parameter,
        )

    return decorate if function is None else decorate(function)


_Field = tuple[str, object] | tuple[str, object, object]


def _parameters(plain: Callable[..., object], name: str) -> tuple[str | None, list[_Field]]:
    if inspect.iscoroutinefunction(plain) or inspect.isgeneratorfunction(plain):
        raise TypeError(f"tool {name}: must be a plain function, not async and not a generator")
    hints = typing.get_type_hints(plain, include_extras=True)
    call_parameter: str | None = None
    fields: list[_Field] = []
    for position, parameter in enumerate(inspect.signature(plain).parameters.values()):
        if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            raise TypeError(f"tool {name}: parameter {parameter.name!r} must be callable by its name")
        if parameter.name not in hints:
            raise TypeError(f"tool {name}: parameter {parameter.name!r} needs a type hint")
        if hints[parameter.name] is ToolCall:
            if position:
                raise TypeError(f"tool {name}: the ToolCall must be the first parameter")
            call_parameter = parameter.name
        else:
            fields.append(_field(parameter, hints))
    return call_parameter, fields


def _field(parameter: inspect.Parameter, hints: Mapping[str, object]) -> _Field:
    if parameter.default is parameter.empty:
        return parameter.name, hints[parameter.name]
    return parameter.name, hints[parameter.name], parameter.default


def _schema(arguments: type[msgspec.Struct]) -> msgspec.Raw:
    _, parts = msgspec.json.schema_components([arguments], ref_template="#/$defs/{name}")
    schema = parts.pop("Arguments")
    schema.pop("title", None)
    if parts:
        schema["$defs"] = parts
    return msgspec.Raw(msgspec.json.encode(schema))


def _description(plain: Callable[..., object], name: str) -> str:
    description = inspect.getdoc(plain)
    if not description:
        raise TypeError(f"tool {name}: needs a docstring, the model chooses by it")
    return description
