"""`turnwright.toml`: its schema, its loader, and where in it a mistake is."""

from services.config.loading import load_config
from services.config.schema import (
    AgentConfig,
    Attachment,
    Config,
    Limits,
    Retention,
    RouteConfig,
    SourceConfig,
    json_schema,
)
from services.config.triggers import TriggerConfig

__all__ = [
    "AgentConfig",
    "Attachment",
    "Config",
    "Limits",
    "Retention",
    "RouteConfig",
    "SourceConfig",
    "TriggerConfig",
    "json_schema",
    "load_config",
]
