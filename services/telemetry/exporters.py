"""The official SDK put together for one process. Imported only where an endpoint is configured.

Only the exporter of the protocol in use is imported: the other one drags a library of its own.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable

from opentelemetry import trace as api
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter

from services.telemetry.batches import Batches
from services.telemetry.complaints import Complaints
from services.telemetry.otel import Otel
from services.telemetry.sdk import SdkTracer


def resource_of(role: str, version: str) -> Resource:
    """Who this process is. OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES win, as the SDK reads them."""
    own: dict[str, str | int] = {
        "service.name": "turnwright",
        "service.version": version,
        "service.instance.id": uuid.uuid4().hex,
        "turnwright.role": role,
        "process.pid": os.getpid(),
    }
    named = Resource(dict(own)).merge(Resource.create())
    if str(named.attributes["service.name"]).startswith("unknown_service"):
        named = named.merge(Resource({"service.name": "turnwright"}))
    return _Known(named)


class _Known(Resource):
    """A resource with its hash at hand: encoding asks for it span by span, and the SDK writes JSON each time."""

    def __init__(self, resource: Resource) -> None:
        super().__init__(dict(resource.attributes), resource.schema_url)
        self._hash = super().__hash__()

    def __hash__(self) -> int:
        return self._hash


def start_traces(
    otel: Otel, resource: Resource, version: str, dropped: Callable[[int, str], None]
) -> tuple[SdkTracer, Batches]:
    """A tracer whose spans go to the configured endpoint, and their way out. Raises: ValueError, OSError."""
    complaints = Complaints(str(otel.traces_to or ""))
    batches = Batches(_span_exporter(otel), otel.batching, dropped, complaints.told)
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(batches)
    # So that spans of users' tools and of the libraries they use join in.
    api.set_tracer_provider(provider)
    return SdkTracer(provider, batches, version), batches


def _span_exporter(otel: Otel) -> SpanExporter:
    if otel.traces == "grpc":
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as OverGrpc

        return OverGrpc(timeout=otel.timeout_s)
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    return OTLPSpanExporter(timeout=otel.timeout_s)
