"""The provider `openai:<model>` passes the suites of every HTTP provider and of every vendor."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import pytest

from services.llm.provider import Finished, Provider
from services.llm.vendors.openai import OpenAIProvider
from services.settings import VendorAccess
from services.variables import Secret
from tests.conformance.provider_suite import REQUEST, CountingCall, ProviderAt, failure
from tests.conformance.vendor_suite import VendorSuite
from tests.fakes.llm_dialects import Fault
from tests.fakes.llm_openai import KEY, ChatCompletions
from tests.fakes.llm_server import LLMServer


def provider_of(base_url: str) -> Provider:
    return OpenAIProvider("fake-1", VendorAccess(key=Secret(KEY), base_url=f"{base_url}/v1"))


@pytest.fixture(scope="module", autouse=True)
def _loaded() -> None:
    """The SDK is loaded by its first request, which takes seconds on a busy machine: no test waits for that."""
    with LLMServer(ChatCompletions()) as server:
        list(provider_of(server.url).stream(REQUEST, CountingCall()))


class TestOpenAIProvider(VendorSuite):
    dialect = ChatCompletions()

    @pytest.fixture
    def provider_at(self) -> ProviderAt:
        return provider_of

    def test_a_server_of_your_own_is_asked_without_a_key(self, server: LLMServer) -> None:
        server.dialect = ChatCompletions(key="")
        provider = OpenAIProvider("fake-1", VendorAccess(base_url=f"{server.url}/v1"))
        assert isinstance(list(provider.stream(REQUEST, CountingCall()))[-1], Finished)

    def test_the_vendors_log_can_be_matched_with_ours(self, provider: Provider, server: LLMServer) -> None:
        request = msgspec.structs.replace(REQUEST, job="prompt:1@2")
        list(provider.stream(request, CountingCall()))
        assert server.requests[0].headers["x-client-request-id"] == "prompt:1@2"

    def test_a_proxy_of_the_environment_is_used_except_where_it_says_not(
        self, server: LLMServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        server.dialect = Forwarded()
        monkeypatch.setenv("http_proxy", server.url)
        monkeypatch.delenv("no_proxy", raising=False)
        there = OpenAIProvider("fake-1", VendorAccess(key=Secret(KEY), base_url=Forwarded.address))
        assert isinstance(list(there.stream(REQUEST, CountingCall()))[-1], Finished)

        monkeypatch.setenv("no_proxy", "vendor.invalid")
        direct = OpenAIProvider("fake-1", VendorAccess(key=Secret(KEY), base_url=Forwarded.address))
        assert failure(direct)[0].code == "dns"


class Forwarded(ChatCompletions):
    """As a proxy sees it: with the vendor's whole address in place of the path."""

    address = "http://vendor.invalid/v1"

    def fault(self, path: str, headers: Mapping[str, str], body: bytes) -> Fault | None:
        """What the vendor would refuse."""
        return super().fault(path.removeprefix("http://vendor.invalid"), headers, body)
