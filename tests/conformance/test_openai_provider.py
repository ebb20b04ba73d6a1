"""The provider `openai:<model>` passes the suites of every HTTP provider and of every vendor."""

from __future__ import annotations

import pytest

from services.llm.provider import Provider
from services.llm.vendors.openai import OpenAIProvider
from services.settings import VendorAccess
from services.variables import Secret
from tests.conformance.provider_suite import ProviderAt
from tests.conformance.vendor_suite import VendorSuite
from tests.fakes.llm_openai import KEY, ChatCompletions


class TestOpenAIProvider(VendorSuite):
    dialect = ChatCompletions()

    @pytest.fixture
    def provider_at(self) -> ProviderAt:
        def make(base_url: str) -> Provider:
            return OpenAIProvider("fake-1", VendorAccess(key=Secret(KEY), base_url=f"{base_url}/v1"))

        return make
