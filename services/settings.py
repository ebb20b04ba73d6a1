"""The environment, read here and nowhere else, parsed once into a frozen `Settings`.

Also finds the two stores: by their URLs, or where the supervisor of a data directory wrote them down.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Literal

import msgspec

from services.channel_settings import (
    GitHubSettings,
    SlackSettings,
    SourceSecrets,
    github_settings,
    slack_settings,
    source_secrets,
)
from services.environment import PREFIX, Environment
from services.errors import ConfigurationError, Unavailable
from services.spool_settings import SpoolSettings, spool_settings
from services.telemetry.otel import CONTENTS, Content, Otel, read_otel
from services.variables import (
    Destination,
    Network,
    Secret,
    data_folder,
    destination_of,
    existing_file,
    existing_folder,
    flag_of,
    host_of,
    int_between,
    is_loopback,
    list_of,
    model_of,
    namespace_of,
    network_of,
    one_of,
    seconds_of,
    secret_of,
    signing_secret_of,
    store_url_of,
    web_url_of,
)

LogLevel = Literal["debug", "info", "warning", "error", "fatal"]
LogFormat = Literal["console", "json"]

LOG_LEVELS: tuple[LogLevel, ...] = ("debug", "info", "warning", "error", "fatal")
LOG_FORMATS: tuple[LogFormat, ...] = ("console", "json")
VENDORS = ("openai", "anthropic")

# What other machines can try must be too long to be guessed.
_LEAST_TOKEN = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Timings:
    """Internal times in seconds. Only tests change them, by TURNWRIGHT_TEST_TIMINGS."""

    lease_ttl_s: float = 15.0
    lease_renew_s: float = 3.0
    take_grace_s: float = 10.0
    relay_s: float = 1.0
    shutdown_grace_s: float = 8.0
    delivery_lease_s: float = 60.0
    delivery_least_s: float = 20.0
    delivery_timeout_s: float = 15.0
    show_work_s: float = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class VendorAccess:
    """How a model vendor is reached. `problems` matter only to who uses a model of it."""

    key: Secret | None = None
    base_url: str | None = None
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the environment says. Paths are absolute, web addresses end without a slash.

    `port` None: 8080, or the next free one. `store_url`, `broker_url` None: the embedded one. `url` is
    the server the CLI talks to, None: the local one. `callback_secrets` empty: those of the store.
    `otel` is what the OTEL_* variables decide here; the SDK reads the rest of them. `test_*` and `timings`
    are for tests.
    """

    home: Path
    host: str
    port: int | None
    store_url: str | None = field(repr=False)
    broker_url: str | None = field(repr=False)
    namespace: str
    config_path: Path | None
    api_token: Secret | None
    callback_secrets: tuple[Secret, ...]
    callback_allow: tuple[Destination, ...]
    url: str | None
    public_url: str | None
    trusted_proxies: tuple[Network, ...]
    workers: int
    slots: int
    models: tuple[str, ...]
    metrics_open: bool
    log_level: LogLevel
    log_format: LogFormat
    vendors: Mapping[str, VendorAccess]
    slack: SlackSettings
    github: GitHubSettings
    sources: SourceSecrets
    spool: SpoolSettings
    trace_content: Content
    otel: Otel
    test_store_url: str | None = field(repr=False)
    test_faults: Path | None
    test_shortcuts: bool
    timings: Timings

    @property
    def token_copy(self) -> Path:
        """Where this machine keeps a copy of the first token."""
        return self.home / "token"


