"""What the environment's OTEL_* variables say, as far as it decides what is imported and started.

Addresses, headers, certificates, samplers and resources are read by the SDK itself, under the same names.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal
from urllib.parse import urlsplit

import msgspec

Protocol = Literal["http/protobuf", "grpc"]
Content = Literal["none", "redacted", "full"]
CONTENTS: tuple[Content, ...] = ("none", "redacted", "full")
PROTOCOLS: tuple[Protocol, ...] = ("http/protobuf", "grpc")
Signal = Literal["TRACES", "METRICS"]

_PREFIX = "OTEL_EXPORTER_OTLP_"
_PORTS = {"http": 80, "https": 443}


class Batching(msgspec.Struct, frozen=True, kw_only=True):
    """How spans are batched: `queue` waiting at most, `batch` at once, `delay_s` after the first."""

    queue: int = 2048
    batch: int = 512
    delay_s: float = 5.0


class Address(msgspec.Struct, frozen=True):
    """Where a collector listens: of what was configured only what is no secret."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Otel(msgspec.Struct, frozen=True, kw_only=True):
    """Which signals are exported, and how; a protocol of None: not at all. `metrics_s` between exports.

    `timeout_s` bounds one export; None: what OTEL_EXPORTER_OTLP_TIMEOUT says, read by the SDK. An address of None
    is one without a host, such as a socket that gRPC may be given.
    """

    traces: Protocol | None = None
    traces_to: Address | None = None
    metrics: Protocol | None = None
    metrics_to: Address | None = None
    batching: Batching = Batching()
    metrics_s: float = 60.0
    timeout_s: float | None = 5.0


def read_otel(environ: Mapping[str, str]) -> tuple[Otel, list[str]]:
    """What is set, and what is wrong with it, as sentences. An empty variable counts as not set."""
    reader = _Reader(environ)
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return Otel(), []
    batching = Batching(
        queue=reader.number("OTEL_BSP_MAX_QUEUE_SIZE", 2048),
        batch=reader.number("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", 512),
        delay_s=reader.number("OTEL_BSP_SCHEDULE_DELAY", 5000) / 1000,
    )
    if batching.batch > batching.queue:
        reader.problems.append(
            "OTEL_BSP_MAX_EXPORT_BATCH_SIZE: must not be larger than OTEL_BSP_MAX_QUEUE_SIZE"
        )
    timeouts = (
        "OTEL_EXPORTER_OTLP_TIMEOUT",
        *(f"OTEL_EXPORTER_OTLP_{s}_TIMEOUT" for s in ("TRACES", "METRICS")),
    )
    for name in timeouts:
        reader.seconds(name)
    found = Otel(
        traces=reader.protocol("TRACES"),
        traces_to=reader.address("TRACES"),
        metrics=reader.protocol("METRICS"),
        metrics_to=reader.address("METRICS"),
        batching=batching,
        metrics_s=reader.number("OTEL_METRIC_EXPORT_INTERVAL", 60_000) / 1000,
        timeout_s=None if any(reader.text(name) for name in timeouts) else Otel().timeout_s,
    )
    return found, reader.problems


class _Reader:
    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self.problems: list[str] = []

    def text(self, name: str) -> str:
        return self._environ.get(name, "").strip()

    def number(self, name: str, default: int) -> int:
        text = self.text(name)
        if not text:
            return default
        if not (text.isascii() and text.isdigit() and len(text) <= 9 and int(text) > 0):
            self.problems.append(f"{name}: must be a whole number above 0")
            return default
        return int(text)

    def seconds(self, name: str) -> None:
        text = self.text(name)
        try:
            is_good = not text or (math.isfinite(float(text)) and float(text) > 0)
        except ValueError:
            is_good = False
        if not is_good:
            self.problems.append(f"{name}: must be a number of seconds above 0")

    def protocol(self, signal: Signal) -> Protocol | None:
        """How a signal is exported: only where an endpoint is named, and its exporter is not `none`."""
        if self.text(f"OTEL_{signal}_EXPORTER") not in ("", "otlp"):
            return None
        where, endpoint = self._first(f"{_PREFIX}{signal}_ENDPOINT", f"{_PREFIX}ENDPOINT")
        if not endpoint:
            return None
        name, chosen = self._first(f"{_PREFIX}{signal}_PROTOCOL", f"{_PREFIX}PROTOCOL")
        for known in PROTOCOLS:
            if chosen in ("", known):
                # gRPC takes targets of many kinds. What was given is not shown: it may hold a key.
                if known == "http/protobuf" and not _is_web_address(endpoint):
                    self._say(f"{where}: must be an address like http://127.0.0.1:4318")
                return known
        self._say(f"{name}: must be one of {', '.join(PROTOCOLS)}, not {chosen[:40]!r}")
        return None

    def address(self, signal: Signal) -> Address | None:
        """Where a signal is exported to, if that has a host."""
        return _address(self._first(f"{_PREFIX}{signal}_ENDPOINT", f"{_PREFIX}ENDPOINT")[1])

    def _first(self, *names: str) -> tuple[str, str]:
        """The first of these that is set, and its text; the last when none is."""
        return next(((name, text) for name in names if (text := self.text(name))), (names[-1], ""))

    def _say(self, problem: str) -> None:
        # Both signals read the same variables.
        if problem not in self.problems:
            self.problems.append(problem)


def _address(endpoint: str) -> Address | None:
    try:
        parts = urlsplit(endpoint if "://" in endpoint else f"//{endpoint}")
        port = parts.port or _PORTS.get(parts.scheme)
    except ValueError:
        return None
    return Address(parts.hostname, port) if parts.hostname and port else None


def _is_web_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
        parts.port  # noqa: B018  # reading it is what checks it
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname) and " " not in text
