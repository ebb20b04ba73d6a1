"""Which provider serves a model name."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import EntryPoint

import pytest

from services.errors import ConfigurationError
from services.llm.offline import OfflineProvider
from services.llm.registry import GROUP, ProviderRegistry
from services.settings import VendorAccess
from services.variables import Secret

HERE = __name__


class Acme(OfflineProvider):
    """A provider for the tests."""

    built = 0

    def __init__(self, model: str) -> None:
        type(self).built += 1
        self.model = model


def needs_setting(model: str) -> Acme:
    raise ConfigurationError("ACME_KEY is not set")


def breaks(model: str) -> Acme:
    raise RuntimeError("sk-canary")


def exits(model: str) -> Acme:
    raise SystemExit(3)


def gives_nothing(model: str) -> object:
    return object()


def registry(**targets: str) -> ProviderRegistry:
    points = [EntryPoint(name, value, GROUP) for name, value in targets.items()]
    return ProviderRegistry(lambda: points)


def problem(resolve: Callable[[], object]) -> str:
    with pytest.raises(ConfigurationError) as raised:
        resolve()
    return str(raised.value)


def test_offline_is_built_in() -> None:
    provider, model = registry().resolve("offline")
    assert (provider.name, model) == ("offline", "")


def test_a_package_serves_its_models() -> None:
    provider, model = registry(acme=f"{HERE}:Acme").resolve("acme:llama3:8b")
    assert isinstance(provider, Acme)
    assert (provider.model, model) == ("llama3:8b", "llama3:8b")


def test_one_provider_is_made_per_model_name() -> None:
    Acme.built = 0
    providers = registry(acme=f"{HERE}:Acme")
    first, _ = providers.resolve("acme:a")
    second, _ = providers.resolve("acme:a")
    providers.resolve("acme:b")
    assert first is second
    assert Acme.built == 2


def test_an_unknown_provider_is_refused_naming_what_is_installed() -> None:
    said = problem(lambda: registry(acme=f"{HERE}:Acme").resolve("acne:x"))
    assert "unknown provider 'acne'" in said
    assert "did you mean 'acme'" in said
    assert "installed: offline, openai, anthropic, acme" in said


@pytest.mark.parametrize("vendor", ["openai", "anthropic"])
def test_a_vendor_needs_a_key_or_an_address_of_your_own(vendor: str) -> None:
    assert f"set {vendor.upper()}_API_KEY" in problem(lambda: registry().resolve(f"{vendor}:m"))
    for access in (VendorAccess(key=Secret("sk-1")), VendorAccess(base_url="http://127.0.0.1:11434/v1")):
        provider, model = ProviderRegistry(list, vendors={vendor: access}).resolve(f"{vendor}:m")
        assert (provider.name, model) == (vendor, "m")


def test_what_is_wrong_with_a_vendors_variables_matters_to_its_models_only() -> None:
    providers = ProviderRegistry(list, vendors={"openai": VendorAccess(problems=("OPENAI_BASE_URL: bad",))})
    assert providers.resolve("offline")
    assert problem(lambda: providers.resolve("openai:m")) == "model 'openai:m': OPENAI_BASE_URL: bad"


def test_a_package_can_not_replace_a_vendor() -> None:
    said = problem(lambda: registry(openai=f"{HERE}:Acme").resolve("openai:m"))
    assert "set OPENAI_API_KEY" in said
    assert registry(openai=f"{HERE}:Acme").names() == ("offline", "openai", "anthropic")


@pytest.mark.parametrize(
    "name", ["", ":", "acme:", ":m", "Acme:m", "a b:m", "offline:m", "offline:", "openai:"]
)
def test_a_malformed_name_is_refused(name: str) -> None:
    assert repr(name) in problem(lambda: registry(acme=f"{HERE}:Acme").resolve(name))


def test_a_package_that_can_not_be_imported_harms_only_who_names_it() -> None:
    providers = registry(broken="no_such_module_here:Provider", acme=f"{HERE}:Acme")
    said = problem(lambda: providers.resolve("broken:m"))
    assert "no_such_module_here" in said
    assert providers.resolve("acme:m")[1] == "m"


@pytest.mark.parametrize(
    ("factory", "words"),
    [
        ("needs_setting", "ACME_KEY is not set"),
        ("breaks", "can not be used: RuntimeError"),
        ("exits", "can not be used: SystemExit"),
        ("gives_nothing", "gave no provider"),
    ],
)
def test_a_factory_that_gives_no_provider_is_a_configuration_error(factory: str, words: str) -> None:
    said = problem(lambda: registry(acme=f"{HERE}:{factory}").resolve("acme:m"))
    assert words in said
    assert "canary" not in said


def test_two_packages_with_one_name_are_refused() -> None:
    points = [EntryPoint("acme", f"{HERE}:Acme", GROUP), EntryPoint("acme", f"{HERE}:breaks", GROUP)]
    assert "several packages provide 'acme'" in problem(
        lambda: ProviderRegistry(lambda: points).resolve("acme:m")
    )


def test_check_tells_all_problems_at_once() -> None:
    with pytest.raises(ConfigurationError) as raised:
        registry().check(["offline", "openai:a", "nope:b"])
    assert len(raised.value.problems) == 2
    registry().check(["offline"])
