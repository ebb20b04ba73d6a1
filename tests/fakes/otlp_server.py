"""A collector as a real server in a thread: decodes what it is sent with the official protobuf, and can be
slow, broken or answer garbage. OTLP over HTTP; with `grpc` over gRPC.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from types import TracebackType
from typing import Literal

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span as SpanMessage

from tests.fakes.http_server import FakeServer, HTTPServer
from tests.worker.waiting import wait_until

Mode = Literal["ok", "slow", "broken", "garbage", "hang_up"]
KINDS = {1: "internal", 2: "server", 3: "client", 4: "producer", 5: "consumer"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """One exported span. Ids in hex, times in epoch ms."""

    name: str
    kind: str
    trace: str
    id: str
    parent: str
    role: str
    links: tuple[tuple[str, str], ...]
    attributes: dict[str, object]
    is_error: bool
    began: float
    ended: float


class Collector(FakeServer):
    """The fake. `mode` may be changed while it runs; `spans` in the order of arrival."""

    def __init__(self) -> None:
        self.mode: Mode = "ok"
        self.spans: list[Span] = []
        self.metrics: list[ExportMetricsServiceRequest] = []
        self.raw: list[bytes] = []
        self.requests = 0
        super().__init__(_Connection)

    def take(self, path: str, body: bytes) -> None:
        """Decode and keep one export."""
        self.raw.append(body)
        if path.endswith("/v1/metrics"):
            self.metrics.append(ExportMetricsServiceRequest.FromString(body))
        else:
            self.keep(ExportTraceServiceRequest.FromString(body))

    def keep(self, asked: ExportTraceServiceRequest) -> None:
        """Keep the spans of one export."""
        for resource in asked.resource_spans:
            about = {each.key: _value(each.value) for each in resource.resource.attributes}
            for scope in resource.scope_spans:
                self.spans += [_span(each, str(about.get("turnwright.role", ""))) for each in scope.spans]

    def of(self, trace: str) -> list[Span]:
        """The spans of a trace, in the order they began."""
        return sorted((each for each in list(self.spans) if each.trace == trace), key=lambda each: each.began)

    def wait_for(self, condition: Callable[[list[Span]], bool], *, within_s: float = 15.0) -> None:
        """Wait until what came satisfies `condition`."""
        try:
            wait_until(lambda: condition(list(self.spans)), within_s=within_s)
        except AssertionError as error:
            raise AssertionError(f"{error}: {sorted({each.name for each in self.spans})}") from None


def check_tree(spans: list[Span], *, outside: str = "") -> None:
    """No orphan, no span twice, no child older than its parent, every one ended; `outside` is a parent of others."""
    by_id = {each.id: each for each in spans}
    assert len(by_id) == len(spans), "a span came twice"
    for each in spans:
        assert 0 < each.began <= each.ended, each
        if each.parent and each.parent != outside:
            assert each.parent in by_id, f"{each.name} is an orphan among {[s.name for s in spans]}"
    roots = [each.name for each in spans if not each.parent or each.parent == outside]
    assert len(roots) == 1, roots


class GrpcCollector(Collector):
    """The same over gRPC; `grpc_url` is its address."""

    def __enter__(self) -> GrpcCollector:
        import grpc

        super().__enter__()
        self._grpc = grpc.server(ThreadPoolExecutor(2))
        handler = grpc.unary_unary_rpc_method_handler(
            self._export,
            request_deserializer=ExportTraceServiceRequest.FromString,
            response_serializer=ExportTraceServiceResponse.SerializeToString,
        )
        service = "opentelemetry.proto.collector.trace.v1.TraceService"
        self._grpc.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler(service, {"Export": handler}),)
        )
        self.grpc_url = f"http://127.0.0.1:{self._grpc.add_insecure_port('127.0.0.1:0')}"
        self._grpc.start()
        return self

    def _export(self, asked: ExportTraceServiceRequest, context: object) -> ExportTraceServiceResponse:
        self.keep(asked)
        return ExportTraceServiceResponse()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._grpc.stop(0).wait()
        super().__exit__(kind, error, traceback)


def _span(given: SpanMessage, role: str) -> Span:
    return Span(
        name=given.name,
        kind=KINDS[given.kind],
        trace=given.trace_id.hex(),
        id=given.span_id.hex(),
        parent=given.parent_span_id.hex(),
        role=role,
        links=tuple((link.trace_id.hex(), link.span_id.hex()) for link in given.links),
        attributes={each.key: _value(each.value) for each in given.attributes},
        is_error=given.status.code == 2,
        began=given.start_time_unix_nano / 1e6,
        ended=given.end_time_unix_nano / 1e6,
    )


def _value(value: AnyValue) -> object:
    which = value.WhichOneof("value")
    if which == "array_value":
        return [_value(each) for each in value.array_value.values]
    return getattr(value, which) if which else None


class _Connection(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: HTTPServer[Collector]
    connection: socket.socket

    def log_message(self, format: str, *args: object) -> None:
        """Exports are recorded, not printed."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", "0")))
        fake = self.server.fake
        fake.requests += 1
        match fake.mode:
            case "slow":
                fake.stopping.wait(30)
            case "broken":
                self._answer(500, b"out of order")
            case "garbage":
                self._answer(299, b"\x00\xff" * 4096)
            case "hang_up":
                self.connection.shutdown(socket.SHUT_RDWR)
            case _:
                fake.take(self.path, body)
                self._answer(200, b"")

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
