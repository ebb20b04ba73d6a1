"""What `turnwright.toml` may say, with defaults and bounds: the one source of checks and JSON Schema."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Literal, TypeAlias

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    WithJsonSchema,
    field_serializer,
)
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from services.config.table import AgentName, Table
from services.config.triggers import TriggerConfig
from services.variables import MODEL_PATTERN, model_of

Policy: TypeAlias = Literal["follow_up", "steer", "collect", "silent"]

_NAME_PATTERN = "[A-Za-z][A-Za-z0-9_.-]{0,63}"


def _name_of(text: str) -> str:
    if not re.fullmatch(_NAME_PATTERN, text):
        raise ValueError("must be a name: up to 64 letters, digits, _, . and -, starting with a letter")
    return text


def _listed(given: object) -> object:
    if not isinstance(given, (str, list, tuple)):
        raise ValueError("must be a model, or a list of models")
    return [given] if isinstance(given, str) else given


def _pattern_of(text: str | None) -> str | None:
    if text is not None:
        try:
            re.compile(text)
        except re.error as error:
            raise ValueError(f"must be a regular expression: {error}") from None
    return text


def _text(pattern: str) -> dict[str, object]:
    return {"type": "string", "pattern": f"^(?:{pattern})$"}


def _several(one: dict[str, object]) -> dict[str, object]:
    return {"anyOf": [one, {"type": "array", "items": one, "minItems": 1}]}


_CAP_SCHEMA: dict[str, object] = {"type": "integer", "minimum": 1}
_USD_CAP_SCHEMA: dict[str, object] = {"type": "number", "minimum": 0.001, "maximum": 1_000_000}
_PRICE_SCHEMA: dict[str, object] = {"type": "number", "minimum": 0, "maximum": 1_000_000}

BaggageKey = Annotated[str, Field(pattern=r"^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}$")]
Name = Annotated[str, AfterValidator(_name_of), WithJsonSchema(_text(_NAME_PATTERN))]
ModelName = Annotated[str, AfterValidator(model_of), WithJsonSchema(_text(MODEL_PATTERN))]
Models = Annotated[tuple[ModelName, ...], Field(min_length=1, strict=False), BeforeValidator(_listed)]
ToolNames = Annotated[tuple[Name, ...], Field(strict=False)]


Words = Annotated[
    tuple[Annotated[str, Field(min_length=1, max_length=200)], ...], Field(strict=False, max_length=100)
]


class AgentConfig(Table):
    """`[agents.<name>]`: who answers."""

    system_prompt: str = Field(default="", max_length=262_144)
    """What the model is told before the conversation; once loaded, the content of a named file too."""

    system_prompt_file: Annotated[
        str | None, Field(min_length=1), WithJsonSchema({"type": "string", "minLength": 1})
    ] = None
    """A file with the system prompt, relative to this one. None once it is loaded."""

    model: Annotated[Models | None, WithJsonSchema(_several(_text(MODEL_PATTERN)))] = None
    """The model, or several in failover order. Absent: what TURNWRIGHT_MODEL says."""

    tools: Annotated[ToolNames | None, WithJsonSchema({"type": "array", "items": _text(_NAME_PATTERN)})] = (
        None
    )
    """The tools it may call. Absent: all; empty: none."""

    policy: Policy = "follow_up"
    """What an input does while a turn is running, unless the input says otherwise."""

    debounce_ms: int = Field(default=0, ge=0, le=60_000)
    """How long an input waits for more of them before the turn starts."""

    max_steps: int = Field(default=20, ge=1, le=200)
    """LLM requests in one turn."""

    max_turns_without_human: int = Field(default=20, ge=1, le=1000)
    """Turns in a row that no person asked for."""

    max_tokens_per_hour: Annotated[int | None, Field(ge=1), WithJsonSchema(_CAP_SCHEMA)] = None
    """Tokens a session may use within an hour before it is paused. Absent: no cap."""

    max_usd_per_hour: Annotated[
        float | None, Field(ge=0.001, le=1_000_000), WithJsonSchema(_USD_CAP_SCHEMA)
    ] = None
    """US dollars a session may cost within an hour before it is paused. Each of its models needs a known price."""

    @property
    def max_microusd_per_hour(self) -> int:
        """The cap in millionths of a dollar, 0 for none."""
        return round((self.max_usd_per_hour or 0) * 1_000_000)


class PriceConfig(Table):
    """`[prices."<provider>:<model>"]`: what a model costs, in US dollars per million tokens."""

    input: float = Field(ge=0, le=1_000_000)
    """Tokens of the request that no cache of the vendor was read or written for."""

    output: float = Field(ge=0, le=1_000_000)
    """Tokens of the answer, those of reasoning included."""

    cached: Annotated[float | None, Field(ge=0, le=1_000_000), WithJsonSchema(_PRICE_SCHEMA)] = None
    """Tokens read from the vendor's cache. Absent: as input."""

    cache_write: Annotated[float | None, Field(ge=0, le=1_000_000), WithJsonSchema(_PRICE_SCHEMA)] = None
    """Tokens written to the vendor's cache. Absent: as input."""