def load_settings(environ: Mapping[str, str] = os.environ) -> Settings:
    """Parse the environment; an empty variable counts as not set.

    A store named by TURNWRIGHT_STORE_URL is the broker too, unless TURNWRIGHT_BROKER_URL names another.
    Raises: ConfigurationError, with every problem at once.
    """
    reader = Environment(environ)
    read, read_secret = reader.read, reader.read_secret
    store_url = read_secret("STORE_URL", store_url_of)
    otel, problems = read_otel(environ)
    reader.note(problems)
    home = read("HOME", data_folder, None) or reader.parse("HOME", data_folder, ".turnwright") or Path("/")
    settings = Settings(
        home=home,
        host=read("HOST", host_of, "127.0.0.1"),
        port=read("PORT", int_between(1, 65535), None),
        store_url=store_url,
        broker_url=read_secret("BROKER_URL", store_url_of) or store_url,
        namespace=read("NAMESPACE", namespace_of, "turnwright"),
        config_path=read("CONFIG", existing_file, None) or _config_here(),
        api_token=read_secret("API_TOKEN", secret_of),
        callback_secrets=read_secret("CALLBACK_SECRET", list_of(signing_secret_of)) or (),
        callback_allow=read("CALLBACK_ALLOW", list_of(destination_of), ()),
        url=read("URL", web_url_of, None),
        public_url=read("PUBLIC_URL", web_url_of, None),
        trusted_proxies=read("TRUSTED_PROXIES", list_of(network_of), ()),
        workers=read("WORKERS", int_between(1, 256), _cores()),
        slots=read("SLOTS", int_between(10, 1000), 50),
        models=read("MODEL", list_of(model_of), ("offline",)),
        metrics_open=read("METRICS_OPEN", flag_of, False),
        log_level=read("LOG_LEVEL", one_of(LOG_LEVELS), "info"),
        log_format=read("LOG_FORMAT", one_of(LOG_FORMATS), _format_here()),
        vendors={name: _vendor_access(environ, name) for name in VENDORS},
        slack=slack_settings(reader),
        github=github_settings(reader),
        sources=source_secrets(reader),
        spool=spool_settings(reader, environ, home),
        trace_content=read("TRACE_CONTENT", one_of(CONTENTS), "none"),
        otel=otel,
        test_store_url=read_secret("TEST_STORE_URL", store_url_of),
        test_faults=read("TEST_FAULTS", existing_folder, None),
        test_shortcuts=read("TEST_SHORTCUTS", flag_of, True),
        timings=read("TEST_TIMINGS", _timings_of, Timings()),
    )
    _check(settings, reader)
    return settings


def _vendor_access(environ: Mapping[str, str], vendor: str) -> VendorAccess:
    """These names are the vendor's and may be set for other programs: a bad one must not stop ours."""
    reader = Environment(environ, prefix=f"{vendor.upper()}_")
    return VendorAccess(
        key=reader.read_secret("API_KEY", secret_of),
        base_url=reader.read_secret("BASE_URL", web_url_of),
        problems=reader.problems(),
    )


def find_config(environ: Mapping[str, str] = os.environ) -> Path | None:
    """Where `turnwright.toml` is, whatever else is wrong with the environment; None: nowhere."""
    return Environment(environ).read("CONFIG", existing_file, None) or _config_here()


def store_addresses(settings: Settings) -> tuple[str, str]:
    """The URLs of log store and broker: as set, otherwise the embedded ones. Raises: Unavailable."""
    if settings.store_url and settings.broker_url:
        return settings.store_url, settings.broker_url
    log_url, broker_url = embedded_addresses(settings.home)
    return settings.store_url or log_url, settings.broker_url or broker_url


def embedded_addresses(home: Path) -> tuple[str, str]:
    """The URLs of log store and broker that run on `home`. Raises: Unavailable when none do."""
    try:
        stores = msgspec.json.decode((home / "run" / "stores.json").read_bytes(), type=_Stores)
    except (OSError, msgspec.MsgspecError):
        raise Unavailable(
            f"nothing runs on the data directory {home}: start it with `make up`, "
            "or set TURNWRIGHT_STORE_URL and TURNWRIGHT_BROKER_URL"
        ) from None
    return stores.log, stores.broker


class _Stores(msgspec.Struct, frozen=True):
    log: str
    broker: str


def _check(settings: Settings, reader: Environment) -> None:
    if not is_loopback(settings.host) and not reader.is_given("API_TOKEN"):
        wanted = f"{PREFIX}API_TOKEN or {PREFIX}API_TOKEN_FILE"
        reader.report("HOST", f"other machines can reach {settings.host}: set {wanted} too")
    token = settings.api_token
    if not is_loopback(settings.host) and token and len(token.reveal()) < _LEAST_TOKEN:
        wanted = f"at least {_LEAST_TOKEN} characters"
        reader.report("API_TOKEN", f"other machines can reach {settings.host}: must have {wanted}")
    reader.unknown()
    if problems := reader.problems():
        raise ConfigurationError(*problems)


def _timings_of(text: str) -> Timings:
    known = [each.name for each in fields(Timings)]
    chosen: dict[str, float] = {}
    for part in text.split(","):
        name, _, value = part.strip().partition("=")
        if name not in known:
            raise ValueError(f"has no time {name!r}; there are {', '.join(known)}")
        chosen[name] = seconds_of(value)
    timings = replace(Timings(), **chosen)
    if timings.lease_renew_s >= timings.lease_ttl_s:
        raise ValueError("lease_renew_s must be shorter than lease_ttl_s")
    return timings


def _config_here() -> Path | None:
    path = Path("turnwright.toml")
    return path.absolute() if path.is_file() else None


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _format_here() -> LogFormat:
    return "console" if sys.stderr is not None and sys.stderr.isatty() else "json"
