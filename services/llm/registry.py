"""Which provider serves a model name: the built-in ones and those that installed packages bring.

All are imported when their name is first used, so a broken package harms only those who name it.
"""

from __future__ import annotations

import difflib
import re
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.metadata import EntryPoint, entry_points
from typing import cast

from services.errors import ConfigurationError
from services.llm.offline import NAME as OFFLINE
from services.llm.offline import OfflineProvider
from services.llm.provider import Provider
from services.settings import VENDORS, VendorAccess

GROUP = "turnwright.providers"
_NAME = re.compile(r"[a-z][a-z0-9_-]*")
_BUILT_IN = (OFFLINE, *VENDORS)


def installed_providers() -> Iterable[EntryPoint]:
    """The entry points of group `turnwright.providers` in this environment; imports none of them."""
    return entry_points(group=GROUP)


class ProviderRegistry:
    """Resolves `offline` and `<provider>:<model>`; one provider per model name and process. Thread-safe.

    `vendors` holds key and address of `openai` and `anthropic`. A package can not replace what is built in.
    """

    def __init__(
        self,
        find: Callable[[], Iterable[EntryPoint]] = installed_providers,
        *,
        vendors: Mapping[str, VendorAccess] | None = None,
    ) -> None:
        self._lock = threading.Lock()
        self._vendors = {name: VendorAccess() for name in VENDORS} | dict(vendors or {})
        self._plugins: dict[str, list[EntryPoint]] = {}
        for plugin in find():
            self._plugins.setdefault(plugin.name, []).append(plugin)
        self._resolved: dict[str, tuple[Provider, str]] = {OFFLINE: (OfflineProvider(), "")}

    def names(self) -> tuple[str, ...]:
        """All provider names that can be resolved, the built-in ones first."""
        return (*_BUILT_IN, *sorted(self._plugins.keys() - set(_BUILT_IN)))

    def resolve(self, name: str) -> tuple[Provider, str]:
        """The provider of a model name, and the model as the provider calls it.

        Raises: ConfigurationError that names what is installed or which package is broken.
        """
        with self._lock:
            if name not in self._resolved:
                self._resolved[name] = self._load(name)
            return self._resolved[name]

    def check(self, models: Sequence[str]) -> None:
        """Resolve every name. Raises: ConfigurationError with the problems of all of them."""
        problems: list[str] = []
        for name in dict.fromkeys(models):
            try:
                self.resolve(name)
            except ConfigurationError as error:
                problems.extend(error.problems)
        if problems:
            raise ConfigurationError(*problems)

    def _load(self, name: str) -> tuple[Provider, str]:
        provider_name, colon, model = name.partition(":")
        if not _NAME.fullmatch(provider_name) or (colon and not model):
            raise ConfigurationError(f"model {name!r}: expected {OFFLINE!r} or '<provider>:<model>'")
        if provider_name == OFFLINE:
            raise ConfigurationError(f"model {name!r}: {OFFLINE!r} has no models; write just {OFFLINE!r}")
        if provider_name in self._vendors:
            return _vendor(provider_name, model, self._vendors[provider_name]), model
        plugin = self._plugin(name, provider_name)
        return _built(name, plugin, model), model

    def _plugin(self, name: str, provider_name: str) -> EntryPoint:
        found = self._plugins.get(provider_name, [])
        if len(found) > 1:
            packages = ", ".join(sorted(_package(plugin) for plugin in found))
            raise ConfigurationError(
                f"model {name!r}: several packages provide {provider_name!r}: {packages}"
            )
        if found:
            return found[0]
        known = ", ".join(self.names())
        near = difflib.get_close_matches(provider_name, self.names(), n=1)
        hint = f" (did you mean {near[0]!r}?)" if near else ""
        raise ConfigurationError(
            f"model {name!r}: unknown provider {provider_name!r}{hint}; installed: {known}"
        )


def _vendor(name: str, model: str, access: VendorAccess) -> Provider:
    if name == "openai":
        from services.llm.vendors.openai import OpenAIProvider

        return OpenAIProvider(model, access)
    from services.llm.vendors.anthropic import AnthropicProvider

    return AnthropicProvider(model, access)


def _built(name: str, plugin: EntryPoint, model: str) -> Provider:
    where = f"model {name!r}: provider package {_package(plugin)}"
    try:
        factory = plugin.load()
        provider = factory(model)
    except ConfigurationError as error:
        raise ConfigurationError(*(f"{where}: {problem}" for problem in error.problems)) from error
    except ImportError as error:
        raise ConfigurationError(f"{where} can not be imported: {error}") from error
    except (Exception, SystemExit) as error:
        # The border to plugin code. Its own words may hold secrets, so only the type is told.
        raise ConfigurationError(f"{where} can not be used: {type(error).__name__}") from error
    if not _is_provider(provider):
        raise ConfigurationError(f"{where} gave no provider: it needs name, context_tokens and stream()")
    return cast(Provider, provider)


def _is_provider(value: object) -> bool:
    tokens = getattr(value, "context_tokens", None)
    return (
        isinstance(getattr(value, "name", None), str)
        and isinstance(tokens, int)
        and tokens > 0
        and callable(getattr(value, "stream", None))
    )


def _package(plugin: EntryPoint) -> str:
    return plugin.dist.name if plugin.dist else plugin.value
