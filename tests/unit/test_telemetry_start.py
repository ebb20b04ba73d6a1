"""What the environment turns on, what that imports, and what is refused."""

from __future__ import annotations

import subprocess
import sys

import pytest

from services.errors import ConfigurationError
from services.settings import load_settings
from services.telemetry.otel import Otel, read_otel
from tests.architecture.sources import ROOT

ENDPOINT = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}
START = """
import sys
from services.telemetry.otel import read_otel
from services.telemetry.process import start_telemetry
import os
start_telemetry(read_otel(os.environ)[0], "test")
print(*sorted(name for name in ("opentelemetry", "opentelemetry.sdk", "requests", "grpc", "google.protobuf",
                                "opentelemetry.sdk.metrics.export") if name in sys.modules), "services", flush=True)
os._exit(0)
"""


def imported(**variables: str) -> set[str]:
    """Which of the libraries a process imports that starts its telemetry with these variables."""
    done = subprocess.run(
        [sys.executable, "-c", START],
        env={"PYTHONPATH": str(ROOT), **variables},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return set(done.stdout.split())


def test_without_an_endpoint_nothing_of_the_sdk_is_imported() -> None:
    assert imported() == {"services"}
    assert imported(OTEL_SDK_DISABLED="true", **ENDPOINT) == {"services"}


def test_only_the_protocol_in_use_is_imported() -> None:
    over_http = imported(**ENDPOINT)
    assert {"opentelemetry.sdk", "google.protobuf", "opentelemetry.sdk.metrics.export"} <= over_http
    assert "grpc" not in over_http
    over_grpc = imported(OTEL_EXPORTER_OTLP_PROTOCOL="grpc", **ENDPOINT)
    assert "grpc" in over_grpc
    assert "requests" not in over_grpc


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, (None, None)),
        (ENDPOINT, ("http/protobuf", "http/protobuf")),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c:4318/v1/traces"}, ("http/protobuf", None)),
        ({**ENDPOINT, "OTEL_TRACES_EXPORTER": "none"}, (None, "http/protobuf")),
        ({**ENDPOINT, "OTEL_METRICS_EXPORTER": "none"}, ("http/protobuf", None)),
        ({**ENDPOINT, "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL": "grpc"}, ("http/protobuf", "grpc")),
        ({**ENDPOINT, "OTEL_SDK_DISABLED": "TRUE"}, (None, None)),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "  "}, (None, None)),
    ],
)
def test_a_signal_is_exported_where_it_has_an_endpoint(
    variables: dict[str, str], expected: tuple[str | None, str | None]
) -> None:
    found, problems = read_otel(variables)

    assert (found.traces, found.metrics) == expected
    assert problems == []


def test_what_the_sdk_reads_of_batches_is_read_the_same_way() -> None:
    found, problems = read_otel(
        {
            "OTEL_BSP_MAX_QUEUE_SIZE": "100",
            "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "50",
            "OTEL_BSP_SCHEDULE_DELAY": "250",
            "OTEL_METRIC_EXPORT_INTERVAL": "1000",
            "OTEL_EXPORTER_OTLP_TIMEOUT": "7",
        }
    )

    assert (found.batching.queue, found.batching.batch, found.batching.delay_s) == (100, 50, 0.25)
    assert (found.metrics_s, found.timeout_s, Otel().timeout_s) == (1.0, None, 5.0)
    assert problems == []


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("OTEL_BSP_MAX_QUEUE_SIZE", "many", "whole number"),
        ("OTEL_BSP_SCHEDULE_DELAY", "-1", "whole number"),
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "5000", "OTEL_BSP_MAX_QUEUE_SIZE"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json", "http/protobuf, grpc"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector", "an address like"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:many", "an address like"),
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "collector:4318", "an address like"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "soon", "seconds"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "nan", "seconds"),
        ("TURNWRIGHT_TRACE_CONTENT", "all", "none, redacted, full"),
    ],
)
def test_what_can_not_be_meant_is_said_at_the_start(name: str, value: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said) as raised:
        load_settings({**ENDPOINT, name: value})
    assert name in str(raised.value)


def test_a_mistake_in_what_both_signals_read_is_told_once_and_without_its_value() -> None:
    for mistake in ({"OTEL_EXPORTER_OTLP_PROTOCOL": "udp"}, {"OTEL_EXPORTER_OTLP_ENDPOINT": "://key@x"}):
        _, problems = read_otel({**ENDPOINT, **mistake})

        assert len(problems) == 1
        assert "key" not in problems[0]


def test_grpc_takes_its_own_kinds_of_targets() -> None:
    target = {"OTEL_EXPORTER_OTLP_ENDPOINT": "collector:4317", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}

    assert read_otel(target)[1] == []


def test_content_is_off_unless_it_is_asked_for() -> None:
    assert load_settings({}).trace_content == "none"
    assert load_settings({"TURNWRIGHT_TRACE_CONTENT": "Redacted"}).trace_content == "redacted"


@pytest.mark.parametrize(
    ("endpoint", "protocol", "expected"),
    [
        ("http://user:canary@collector:4318/v1?key=canary", "http/protobuf", "collector:4318"),
        ("https://collector", "http/protobuf", "collector:443"),
        ("http://[::1]:4318", "http/protobuf", "[::1]:4318"),
        ("collector:4317", "grpc", "collector:4317"),
        ("unix:///run/collector.sock", "grpc", "None"),
        ("collector:many", "grpc", "None"),
    ],
)
def test_of_an_endpoint_only_host_and_port_are_told(endpoint: str, protocol: str, expected: str) -> None:
    found, _ = read_otel({"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_EXPORTER_OTLP_PROTOCOL": protocol})

    assert str(found.traces_to) == str(found.metrics_to) == expected
