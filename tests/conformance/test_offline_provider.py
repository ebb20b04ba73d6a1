"""The offline model passes those parts of the suite that need no network."""

from __future__ import annotations

import pytest

from services.llm.offline import OfflineProvider
from services.llm.provider import Provider
from tests.conformance.provider_suite import ProviderSuite


class TestOfflineProvider(ProviderSuite):
    @pytest.fixture
    def provider(self) -> Provider:
        return OfflineProvider()
