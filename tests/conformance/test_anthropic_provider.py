"""The provider `anthropic:<model>` passes the suites of every HTTP provider and of every vendor."""

from __future__ import annotations

import pytest

from services.llm.provider import Finished, Provider
from services.llm.vendors.anthropic import AnthropicProvider
from services.settings import VendorAccess
from services.variables import Secret
from tests.conformance.provider_suite import REQUEST, CountingCall, ProviderAt
from tests.conformance.vendor_suite import VendorSuite
from tests.fakes.llm_anthropic import KEY, Messages
from tests.fakes.llm_server import LLMServer


def provider_of(base_url: str) -> Provider:
    return AnthropicProvider("fake-1", VendorAccess(key=Secret(KEY), base_url=base_url))


@pytest.fixture(scope="module", autouse=True)
def _loaded() -> None:
    """The SDK is loaded by its first request, which takes seconds on a busy machine: no test waits for that."""
    with LLMServer(Messages()) as server:
        list(provider_of(server.url).stream(REQUEST, CountingCall()))


class TestAnthropicProvider(VendorSuite):
    dialect = Messages()

    @pytest.fixture
    def provider_at(self) -> ProviderAt:
        return provider_of

    def test_a_server_of_your_own_is_asked_without_a_key(self, server: LLMServer) -> None:
        server.dialect = Messages(key="")
        provider = AnthropicProvider("fake-1", VendorAccess(base_url=server.url))
        assert isinstance(list(provider.stream(REQUEST, CountingCall()))[-1], Finished)
