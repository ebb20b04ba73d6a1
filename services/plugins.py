"""What is installed, held against what the configuration names: models, tools, processors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from services.config import AgentConfig, Config, load_config
from services.errors import ConfigurationError
from services.llm.registry import ProviderRegistry
from services.processors.registry import ProcessorRegistry, installed
from services.processors.unit import AnyProcessor
from services.settings import Settings
from services.tools.registry import ToolRegistry


@dataclass(frozen=True, slots=True, kw_only=True)
class Plugins:
    """What is installed and fits the configuration."""

    tools: ToolRegistry
    providers: ProviderRegistry
    processors: Mapping[str, AnyProcessor]


def check_plugins(settings: Settings, config: Config) -> Plugins:
    """Find every model, tool and processor the configuration names.

    Raises: ConfigurationError with all that is missing or broken.
    """
    tools, providers, processors = ToolRegistry.installed(), ProviderRegistry(), installed()
    checks: tuple[Callable[[], object], ...] = (
        lambda: providers.check([m for agent in config.agents.values() for m in models_of(settings, agent)]),
        lambda: tools.check(agent.tools for agent in config.agents.values()),
        lambda: ProcessorRegistry([], processors, patterns_of(config)),
    )
    problems: list[str] = []
    for check in checks:
        try:
            check()
        except ConfigurationError as error:
            problems += error.problems
    if problems:
        raise ConfigurationError(*problems)
    return Plugins(tools=tools, providers=providers, processors=processors)


def check_configuration(settings: Settings) -> tuple[str, ...]:
    """Check the file and what it names, before anything starts; remarks on it. Raises: ConfigurationError."""
    config = load_config(settings.config_path)
    check_plugins(settings, config)
    return remarks(settings, config)


def remarks(settings: Settings, config: Config) -> tuple[str, ...]:
    """What is allowed and yet without the effect one may expect."""
    models = {name: models_of(settings, agent) for name, agent in sorted(config.agents.items())}
    return tuple(
        f"agent {name}: only the first of its models is asked, {several[0]}; there is no failover yet"
        for name, several in models.items()
        if len(several) > 1
    )


def models_of(settings: Settings, agent: AgentConfig) -> tuple[str, ...]:
    """The models of an agent in failover order."""
    return tuple(agent.model or settings.models)


def patterns_of(config: Config) -> list[tuple[str, str]]:
    """(processor, stream pattern) as configured."""
    return [(each.name, each.streams) for each in config.processors]
