"""What every provider must do. Subclass `ProviderSuite`, for a vendor over HTTP `HTTPProviderSuite`.

The subclass brings fixtures: `provider` and, over HTTP, `provider_at` (makes one for a base URL), and sets
`dialect` to the wire format in which the fake answers it.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Literal

import msgspec
import pytest

from services.jobs.deadline import Deadlines
from services.llm.call import RunningCall, stream_run
from services.llm.provider import (
    ChatMessage,
    ChatRequest,
    ErrorKind,
    Finished,
    Piece,
    Provider,
    ProviderError,
    TextDelta,
    TokenUsage,
    ToolCallRequest,
    ToolSpec,
)
from tests.fakes.llm_dialects import Dialect
from tests.fakes.llm_scripts import (
    HELLO,
    Answer,
    Cut,
    CutHow,
    Garbage,
    HangUp,
    Script,
    Stall,
    Status,
    StreamError,
)
from tests.fakes.llm_server import LLMServer

DEADLINES = Deadlines()
ProviderAt = Callable[[str], Provider]

REQUEST = ChatRequest(
    model="fake-1",
    system="Be brief.",
    messages=(
        ChatMessage(role="user", text="What is the capital of Austria?"),
        ChatMessage(
            role="assistant",
            tool_calls=(ToolCallRequest(id="c1", name="look_up", arguments='{"country": "Austria"}'),),
        ),
        ChatMessage(role="tool", call_id="c1", text="Vienna"),
        ChatMessage(role="user", text="Thanks. And of France?"),
    ),
    tools=(
        ToolSpec(
            name="look_up",
            description="Tell the capital of a country.",
            parameters=msgspec.Raw(b'{"type":"object","properties":{"country":{"type":"string"}}}'),
        ),
    ),
    session="prompt:1",
    connect_s=2.0,
    idle_s=60.0,
    wall_s=120.0,
)


class CountingCall(RunningCall):
    """Counts how often a provider asked to start."""

    def __init__(self, *, wall_s: float = 120.0, may_start: Callable[[], bool] = lambda: True) -> None:
        super().__init__(deadlines=DEADLINES, wall_s=wall_s, may_start=may_start)
        self.starts = 0

    def starting(self) -> None:
        self.starts += 1
        super().starting()


@dataclass
class Reading:
    """A stream being read in a thread of its own."""

    call: CountingCall
    pieces: list[Piece] = field(default_factory=list)
    error: ProviderError | None = None
    _has_piece: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def start(self, provider: Provider, request: ChatRequest) -> None:
        """Begin to read."""

        def read() -> None:
            try:
                for piece in provider.stream(request, self.call):
                    self.pieces.append(piece)
                    self._has_piece.set()
            except ProviderError as error:
                self.error = error

        self._thread = threading.Thread(target=read, daemon=True)
        self._thread.start()

    def wait_for_piece(self) -> None:
        """Wait until the first piece has come."""
        assert self._has_piece.wait(5)

    def cancel(self) -> None:
        """Cancel from this thread and wait until the reader ended, long before any limit would end it."""
        assert self._thread is not None
        self.call.cancel("user")
        self._thread.join(5)
        assert not self._thread.is_alive()


def failure(
    provider: Provider, request: ChatRequest = REQUEST, call: CountingCall | None = None
) -> tuple[ProviderError, list[Piece]]:
    """Read a stream that must fail: the error and the pieces before it."""
    pieces: list[Piece] = []
    try:
        for piece in provider.stream(request, call or CountingCall()):
            pieces.append(piece)
    except ProviderError as error:
        return error, pieces
    pytest.fail("the stream ended well")


def text_of(pieces: list[Piece]) -> str:
    """The answer's text."""
    return "".join(piece.text for piece in pieces if isinstance(piece, TextDelta))