class Limits(Table):
    """`[limits]`: bounds of one session, one call and one web process."""

    max_prompt_bytes: int = Field(default=262_144, ge=1024, le=1_048_576)
    """The largest body of a prompt."""

    max_pending_inputs: int = Field(default=1000, ge=1, le=1000)
    """Inputs of one session that no request has listed yet."""

    live_streams: int = Field(default=64, ge=1, le=1000)
    """Live event streams of one web process."""

    events_per_minute: int = Field(default=6000, ge=60, le=6_000_000)
    """Events one stream may gain in the long run before its circuit breaker pauses it."""

    events_burst: int = Field(default=50_000, ge=100, le=10_000_000)
    """Events one stream may gain at once beyond that."""

    llm_idle_s: float = Field(default=60.0, ge=1, le=3600)
    """The longest silence of a model within a call."""

    llm_wall_s: float = Field(default=600.0, ge=1, le=86_400)
    """The longest call of a model."""

    delivery_attempts: int = Field(default=15, ge=1, le=50)
    """How often a reply is tried to be delivered before it is given up: 15 take about four hours."""

    job_expires_s: float = Field(default=3600.0, ge=1, le=604_800)
    """How long a job may take with all its attempts."""

    reply_overdue_s: float = Field(default=600.0, ge=1, le=604_800)
    """After so long without an answer a thread is told that it takes longer."""

    reply_gives_up_s: float = Field(default=3600.0, ge=1, le=604_800)
    """So long after that it is told that there may be none."""


class Retention(Table):
    """`[retention]`: how long what is no longer needed is kept."""

    idempotency_days: int = Field(default=7, ge=1, le=365)
    """How long a repeated key finds its first event."""

    settled_jobs_hours: int = Field(default=24, ge=1, le=8760)
    """How long the record of a settled job is kept."""


class TelemetryConfig(Table):
    """`[telemetry]`: what travels with a trace."""

    baggage: Annotated[tuple[BaggageKey, ...], Field(strict=False, max_length=16)] = (
        "gen_ai.conversation.id",
        "gen_ai.agent.name",
    )
    """Keys of a caller's W3C baggage that are kept, stored with events and copied to spans. Never secrets."""


class Attachment(Table):
    """One of `[[processors]]`: an installed processor and the streams it follows."""

    name: Name
    """The processor."""

    streams: str = Field(default="*", min_length=1, max_length=200)
    """A pattern of stream ids, with * and ? as in file names. Of deliveries and triggers only where it begins with
    `inbound:` or `schedule:`."""


