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
[project.entry-points."turnwright.channels"]    acme = "acme_channel:AcmeChannel"
    The value is a factory of a Channel, such as its class, with the entry point's name. One that is a Receiver
    too takes webhooks at `POST /webhooks/in/<name>`: it verifies and reads them, `[[routes]]` with that source
    decide who answers, and answers to what has a `reply_to` go out through `send`. A setting that is missing is
    told by an attribute `off`, a text; the channel is closed then. What it raises besides the errors that its
    methods name, or does not come back from in time, is a failed attempt or a refused webhook; it is logged by
    its type only.
"""

from services.channels.contract import Channel, DeliveryError, Letter, Receipt, Sending
from services.channels.said import said
from services.errors import ConfigurationError, Forged, Invalid
from services.inbound.contract import Answer, Request
from services.inbound.plugged import Receiver
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
from services.streams.inbound_events import Delivery
from services.tools.contract import Effect, Tool, ToolCall, ToolError, tool

__all__ = [
    "Answer",
    "AppendTo",
    "Call",
    "Channel",
    "ChatMessage",
    "ChatRequest",
    "ConfigurationError",
    "Contract",
    "Deadlines",
    "Decision",
    "Delivery",
    "DeliveryError",
    "Effect",
    "Emit",
    "ErrorKind",
    "Event",
    "EventInput",
    "Finished",
    "Forged",
    "Invalid",
    "Letter",
    "Moment",
    "Piece",
    "Processor",
    "Provider",
    "ProviderError",
    "Receipt",
    "Receiver",
    "Request",
    "RunningCall",
    "Sending",
    "StreamId",
    "TextDelta",
    "TokenUsage",
    "Tool",
    "ToolCall",
    "ToolCallRequest",
    "ToolError",
    "ToolSpec",
    "said",
    "status_error",
    "stream_run",
    "tool",
]
