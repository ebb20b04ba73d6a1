"""What the built-in vendors promise on top: reused connections, cancels at any point, bounded answers."""

from __future__ import annotations

import gzip
import logging
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import msgspec
import pytest

from services.llm.provider import ChatMessage, Finished, Provider, ToolCallRequest
from tests.conformance.provider_suite import (
    REQUEST,
    CountingCall,
    HTTPProviderSuite,
    ProviderAt,
    Reading,
    failure,
    text_of,
)
from tests.fakes.llm_scripts import Answer, Garbage, Script, Stall, Status, Verbatim
from tests.fakes.llm_server import LLMServer, Recorded

MANY = 150
GZIPPED = (("content-encoding", "gzip"),)


def user(text: str) -> ChatMessage:
    return ChatMessage(role="user", text=text)


def answered(*calls: tuple[str, str, str], text: str = "") -> ChatMessage:
    """An answer that calls tools, each by id, name and arguments."""
    return ChatMessage(
        role="assistant",
        text=text,
        tool_calls=tuple(ToolCallRequest(id=id, name=name, arguments=args) for id, name, args in calls),
    )


def result(id: str, text: str = "ok") -> ChatMessage:
    return ChatMessage(role="tool", call_id=id, text=text)


HISTORIES: dict[str, tuple[ChatMessage, ...]] = {
    "several inputs in a row": (user("a"), user("b"), answered(text="c"), user("d"), user("e")),
    "several answers in a row": (user("a"), answered(text="b"), answered(text="c"), user("d")),
    "an answer first": (answered(text="b"), user("c")),
    "texts without a letter": (user(" \n"), answered(text=""), user("")),
    "several calls of one answer": (
        user("a"),
        answered(("1", "t", "{}"), ("2", "t", "{}")),
        result("1"),
        result("2"),
        user("b"),
    ),
    "a text and a call": (user("a"), answered(("1", "t", "{}"), text="I look."), result("1")),
    "a result without a letter": (user("a"), answered(("1", "t", "{}")), result("1", "")),
    "arguments that are no JSON": (
        user("a"),
        answered(("1", "t", '{"a": '), ("2", "t", "[1]"), ("3", "t", "")),
        result("1"),
        result("2"),
        result("3"),
    ),
    "ids of another vendor": (
        user("a"),
        answered(("call:1/é", "t", "{}"), ("x" * 80, "t", "{}"), ("", "t", "{}")),
        result("call:1/é"),
        result("x" * 80),
        result(""),
    ),
    "names no tool can have": (
        user("a"),
        answered(("1", "functions.look up", "{}"), ("2", "", "{}"), ("3", "n" * 200, "{}")),
        result("1"),
        result("2"),
        result("3"),
    ),
}


@contextmanager
def full_listener() -> Iterator[str]:
    """An address that takes no more connections and refuses none: whoever connects waits."""
    with ExitStack() as held:
        listener = held.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            filler = held.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