class ProviderSuite:
    """What holds for any provider, with or without a network."""

    def test_it_has_a_name_and_a_context_size(self, provider: Provider) -> None:
        assert provider.name
        assert provider.context_tokens > 0

    def test_an_answer_comes_in_several_pieces_and_finished_is_the_last_and_only_one(
        self, provider: Provider
    ) -> None:
        pieces = list(provider.stream(REQUEST, CountingCall()))
        assert len([piece for piece in pieces if isinstance(piece, TextDelta)]) > 1
        assert [piece for piece in pieces if isinstance(piece, Finished)] == [pieces[-1]]

    def test_usage_is_told_once_before_the_end(self, provider: Provider) -> None:
        pieces = list(provider.stream(REQUEST, CountingCall()))
        assert len([piece for piece in pieces if isinstance(piece, TokenUsage)]) == 1

    def test_it_asks_to_start_exactly_once(self, provider: Provider) -> None:
        call = CountingCall()
        list(provider.stream(REQUEST, call))
        assert call.starts == 1
        assert call.is_started

    def test_a_refusal_to_start_ends_the_attempt_as_cancelled(self, provider: Provider) -> None:
        error, pieces = failure(provider, call=CountingCall(may_start=lambda: False))
        assert error.kind == "cancelled"
        assert pieces == []

    def test_a_cancel_before_the_start_yields_nothing(self, provider: Provider) -> None:
        call = CountingCall()
        call.cancel("user")
        error, pieces = failure(provider, call=call)
        assert error.kind == "cancelled"
        assert pieces == []

    def test_a_cancel_between_pieces_ends_the_stream_as_cancelled(self, provider: Provider) -> None:
        call = CountingCall()
        stream = provider.stream(REQUEST, call)
        first = next(stream)
        call.cancel("user")
        with pytest.raises(ProviderError) as raised:
            list(stream)
        assert isinstance(first, TextDelta)
        assert raised.value.kind == "cancelled"

    def test_a_reader_that_leaves_early_is_no_error(self, provider: Provider) -> None:
        stream = stream_run(provider, REQUEST, CountingCall())
        next(stream)
        stream.close()

    def test_many_threads_share_one_provider(self, provider: Provider) -> None:
        readings = [Reading(CountingCall()) for _ in range(8)]
        for reading in readings:
            reading.start(provider, REQUEST)
        for reading in readings:
            assert reading._thread is not None
            reading._thread.join(10)
        assert len({text_of(reading.pieces) for reading in readings}) == 1
        assert all(isinstance(reading.pieces[-1], Finished) for reading in readings)


