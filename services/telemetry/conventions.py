"""Names that other programs read: the semantic conventions for HTTP, messaging and GenAI (v1.41), and ours.

The GenAI names moved house after v1.41 and may be renamed there: they are spelt here and nowhere else.
"""

from __future__ import annotations

from typing import Literal

SpanKind = Literal["internal", "server", "client", "producer", "consumer"]

ERROR_TYPE = "error.type"
SESSION_ID = "session.id"

HTTP_METHOD = "http.request.method"
HTTP_ROUTE = "http.route"
HTTP_STATUS = "http.response.status_code"

MESSAGING_SYSTEM = "messaging.system"
MESSAGING_OPERATION = "messaging.operation.name"
MESSAGING_OPERATION_TYPE = "messaging.operation.type"
MESSAGING_DESTINATION = "messaging.destination.name"
MESSAGING_MESSAGE_ID = "messaging.message.id"
CELERY = "celery"

OPERATION = "gen_ai.operation.name"
PROVIDER = "gen_ai.provider.name"
CONVERSATION_ID = "gen_ai.conversation.id"
AGENT_NAME = "gen_ai.agent.name"
REQUEST_MODEL = "gen_ai.request.model"
REQUEST_STREAM = "gen_ai.request.stream"
RESPONSE_MODEL = "gen_ai.response.model"
FINISH_REASONS = "gen_ai.response.finish_reasons"
FIRST_CHUNK_S = "gen_ai.response.time_to_first_chunk"
INPUT_TOKENS = "gen_ai.usage.input_tokens"
OUTPUT_TOKENS = "gen_ai.usage.output_tokens"
CACHED_TOKENS = "gen_ai.usage.cache_read.input_tokens"
CACHE_WRITE_TOKENS = "gen_ai.usage.cache_creation.input_tokens"
REASONING_TOKENS = "gen_ai.usage.reasoning.output_tokens"
TOOL_NAME = "gen_ai.tool.name"
TOOL_TYPE = "gen_ai.tool.type"
TOOL_CALL_ID = "gen_ai.tool.call.id"
TOOL_ARGUMENTS = "gen_ai.tool.call.arguments"
TOOL_RESULT = "gen_ai.tool.call.result"
INPUT_MESSAGES = "gen_ai.input.messages"
OUTPUT_MESSAGES = "gen_ai.output.messages"
SYSTEM_INSTRUCTIONS = "gen_ai.system_instructions"

CHAT, INVOKE_AGENT, EXECUTE_TOOL = "chat", "invoke_agent", "execute_tool"

# How long work waited, in milliseconds, on the span that ended the wait.
QUEUE_WAIT = "turnwright.queue.wait_ms"
DEBOUNCE_WAIT = "turnwright.debounce.wait_ms"
BROKER_WAIT = "turnwright.broker.wait_ms"
LEASE_WAIT = "turnwright.lease.wait_ms"

JOB_ID = "turnwright.job.id"
ATTEMPT = "turnwright.job.attempt"
TURN = "turnwright.turn"
OUTCOME = "turnwright.outcome"
EVENTS = "turnwright.events"
ROUTED_TO = "turnwright.routed_to"
CHANNEL = "turnwright.channel"
COST_USD = "turnwright.cost_usd"
