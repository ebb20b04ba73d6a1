"""What plugin authors import. Everything else in Turnwright is its inside and may change.

A plugin is an installed Python package with an entry point:

[project.entry-points."turnwright.providers"]   acme = "acme_provider:AcmeProvider"
    Serves the model names `acme:<model>`. The value is a factory `(model: str) -> Provider`, such as a
    class; it is called once per model name and process, with what follows the colon ("" if nothing does).
    It raises ConfigurationError when a setting is missing. Runs are enforced as `stream_run` says.
[project.entry-points."turnwright.tools"]       roll = "acme_tools:roll"
    The value is a Tool, made by the decorator `tool`; the tool's own name counts, not the entry point's.
[project.entry-points."turnwright.processors"]  tally = "acme_processor:Tally"
    The value is a factory of a Processor, such as its class; the contract's name is the entry point's.
    It runs on the streams that `[[processors]]` in `turnwright.toml` or the API attach it to.
"""

from services.errors import ConfigurationError
from services.jobs.deadline import Deadlines
from services.llm.call import RunningCall, stream_run
from services.llm.provider import (
    Call,
    ChatMessage,
    ChatRequest,
    ErrorKind,
    Finished,
    Piece,
    Provider,
    ProviderError,
    TextDelta,
    TokenUsage,
    ToolCallRequest,
    ToolSpec,
)
from services.llm.status import status_error
from services.processors.contract import AppendTo, Contract, Decision, Emit, Moment, Processor
from services.streams.event import Event, EventInput, StreamId
from services.tools.contract import Effect, Tool, ToolCall, ToolError, tool

__all__ = [
    "AppendTo",
    "Call",
    "ChatMessage",
    "ChatRequest",
    "ConfigurationError",
    "Contract",
    "Deadlines",
    "Decision",
    "Effect",
    "Emit",
    "ErrorKind",
    "Event",
    "EventInput",
    "Finished",
    "Moment",
    "Piece",
    "Processor",
    "Provider",
    "ProviderError",
    "RunningCall",
    "StreamId",
    "TextDelta",
    "TokenUsage",
    "Tool",
    "ToolCall",
    "ToolCallRequest",
    "ToolError",
    "ToolSpec",
    "status_error",
    "stream_run",
    "tool",
]