class HTTPProviderSuite(ProviderSuite):
    """What holds for a provider that talks to a vendor over HTTP."""

    dialect: Dialect

    @pytest.fixture
    def server(self) -> Iterator[LLMServer]:
        with LLMServer(self.dialect, respond=lambda recorded: Answer()) as server:
            yield server

    @pytest.fixture
    def provider(self, server: LLMServer, provider_at: ProviderAt) -> Provider:
        return provider_at(server.url)

    def test_pieces_come_as_the_vendor_sent_them(self, provider: Provider) -> None:
        pieces = list(provider.stream(REQUEST, CountingCall()))
        assert text_of(pieces) == "Hello, world"
        assert pieces[-1] == Finished(reason="stop", model="fake-1")

    def test_the_vendor_gets_the_whole_conversation(self, provider: Provider, server: LLMServer) -> None:
        list(provider.stream(REQUEST, CountingCall()))
        asked = server.requests[0].asked
        assert (asked.model, asked.system) == (REQUEST.model, REQUEST.system)
        assert asked.messages == REQUEST.messages

    def test_pieces_come_while_the_vendor_still_writes(self, provider: Provider, server: LLMServer) -> None:
        server.will(Stall(after=1))
        reading = Reading(CountingCall())
        reading.start(provider, REQUEST)
        reading.wait_for_piece()
        reading.cancel()
        assert isinstance(reading.pieces[0], TextDelta)

    def test_a_slow_answer_is_read_to_its_end(self, provider: Provider, server: LLMServer) -> None:
        server.will(Answer(delay_s=0.05, gap_s=0.05))
        assert text_of(list(provider.stream(REQUEST, CountingCall()))) == "Hello, world"

    def test_usage_is_mapped(self, provider: Provider) -> None:
        pieces = list(provider.stream(REQUEST, CountingCall()))
        usage = next(piece for piece in pieces if isinstance(piece, TokenUsage))
        assert usage == TokenUsage(input=7, output=3, cached=2, cache_write=1, reasoning=1)

    def test_an_answer_without_usage_is_still_an_answer(self, provider: Provider, server: LLMServer) -> None:
        server.will(Answer(pieces=(TextDelta("Hi"), Finished(reason="stop", model="fake-1"))))
        assert isinstance(list(provider.stream(REQUEST, CountingCall()))[-1], Finished)

    def test_an_empty_answer_is_a_success_without_text(self, provider: Provider, server: LLMServer) -> None:
        server.will(Answer(pieces=(Finished(reason="stop", model="fake-1"),)))
        pieces = list(provider.stream(REQUEST, CountingCall()))
        assert text_of(pieces) == ""
        assert isinstance(pieces[-1], Finished)

    @pytest.mark.parametrize("reason", ["length", "refused"])
    def test_the_reason_of_the_end_is_passed_on(
        self, provider: Provider, server: LLMServer, reason: Literal["length", "refused"]
    ) -> None:
        end = Finished(reason=reason, model="fake-1")
        server.will(Answer(pieces=(TextDelta("Hi"), end)))
        assert list(provider.stream(REQUEST, CountingCall()))[-1] == end

    def test_tool_calls_come_whole_and_in_order(self, provider: Provider, server: LLMServer) -> None:
        calls = (
            ToolCallRequest(id="a", name="look_up", arguments='{"country": "France"}'),
            ToolCallRequest(id="b", name="look_up", arguments='{"country": "Japan"}'),
        )
        server.will(Answer(pieces=(*calls, Finished(reason="tool_calls", model="fake-1"))))
        pieces = list(provider.stream(REQUEST, CountingCall()))
        assert [piece for piece in pieces if isinstance(piece, ToolCallRequest)] == list(calls)
        assert pieces[-1] == Finished(reason="tool_calls", model="fake-1")

    def test_repeated_ids_of_tool_calls_are_made_unique_by_the_run(
        self, provider: Provider, server: LLMServer
    ) -> None:
        calls = tuple(ToolCallRequest(id="a", name="look_up", arguments="{}") for _ in range(3))
        server.will(Answer(pieces=(*calls, Finished(reason="tool_calls", model="fake-1"))))
        pieces = list(stream_run(provider, REQUEST, CountingCall()))
        ids = [piece.id for piece in pieces if isinstance(piece, ToolCallRequest)]
        assert ids == ["a", "a-2", "a-3"]

    @pytest.mark.parametrize("how", ["end", "close", "reset"])
    @pytest.mark.parametrize("after", [0, 2, len(HELLO) - 1])
    def test_an_answer_without_its_end_is_never_a_success(
        self, provider: Provider, server: LLMServer, how: CutHow, after: int
    ) -> None:
        server.will(Cut(how=how, after=after))
        error, pieces = failure(provider)
        assert error.kind == "truncated"
        assert not [piece for piece in pieces if isinstance(piece, Finished)]

    def test_a_vendor_that_hangs_up_unanswered_is_ambiguous(
        self, provider: Provider, server: LLMServer
    ) -> None:
        server.will(HangUp())
        assert failure(provider)[0].kind == "ambiguous"

    def test_a_refused_connection_means_not_sent(self, provider_at: ProviderAt) -> None:
        with socket.socket() as bound:
            bound.bind(("127.0.0.1", 0))  # and does not listen
            call = CountingCall()
            error, _ = failure(provider_at(f"http://127.0.0.1:{bound.getsockname()[1]}"), call=call)
        assert error.kind == "not_sent"
        assert call.starts == 0

    @pytest.mark.parametrize(
        ("status", "kind"),
        [
            (400, "rejected"),
            (401, "rejected"),
            (402, "quota"),
            (403, "rejected"),
            (404, "rejected"),
            (413, "context_too_long"),
            (422, "rejected"),
            (429, "overloaded"),
            (500, "ambiguous"),
            (502, "ambiguous"),
            (503, "overloaded"),
            (504, "ambiguous"),
            (529, "overloaded"),
            (307, "rejected"),
        ],
    )
    def test_a_status_has_one_meaning(
        self, provider: Provider, server: LLMServer, status: int, kind: ErrorKind
    ) -> None:
        server.will(Status(status=status))
        error, pieces = failure(provider)
        assert (error.kind, error.code) == (kind, f"http_{status}")
        assert pieces == []

    @pytest.mark.parametrize(
        ("status", "reason"), [(400, "context_too_long"), (429, "quota"), (403, "quota")]
    )
    def test_the_vendors_own_reason_is_finer_than_the_status(
        self, provider: Provider, server: LLMServer, status: int, reason: str
    ) -> None:
        server.will(Status(status=status, reason=reason))
        assert failure(provider)[0].kind == reason

    def test_retry_after_is_passed_on(self, provider: Provider, server: LLMServer) -> None:
        server.will(Status(status=429, retry_after="7"))
        assert failure(provider)[0].retry_after_s == 7

    @pytest.mark.parametrize(("code", "kind"), [("overloaded", "overloaded"), ("server_error", "ambiguous")])
    def test_an_error_inside_the_stream_is_an_error_although_the_status_was_200(
        self, provider: Provider, server: LLMServer, code: str, kind: ErrorKind
    ) -> None:
        server.will(StreamError(code=code))
        assert failure(provider)[0].kind == kind

    def test_garbage_is_malformed(self, provider: Provider, server: LLMServer) -> None:
        server.will(Garbage())
        assert failure(provider)[0].kind == "malformed"

    def test_no_words_of_the_vendor_get_into_an_error(self, provider: Provider, server: LLMServer) -> None:
        server.will(Status(status=401, reason="bad key sk-canary"), StreamError(code="sk-canary"))
        errors = [failure(provider)[0] for _ in range(2)]
        assert all("canary" not in f"{error} {error.code}" for error in errors)

    @pytest.mark.parametrize("after", [-1, 0, 2])
    def test_silence_beyond_the_idle_limit_is_ambiguous(
        self, provider: Provider, server: LLMServer, after: int
    ) -> None:
        server.will(Stall(after=after))
        error, _ = failure(provider, msgspec.structs.replace(REQUEST, idle_s=0.3))
        assert error.kind == "ambiguous"

    def test_an_attempt_beyond_its_wall_limit_is_ambiguous(
        self, provider: Provider, server: LLMServer
    ) -> None:
        list(
            provider.stream(REQUEST, CountingCall())
        )  # what is loaded by the first request is not waited for
        server.will(Answer(pieces=(*(TextDelta("x"),) * 500, HELLO[-1]), gap_s=0.05))
        began = time.monotonic()
        with pytest.raises(ProviderError) as raised:
            list(stream_run(provider, REQUEST, CountingCall(wall_s=1.0)))
        assert (raised.value.kind, raised.value.code) == ("ambiguous", "wall_timeout")
        assert time.monotonic() - began < 10  # of the 25 s that the answer takes

    @pytest.mark.parametrize("after", [0, 1])
    def test_a_cancel_frees_a_blocked_read_and_shuts_the_socket(
        self, provider: Provider, server: LLMServer, after: int
    ) -> None:
        server.will(Stall(after=after))
        reading = self._blocked(provider, server)
        if after:
            reading.wait_for_piece()
        reading.cancel()
        assert reading.error is not None
        assert reading.error.kind == "cancelled"
        assert server.wait_for(lambda fake: fake.disconnects == 1)

    def test_a_cancel_frees_a_read_that_waits_for_the_first_byte(
        self, provider: Provider, server: LLMServer
    ) -> None:
        server.will(Stall())
        reading = self._blocked(provider, server)
        reading.cancel()
        assert reading.error is not None
        assert reading.error.kind == "cancelled"
        assert server.wait_for(lambda fake: fake.disconnects == 1)

    def test_a_cancelled_attempt_harms_no_other(self, provider: Provider, server: LLMServer) -> None:
        server.will(Stall(after=1))
        cancelled = self._blocked(provider, server)
        other = CountingCall()
        stream = provider.stream(REQUEST, other)
        next(stream)
        cancelled.cancel()
        assert isinstance(list(stream)[-1], Finished)

    def test_a_cancel_after_the_end_shuts_nothing(self, provider: Provider, server: LLMServer) -> None:
        call = CountingCall()
        list(provider.stream(REQUEST, call))
        call.cancel("late")
        assert isinstance(list(provider.stream(REQUEST, CountingCall()))[-1], Finished)

    def test_nothing_is_sent_before_the_call_may_start(self, provider: Provider, server: LLMServer) -> None:
        requests_at_start: list[int] = []

        def may_start() -> bool:
            requests_at_start.append(server.connections_with_bytes)
            return True

        list(provider.stream(REQUEST, CountingCall(may_start=may_start)))
        assert requests_at_start == [0]

    def test_a_refusal_to_start_sends_no_byte(self, provider: Provider, server: LLMServer) -> None:
        error, _ = failure(provider, call=CountingCall(may_start=lambda: False))
        assert error.kind == "cancelled"
        assert server.wait_for(lambda fake: fake.disconnects == fake.connections)
        assert server.connections_with_bytes == 0

    @pytest.mark.parametrize(
        "script", [Status(status=429), Status(status=500), Status(status=503), HangUp(), Cut(), Garbage()]
    )
    def test_it_never_repeats_a_request_by_itself(
        self, provider: Provider, server: LLMServer, script: Script
    ) -> None:
        server.will(script)
        call = CountingCall()
        failure(provider, call=call)
        assert len(server.requests) == 1
        assert call.starts == 1

    @staticmethod
    def _blocked(provider: Provider, server: LLMServer) -> Reading:
        reading = Reading(CountingCall())
        reading.start(provider, REQUEST)
        assert server.wait_for(lambda fake: len(fake.requests) == 1)
        return reading