class RouteConfig(Table):
    """One of `[[routes]]`: who answers what comes from a source. The first that fits counts; those that name no
    events take all there are. What none takes goes to the agent `default`, unless a last one says `ignore = true`:
    of Slack mention, direct and reply, of GitHub all but reply and other labels, of other sources everything."""

    source: str = Field(min_length=1, max_length=64)
    """`slack`, `github`, the name of one of `[[sources]]`, or of a channel that a package brings."""

    events: Words = ()
    """Slack: mention, direct, reply, message. GitHub: mention, assigned, labeled, review_requested, reply. Of other
    sources the type that they say, in full. Absent: all."""

    places: Words = ()
    """Ids of channels, or full names of repositories; * and ? as in file names."""

    authors: Words = ()
    """Ids of users of Slack, logins of GitHub; * and ? as in file names, and nothing else: my-app[bot] is a name."""

    labels: Words = ()
    """Labels of issues and pull requests; * and ? as in file names."""

    text: Annotated[str | None, AfterValidator(_pattern_of), WithJsonSchema({"type": "string"})] = None
    """A regular expression that must be found in the text."""

    agent: AgentName = "default"
    """Who answers."""

    policy: Annotated[
        Policy | None, WithJsonSchema({"enum": ["follow_up", "steer", "collect", "silent"]})
    ] = None
    """What it does while a turn is running. Absent: as the agent has it."""

    session: Annotated[
        str | None, Field(pattern=r"^[A-Za-z0-9._:{}-]{1,200}$"), WithJsonSchema({"type": "string"})
    ] = None
    """Which session it belongs to, like `slack:{team}:{channel}`; {thread}, {author}, {repository}, {number} are
    known too. Absent: one for each thread, issue and pull request."""

    commands: Words = ()
    """Who may use commands in threads. Absent: everybody who may talk there."""

    bots: bool = False
    """Whether other bots are answered too. On GitHub only who may write, as of people, or is one of `authors` by its
    very name, like renovate[bot], as GitHub does not say what an app may do."""

    ignore: bool = False
    """Take nothing of this."""


class SourceConfig(Table):
    """One of `[[sources]]`: who else sends webhooks, signed as Standard Webhooks has it.

    Its secret is TURNWRIGHT_SOURCE_<NAME>_SECRET.
    """

    name: str = Field(pattern=r"^[a-z][a-z0-9-]{0,31}$")
    """The last part of its address, /webhooks/in/<name>."""

    order_by: Annotated[
        str | None, Field(min_length=1, max_length=200), WithJsonSchema({"type": "string"})
    ] = None
    """What keeps its order among itself: a place in the body, like data.customer.id. Absent: all of it."""

    text: Annotated[str | None, Field(min_length=1, max_length=200), WithJsonSchema({"type": "string"})] = (
        None
    )
    """Where in the body the text for the agent is, like data.message. Absent: the whole body."""


class Config(Table):
    """The whole file."""

    agents: Mapping[AgentName, AgentConfig] = Field(
        default_factory=dict, json_schema_extra={"additionalProperties": False}
    )
    limits: Limits = Field(default_factory=Limits)
    retention: Retention = Field(default_factory=Retention)
    prices: Mapping[ModelName, PriceConfig] = Field(
        default_factory=dict, json_schema_extra={"additionalProperties": False}
    )
    telemetry: TelemetryConfig = Field(default_factory=TelemetryConfig)
    processors: Annotated[tuple[Attachment, ...], Field(strict=False)] = ()
    routes: Annotated[tuple[RouteConfig, ...], Field(strict=False, max_length=200)] = ()
    sources: Annotated[tuple[SourceConfig, ...], Field(strict=False, max_length=50)] = ()
    triggers: Annotated[tuple[TriggerConfig, ...], Field(strict=False, max_length=1000)] = ()

    @field_serializer("agents")
    def _plain(self, agents: Mapping[str, AgentConfig]) -> dict[str, AgentConfig]:
        return dict(agents)

    @cached_property
    def hash(self) -> str:
        """Twelve hex digits that change with anything that is in effect, prompts in files included."""
        effective = json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(effective.encode()).hexdigest()[:12]


class _TomlSchema(GenerateJsonSchema):
    """Leaves out what TOML can not say (null), and titles that only repeat the key."""

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        written = super().default_schema(schema)
        return {key: value for key, value in written.items() if key != "default" or value is not None}

    def field_title_should_be_set(self, schema: object) -> bool:
        return False


def json_schema() -> dict[str, object]:
    """The file's JSON Schema (2020-12)."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **Config.model_json_schema(schema_generator=_TomlSchema),
        "title": "turnwright.toml",
    }
