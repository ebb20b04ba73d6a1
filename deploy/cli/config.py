"""`turnwright config`: check environment and configuration file, publish the file's schema."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from deploy.cli.examples import examples
from deploy.findings import openai_hint
from services.errors import ConfigurationError
from services.settings import Settings, find_config, load_settings
from services.variables import without_password

if TYPE_CHECKING:
    from services.config import Config
    from services.diagnosis.channels import ChannelState

T = TypeVar("T")


@click.group()
def config() -> None:
    """Check the configuration or show its schema."""


@config.command(epilog=examples("turnwright config check", "turnwright config check staging.toml --json"))
@click.argument("path", required=False, type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def check(path: Path | None, as_json: bool) -> None:
    """Check the environment and the file (PATH, otherwise the one in use); say what is in effect."""
    # Here: loading the schema and plugins would slow every command down.
    from services.channels.accounts import Accounts
    from services.channels.places import Places
    from services.config import load_config
    from services.diagnosis.channels import channel_states
    from services.diagnosis.triggers import unanswerable
    from services.plugins import check_plugins, default_models

    problems: list[str] = []
    settings = _collect(load_settings, problems)
    file = path.absolute() if path else find_config()
    loaded = _collect(lambda: load_config(file), problems)
    plugins = None
    if settings is not None and loaded is not None:
        plugins = _collect(lambda: check_plugins(settings, loaded), problems)
    if settings is None or loaded is None or plugins is None or problems:
        _complain(problems, as_json=as_json)
        return
    places = Places(settings, Accounts(settings), plugins.channels)
    if as_json:
        effective = {
            "settings": _settings_view(settings),
            "tools": list(plugins.tools.names()),
            "channels": _channels_view(channel_states(settings, loaded, plugins.channels)),
            "triggers": list(unanswerable(loaded.triggers, places)),
            "config": loaded.model_dump(mode="json"),
        }
        said = {"ok": True, "problems": []}
        click.echo(json.dumps({**said, **effective, "hash": loaded.hash}, indent=2))
    else:
        summary = _summary(
            settings, loaded, file, models=default_models(settings, loaded), tools=plugins.tools.names()
        )
        for name, value in summary.items():
            click.echo(f"{name:<16}{value}")
        for each in channel_states(settings, loaded, plugins.channels):
            told = "; ".join((each.told(settings.public_url or ""), *each.doubts))
            click.echo(f"{each.name:<15} {told}")
        for doubt in unanswerable(loaded.triggers, places):
            click.echo(f"{'triggers':<15} {doubt}")


@config.command(epilog=examples("turnwright config schema > turnwright.schema.json"))
def schema() -> None:
    """Print the JSON Schema of turnwright.toml."""
    from services.config import json_schema  # here: loading the schema would slow every command down

    click.echo(json.dumps(json_schema(), indent=2))


def _collect(load: Callable[[], T], problems: list[str]) -> T | None:
    try:
        return load()
    except ConfigurationError as error:
        problems += error.problems
        return None


def _complain(problems: list[str], *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps({"ok": False, "problems": problems}, indent=2))
    else:
        click.echo("\n".join(problems), err=True)
    sys.exit(2)


def _settings_view(settings: Settings) -> dict[str, object]:
    """Nothing secret: a token is only said to be there, addresses are without password."""
    return {
        "home": str(settings.home),
        "host": settings.host,
        "port": settings.port,
        "store": _address(settings.store_url),
        "broker": _address(settings.broker_url),
        "namespace": settings.namespace,
        "api_token": "given" if settings.api_token else "generated",
        "url": settings.url,
        "public_url": settings.public_url,
        "trusted_proxies": [str(network) for network in settings.trusted_proxies],
        "workers": settings.workers,
        "slots": settings.slots,
        "models": list(settings.models),
        "callback_allow": [str(destination) for destination in settings.callback_allow],
        "traces": settings.otel.traces,
        "metrics": settings.otel.metrics,
        "trace_content": settings.trace_content,
        "metrics_open": settings.metrics_open,
        "log_level": settings.log_level,
        "log_format": settings.log_format,
    }


def _channels_view(states: Sequence[ChannelState]) -> dict[str, object]:
    return {
        each.name: {"on": not each.off, "reason": each.off, "path": each.path, "doubts": each.doubts}
        for each in states
    }


def _summary(
    settings: Settings,
    loaded: Config,
    file: Path | None,
    *,
    models: tuple[str, ...],
    tools: tuple[str, ...],
) -> dict[str, str]:
    hint = openai_hint(settings, models)
    agents = sorted(loaded.agents.items())
    return {
        "configuration": f"{file or 'no file, built-in defaults'} (hash {loaded.hash})",
        "agents": ", ".join(f"{name}{_own(each.model)}" for name, each in agents),
        "tools": ", ".join(tools),
        "processors": ", ".join(f"{each.name} on {each.streams}" for each in loaded.processors) or "none",
        "model": ", ".join(models) + (f" ({hint})" if hint else ""),
        "data directory": str(settings.home),
        "address": f"{settings.host} port {settings.port or '8080, or the next free one'}",
        "log store": _address(settings.store_url),
        "broker": _address(settings.broker_url),
        "namespace": settings.namespace,
        "API token": "given" if settings.api_token else "generated at first start",
        "/metrics": "open to everybody" if settings.metrics_open else "with a token",
        "telemetry": _telemetry(settings),
        "callbacks": _callbacks(settings),
        "workers": f"{settings.workers} with {settings.slots} threads each",
        "logs": f"{settings.log_level}, {settings.log_format}",
    }


def _own(models: Sequence[str] | None) -> str:
    return f" ({', '.join(models)})" if models else ""


def _telemetry(settings: Settings) -> str:
    signals = (("traces", settings.otel.traces), ("metrics", settings.otel.metrics))
    sent = [f"{name} over {protocol}" for name, protocol in signals if protocol]
    content = f", with content {settings.trace_content}" if settings.otel.traces else ""
    return (
        ", ".join(sent) + content if sent else "not exported: OTEL_EXPORTER_OTLP_ENDPOINT names no collector"
    )


def _callbacks(settings: Settings) -> str:
    allowed = ", ".join(str(destination) for destination in settings.callback_allow)
    return f"to public addresses and {allowed}" if allowed else "to public addresses only"


def _address(url: str | None) -> str:
    return without_password(url) if url else "embedded"
