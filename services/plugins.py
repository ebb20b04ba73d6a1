"""What is installed, held against what the configuration names: models, tools, processors; and channels."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from services.channels.installed import Installed, installed_channels
from services.config import AgentConfig, Config, load_config
from services.errors import ConfigurationError
from services.llm.prices import Prices
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
    channels: Mapping[str, Installed]


def check_plugins(settings: Settings, config: Config) -> Plugins:
    """Find every model, tool and processor the configuration names, and every channel.

    Raises: ConfigurationError with all that is missing or broken.
    """
    tools, processors, channels = ToolRegistry.installed(), installed(), installed_channels()
    providers = ProviderRegistry(vendors=settings.vendors)
    checks: tuple[Callable[[], object], ...] = (
        lambda: providers.check([m for agent in config.agents.values() for m in models_of(settings, agent)]),
        lambda: tools.check(agent.tools for agent in config.agents.values()),
        lambda: ProcessorRegistry([], processors, patterns_of(config)),
        lambda: _check_caps(settings, config),
    )
    problems: list[str] = []
    for check in checks:
        try:
            check()
        except ConfigurationError as error:
            problems += error.problems
    if problems:
        raise ConfigurationError(*problems)
    return Plugins(tools=tools, providers=providers, processors=processors, channels=channels)


def check_configuration(settings: Settings) -> tuple[Config, Plugins]:
    """Check the file and what it names, before anything starts. Raises: ConfigurationError."""
    config = load_config(settings.config_path)
    return config, check_plugins(settings, config)


def _check_caps(settings: Settings, config: Config) -> None:
    """A cap in dollars means nothing for a model whose price nobody knows. Raises: ConfigurationError."""
    prices = Prices(config.prices)
    problems = [
        f"agent {name}: max_usd_per_hour needs the price of {model};"
        f' add [prices."{model}"] with input and output in USD per million tokens'
        for name, agent in sorted(config.agents.items())
        if agent.max_usd_per_hour is not None
        for model in models_of(settings, agent)
        if prices.of(model) is None
    ]
    if problems:
        raise ConfigurationError(*problems)


def models_of(settings: Settings, agent: AgentConfig) -> tuple[str, ...]:
    """The models of an agent in failover order."""
    return tuple(agent.model or settings.models)


def default_models(settings: Settings, config: Config) -> tuple[str, ...]:
    """The models that answer who names no agent, in failover order."""
    return models_of(settings, config.agents["default"])


def patterns_of(config: Config) -> list[tuple[str, str]]:
    """(processor, stream pattern) as configured."""
    return [(each.name, each.streams) for each in config.processors]
