"""The provider `anthropic:<model>` passes the suites of every HTTP provider and of every vendor."""

from __future__ import annotations

import pytest

from services.llm.provider import Provider
from services.llm.vendors.anthropic import AnthropicProvider
from services.settings import VendorAccess
from services.variables import Secret
from tests.conformance.provider_suite import ProviderAt
from tests.conformance.vendor_suite import VendorSuite
from tests.fakes.llm_anthropic import KEY, Messages


class TestAnthropicProvider(VendorSuite):
    dialect = Messages()

    @pytest.fixture
    def provider_at(self) -> ProviderAt:
        def make(base_url: str) -> Provider:
            return AnthropicProvider("fake-1", VendorAccess(key=Secret(KEY), base_url=base_url))

        return make
