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


class TestAnthropicProvider(VendorSuite):
    dialect = Messages()

    @pytest.fixture
    def provider_at(self) -> ProviderAt:
        def make(base_url: str) -> Provider:
            return AnthropicProvider("fake-1", VendorAccess(key=Secret(KEY), base_url=base_url))

        return make

    def test_a_server_of_your_own_is_asked_without_a_key(self, server: LLMServer) -> None:
        server.dialect = Messages(key="")
        provider = AnthropicProvider("fake-1", VendorAccess(base_url=server.url))
        assert isinstance(list(provider.stream(REQUEST, CountingCall()))[-1], Finished)
