"""Why an export failed, as it may be logged: of what kind it was, never an address with its secrets nor words."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from services.telemetry.complaints import Complaints
from services.telemetry.context import Trace
from services.telemetry.otel import Batching
from tests.fakes.otlp_server import Collector, Mode

pytest.importorskip("opentelemetry.sdk")

from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as OverGrpc
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter

from services.telemetry.batches import Batches
from services.telemetry.sdk import SdkTracer

EXPORTERS = logging.getLogger("opentelemetry.exporter")
PARENT = Trace("a" * 32, "b" * 16, 1)


@pytest.fixture
def complaints() -> Iterator[Complaints]:
    made = Complaints("collector:4318")
    yield made
    EXPORTERS.removeHandler(made)


def export(exporter: SpanExporter, complaints: Complaints) -> None:
    """Try to export one span."""
    batches = Batches(exporter, Batching(), lambda count, why: None, complaints.told)
    SdkTracer(TracerProvider(shutdown_on_exit=False), batches, "1").begin("append", parent=PARENT).end()
    assert batches.flush(10.0)
    batches.stop(0.1)


@pytest.mark.parametrize(
    ("mode", "error"), [("broken", "status 500"), ("hang_up", "gave_up"), ("slow", "gave_up")]
)
def test_the_kind_of_error_is_told(
    complaints: Complaints, caplog: pytest.LogCaptureFixture, mode: Mode, error: str
) -> None:
    with Collector() as collector:
        collector.mode = mode
        endpoint = f"{collector.url}/v1/traces?key=canary"
        with caplog.at_level(logging.WARNING, "turnwright"):
            export(OTLPSpanExporter(endpoint=endpoint, timeout=0.3), complaints)

    [line] = [each.getMessage() for each in caplog.records if each.name == "turnwright.telemetry"]
    assert "spans_not_exported" in line
    assert complaints.told() == {"to": "collector:4318", "error": error}
    assert "canary" not in line


def test_a_collector_that_is_not_there_is_told_over_grpc_too(complaints: Complaints) -> None:
    exporter = OverGrpc(endpoint="http://127.0.0.1:9", timeout=0.3)
    export(exporter, complaints)
    exporter.shutdown()

    assert complaints.told()["error"] in ("unavailable", "deadline_exceeded")


def test_what_a_server_said_is_not_told(complaints: Complaints) -> None:
    log = EXPORTERS.getChild("x")
    log.warning("Transient error %s encountered, retrying in %.2fs.", "canary", 0.5)
    assert complaints.told() == {"to": "collector:4318"}

    log.error("Failed to export %s batch code: %s, reason: %s", "spans", 403, "canary")
    assert complaints.told()["error"] == "status 403"

    log.error("Failed to export %s batch code: %s, reason: %s", "spans", None, OSError("canary"))
    assert complaints.told()["error"] == "OSError"


def test_why_it_was_tried_again_is_told_when_that_did_not_help(complaints: Complaints) -> None:
    log = EXPORTERS.getChild("x")
    log.warning("Transient error %s encountered, retrying in %.2fs.", "Service Unavailable", 0.5)
    log.error("Failed to export %s batch due to timeout, max retries or shutdown.", "spans")
    assert complaints.told()["error"] == "status 503"

    log.error("Failed to export %s batch due to timeout, max retries or shutdown.", "spans")
    assert complaints.told()["error"] == "gave_up"