class VendorSuite(HTTPProviderSuite):
    """For a provider on the SDK of its vendor."""

    def test_a_connection_serves_one_request_after_the_other(
        self, provider: Provider, server: LLMServer
    ) -> None:
        for _ in range(3):
            list(provider.stream(REQUEST, CountingCall()))
        assert server.connections == 1

    @pytest.mark.parametrize("after", [-1, 0, 1])
    def test_a_cancel_frees_a_read_on_a_reused_connection(
        self, provider: Provider, server: LLMServer, after: int
    ) -> None:
        list(provider.stream(REQUEST, CountingCall()))
        server.will(Stall(after=after))
        reading = Reading(CountingCall())
        reading.start(provider, REQUEST)
        assert server.wait_for(lambda fake: len(fake.requests) == 2)
        if after > 0:
            reading.wait_for_piece()  # otherwise the fake, still writing, fails before it sees the end
        self._freed(reading)
        assert server.connections == 1
        assert server.wait_for(lambda fake: fake.disconnects == 1)

    def test_a_connection_that_was_shut_serves_nobody(self, provider: Provider, server: LLMServer) -> None:
        server.will(Stall(after=1))
        reading = self._blocked(provider, server)
        reading.wait_for_piece()
        self._freed(reading)
        assert text_of(list(provider.stream(REQUEST, CountingCall()))) == "Hello, world"
        assert server.connections == 2

    def test_a_cancel_at_the_last_piece_harms_no_other(self, provider: Provider, server: LLMServer) -> None:
        call = CountingCall()
        stream = provider.stream(REQUEST, call)
        while not isinstance(next(stream), Finished):
            pass
        call.cancel("late")
        list(stream)
        assert text_of(list(provider.stream(REQUEST, CountingCall()))) == "Hello, world"

    def test_a_cancel_frees_a_call_that_still_connects(self, provider_at: ProviderAt) -> None:
        with full_listener() as address:
            reading = Reading(CountingCall())
            reading.start(provider_at(address), msgspec.structs.replace(REQUEST, connect_s=60.0))
            self._freed(reading)
        assert reading.call.starts == 0

    def test_a_cancel_frees_a_call_that_still_shakes_hands(self, provider_at: ProviderAt) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            reading = Reading(CountingCall())
            address = f"https://127.0.0.1:{listener.getsockname()[1]}"
            reading.start(provider_at(address), msgspec.structs.replace(REQUEST, connect_s=60.0))
            connection, _ = listener.accept()
            with connection:
                assert connection.recv(1)
                self._freed(reading)
        assert reading.call.starts == 0

    def test_a_connection_that_does_not_come_about_means_not_sent(self, provider_at: ProviderAt) -> None:
        with full_listener() as address:
            error, _ = failure(provider_at(address), msgspec.structs.replace(REQUEST, connect_s=0.3))
        assert (error.kind, error.code) == ("not_sent", "connect_timeout")

    def test_a_server_without_encryption_means_not_sent(
        self, server: LLMServer, provider_at: ProviderAt
    ) -> None:
        error, _ = failure(provider_at(server.url.replace("http:", "https:")))
        assert (error.kind, error.code) == ("not_sent", "tls")

    def test_a_name_that_can_not_be_resolved_means_not_sent(self, provider_at: ProviderAt) -> None:
        error, _ = failure(provider_at("http://no-such-host.invalid"))
        assert (error.kind, error.code) == ("not_sent", "dns")

    def test_many_streams_run_at_once(self, provider: Provider, server: LLMServer) -> None:
        everybody = threading.Barrier(MANY)

        def respond(recorded: Recorded) -> Script:
            everybody.wait(30)
            return Answer()

        server.respond = respond
        readings = [Reading(CountingCall()) for _ in range(MANY)]
        for reading in readings:
            reading.start(provider, REQUEST)
        for reading in readings:
            assert reading._thread is not None
            reading._thread.join(30)
        assert all(isinstance(reading.pieces[-1], Finished) for reading in readings)

    def test_an_endless_line_is_malformed(self, provider: Provider, server: LLMServer) -> None:
        server.will(Garbage(body=b"data: " + b"x" * (9 * 1024 * 1024)))
        assert failure(provider)[0].kind == "malformed"

    def test_an_encoded_answer_is_not_unpacked(self, provider: Provider, server: LLMServer) -> None:
        server.will(Verbatim(headers=GZIPPED, body=gzip.compress(b"data: {}\n\n")))
        error, _ = failure(provider)
        assert (error.kind, error.code) == ("malformed", "encoded_answer")

    @pytest.mark.parametrize(
        "script",
        [
            Verbatim(status=429, headers=(*GZIPPED, ("retry-after", "3")), body=gzip.compress(b"{}")),
            Verbatim(status=429, headers=(("retry-after-ms", "3000"),), body=b'{"error": {"message":'),
            Verbatim(status=429, headers=(("retry-after", "3"),), body=b"x" * 200_000),
            Status(status=429, retry_after="3"),
        ],
    )
    def test_a_refusal_is_understood_whatever_its_body_is(
        self, provider: Provider, server: LLMServer, script: Script
    ) -> None:
        server.will(script)
        error, _ = failure(provider)
        assert (error.kind, error.retry_after_s) == ("overloaded", 3)

    def test_a_page_in_place_of_an_answer_is_malformed(self, provider: Provider, server: LLMServer) -> None:
        server.will(Verbatim(body=b"<html>\nSign in first\n</html>\n"))
        assert failure(provider)[0].kind == "malformed"

    @pytest.mark.parametrize("name", HISTORIES)
    def test_every_history_can_be_sent(self, provider: Provider, server: LLMServer, name: str) -> None:
        request = msgspec.structs.replace(REQUEST, messages=HISTORIES[name], system="", tools=())
        assert isinstance(list(provider.stream(request, CountingCall()))[-1], Finished)
        assert server.faults == []

    def test_tools_are_offered_as_they_are(self, provider: Provider, server: LLMServer) -> None:
        list(provider.stream(REQUEST, CountingCall()))
        (offered,) = server.requests[0].asked.tools
        (tool,) = REQUEST.tools
        assert (offered.name, offered.description) == (tool.name, tool.description)
        assert msgspec.json.decode(offered.parameters) == msgspec.json.decode(tool.parameters)

    @pytest.mark.parametrize("broken", ["key", "path", "body"])
    def test_the_fake_refuses_what_the_vendor_would(
        self, provider_at: ProviderAt, server: LLMServer, broken: str
    ) -> None:
        if broken == "key":
            server.dialect = type(self.dialect)("sk-other")  # type: ignore[call-arg]  # vendors' take a key
        address = f"{server.url}/elsewhere" if broken == "path" else server.url
        unanswered = (user("a"), answered(("1", "t", "{}")))
        request = REQUEST if broken != "body" else msgspec.structs.replace(REQUEST, messages=unanswered)
        error, _ = failure(provider_at(address), request)
        assert (error.kind, len(server.faults), server.requests) == ("rejected", 1, [])

    def test_nothing_of_a_request_is_logged(
        self, provider: Provider, server: LLMServer, caplog: pytest.LogCaptureFixture
    ) -> None:
        request = msgspec.structs.replace(REQUEST, messages=(user("canary"),))
        list(provider.stream(request, CountingCall()))
        caplog.set_level(logging.DEBUG)
        server.will(Answer(), Status(status=500, reason="canary"), Garbage(body=b"canary\n\n"))
        list(provider.stream(request, CountingCall()))
        for _ in range(2):
            failure(provider, request)
        assert [
            record for record in caplog.records if record.name.startswith(("openai", "anthropic", "http"))
        ] == []
        assert "canary" not in caplog.text

    @staticmethod
    def _freed(reading: Reading) -> None:
        reading.cancel()
        assert reading.error is not None
        assert reading.error.kind == "cancelled"
