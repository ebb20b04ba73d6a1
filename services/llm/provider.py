"""What a model provider is: a request in, a stream of pieces out, errors of a few known kinds.

Providers neither retry nor store anything: retries belong to the job, the record to the log.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Literal, Protocol

import msgspec

Role = Literal["user", "assistant", "tool"]


class ToolCallRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A complete tool call of the model. `arguments` is its JSON text, not yet validated."""

    id: str
    name: str
    arguments: str


class ChatMessage(msgspec.Struct, frozen=True, kw_only=True):
    """One message of the history. A `tool` message answers the call `call_id`."""

    role: Role
    text: str = ""
    tool_calls: tuple[ToolCallRequest, ...] = ()
    call_id: str = ""


class ToolSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A tool as the model sees it; `parameters` is a JSON Schema object, encoded."""

    name: str
    description: str
    parameters: msgspec.Raw


class ChatRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a provider needs. Time limits in seconds; `idle_s` is the longest gap between bytes.

    `job` is the same in every attempt at one request, so a vendor's own log can be matched with ours.
    """

    model: str
    system: str
    messages: tuple[ChatMessage, ...]
    tools: tuple[ToolSpec, ...] = ()
    session: str = ""
    job: str = ""
    connect_s: float = 5.0
    idle_s: float = 60.0
    wall_s: float = 600.0


class TextDelta(msgspec.Struct, frozen=True):
    """A piece of the answer."""

    text: str


class TokenUsage(msgspec.Struct, frozen=True, kw_only=True):
    """Tokens of this request as the vendor counts them.

    `input` includes those read from the vendor's cache (`cached`) and those written to it (`cache_write`),
    `output` those of `reasoning`.
    """

    input: int = 0
    output: int = 0
    cached: int = 0
    cache_write: int = 0
    reasoning: int = 0


class Finished(msgspec.Struct, frozen=True, kw_only=True):
    """The terminal marker. A stream that ends without it is not a success."""

    reason: Literal["stop", "tool_calls", "length", "refused"]
    model: str = ""


Piece = TextDelta | ToolCallRequest | TokenUsage | Finished

ErrorKind = Literal[
    "not_sent",  # no byte of the request left this host: safe to repeat
    "rejected",  # the vendor said no: repeating the same request is useless
    "overloaded",  # come back after retry_after_s
    "quota",  # money or a hard limit is gone: useless until a person acts
    "context_too_long",  # window the history and try again
    "ambiguous",  # the request may have been worked on and charged
    "truncated",  # the stream ended without its terminal marker
    "malformed",  # an answer nobody can read
    "cancelled",  # we stopped it ourselves
]


class ProviderError(Exception):
    """A call that did not end well. `code` is a safe, low-cardinality detail: never vendor text."""

    def __init__(self, kind: ErrorKind, *, code: str = "", retry_after_s: float | None = None) -> None:
        super().__init__(f"{kind}: {code}" if code else kind)
        self.kind: ErrorKind = kind
        self.code = code
        self.retry_after_s = retry_after_s


class Call(Protocol):
    """The provider's side of one running attempt."""

    def starting(self) -> None:
        """Call right before the first byte leaves. Raises: ProviderError("cancelled") when it must not."""

    def on_cancel(self, shut: Callable[[], None]) -> Callable[[], None]:
        """Register how to free a blocked read, from another thread; runs at once if already cancelled.

        Returns how to take it back, which waits for a `shut` that is running. Do so before the connection
        serves anybody else: otherwise a late cancel would shut a stranger's socket.
        """

    def is_cancelled(self) -> bool:
        """Whether somebody stopped this attempt: an error that follows is then `cancelled`."""


class Provider(Protocol):
    """A model vendor. One instance serves many threads."""

    name: str
    context_tokens: int

    def stream(self, request: ChatRequest, call: Call) -> Iterator[Piece]:
        """Run one attempt. Yields pieces as they come, `Finished` last. Raises: ProviderError."""
