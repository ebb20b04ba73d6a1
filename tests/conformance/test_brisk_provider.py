"""The provider with kept connections, installed as a package, passes the suite every HTTP provider must pass."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.llm.provider import Provider
from services.llm.registry import ProviderRegistry
from tests.conformance.provider_suite import HTTPProviderSuite, ProviderAt
from tests.fakes.llm_dialects import JSONLines
from tests.plugins.install import install_plugin


@pytest.fixture(scope="module")
def _installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    target = tmp_path_factory.mktemp("site")
    install_plugin("brisk_provider", target)
    before = [*sys.path], {*sys.modules}
    sys.path.insert(0, str(target))
    yield
    sys.path[:] = before[0]
    for name in {name for name in sys.modules if name.partition(".")[0] == "brisk_provider"} - before[1]:
        del sys.modules[name]


@pytest.mark.usefixtures("_installed")
class TestBriskProvider(HTTPProviderSuite):
    dialect = JSONLines()

    @pytest.fixture
    def provider_at(self, monkeypatch: pytest.MonkeyPatch) -> ProviderAt:
        def make(base_url: str) -> Provider:
            monkeypatch.setenv("BRISK_BASE_URL", base_url)
            provider, _ = ProviderRegistry().resolve("brisk:fake-1")
            return provider

        return make

    def test_it_comes_from_the_installed_package(
        self, provider: Provider, tmp_path_factory: pytest.TempPathFactory
    ) -> None:
        module = sys.modules[type(provider).__module__]
        assert module.__file__ is not None
        assert tmp_path_factory.getbasetemp() in Path(module.__file__).parents
