"""`turnwright up`: everything on one machine, from the data directory's lock to the line to paste.

Writes `run/server.json`, the address that the command line talks to.
"""

from __future__ import annotations

import http.client
import os
import shlex
import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

from deploy.datadir import DataDirectory, lock_data_directory
from deploy.embedded import (
    FULL_DISK,
    MEANINGLESS,
    EmbeddedStore,
    forget_stores,
    make_socket_folder,
    record_stores,
)
from deploy.findings import openai_hint
from deploy.listening import DEFAULT_PORT, address_of, bind
from deploy.patience import Patience
from deploy.roles import CELERY_NOISE, beat_command, web_command, worker_command
from deploy.rolesfile import write_record, write_roles
from deploy.supervisor.console import Console
from deploy.supervisor.role import Role
from deploy.supervisor.supervisor import StopTimes, Supervisor
from services.diagnosis.channels import ChannelState, channel_states
from services.diagnosis.roles import RoleState
from services.engine import check_store
from services.errors import ConfigurationError
from services.plugins import check_configuration, default_models
from services.settings import Settings

_PROBE_TIMEOUT_S = 1.0
_STOP_WITHIN_S = 9.3


def run_up(settings: Settings) -> int:
    """Run the platform in the foreground until a signal stops it; the exit status.

    Raises: ConfigurationError when it can not start with these settings.
    """
    config, plugins = check_configuration(settings)
    with (
        closing(lock_data_directory(settings.home)) as directory,
        closing(bind(settings)) as listener,
        _embedded_stores(settings, directory) as stores,
        closing(Console(sys.stdout)) as console,
    ):
        platform = _Platform(settings, directory, listener=listener, console=console)
        supervisor = Supervisor(
            platform.stages(stores),
            reports=console,
            on_state=platform.note_states,
            on_ready=lambda: platform.announce(
                default_models(settings, config), channel_states(settings, config, plugins.channels)
            ),
            before_stage=lambda index: (
                platform.check_store() if index == len(platform.store_stages) else None
            ),
            stop_times=StopTimes(grace_s=settings.timings.shutdown_grace_s, total_s=_STOP_WITHIN_S),
        )
        try:
            return supervisor.run()
        finally:
            platform.retract()


def server_path(home: Path) -> Path:
    """Where the address of the running server of `home` is written."""
    return home / "run" / "server.json"


@contextmanager
def _embedded_stores(settings: Settings, directory: DataDirectory) -> Iterator[list[EmbeddedStore]]:
    """The stores to start, recorded for the other processes; none that the settings name elsewhere."""
    home = directory.home
    forget_stores(home)
    stores: list[EmbeddedStore] = []
    try:
        sockets = make_socket_folder() if not (settings.store_url and settings.broker_url) else None
        if sockets and not settings.store_url:
            stores.append(EmbeddedStore(kind="log", socket=sockets / "log.sock", folder=directory.log))
        if sockets and not settings.broker_url:
            stores.append(EmbeddedStore(kind="broker", socket=sockets / "broker.sock", folder=sockets))
        urls = {store.kind: store.url for store in stores}
        if stores:
            record_stores(home, log=urls.get("log", ""), broker=urls.get("broker", ""))
    except OSError as error:
        raise ConfigurationError(f"the stores can not be prepared: {error}") from None
    try:
        yield stores
    finally:
        forget_stores(home)


class _Platform:
    """The roles of this machine, and what is said and written about them."""

    def __init__(
        self, settings: Settings, directory: DataDirectory, *, listener: socket.socket, console: Console
    ) -> None:
        self._settings = settings
        self._directory = directory
        self._listener = listener
        self._console = console
        self._url = address_of(listener)
        self._began = time.monotonic()
        self._is_ready = False
        self.store_stages: list[list[Role]] = []
        self._running: set[str] = set()
        with suppress(OSError):
            server_path(directory.home).unlink()
        if listener.getsockname()[1] != (settings.port or DEFAULT_PORT):
            console.say(f"port {DEFAULT_PORT} is in use, taking the next free one")

    def stages(self, stores: list[EmbeddedStore]) -> list[list[Role]]:
        """Stores first; of the others web last, so that a stop reaches it first."""
        environment = {"PYTHONUNBUFFERED": "1", "TURNWRIGHT_LOG_FORMAT": self._settings.log_format}
        listen_fd = self._listener.fileno()
        workers = [f"worker-{number}" for number in range(1, self._settings.workers + 1)]
        services = [
            *(
                Role(name=name, command=worker_command(name), environment=environment, muted=CELERY_NOISE)
                for name in workers
            ),
            Role(name="beat", command=beat_command(), environment=environment, muted=CELERY_NOISE),
            Role(
                name="web",
                command=web_command(listen_fd),
                environment=environment,
                inherited=(listen_fd,),
                is_ready=self._patiently("web", lambda: _accepts_prompts(self._url)),
                # Refused is better than waiting for a server that nobody starts any more.
                on_down=self._listener.close,
            ),
        ]
        self.store_stages = [[self._store_role(store) for store in stores]] if stores else []
        return [*self.store_stages, services]

    def check_store(self) -> None:
        """Refuse a store that these settings, or this release, may not use. Raises: ConfigurationError."""
        check_store(self._settings)

    def note_states(self, states: Mapping[str, RoleState]) -> None:
        """Write down the state of the roles, and say which began to run."""
        # A full disk must not end the supervisor that waits for room.
        with suppress(OSError):
            write_roles(self._directory.home, supervisor=self._directory.supervisor, roles=states)
        running = {name for name, state in states.items() if state.state == "running"}
        for name in sorted(running - self._running):
            took = f" ({time.monotonic() - self._began:.1f} s)" if not self._is_ready else ""
            self._console.say(f"{name} runs{' again' if states[name].restarts else ''}{took}")
        self._running = running

    def announce(self, models: Sequence[str], channels: Sequence[ChannelState]) -> None:
        """Everything is ready: write down the address, and say what a person wants to know now.

        `models` are those that answer who names no agent, in failover order.
        """
        self._is_ready = True
        with suppress(OSError):
            write_record(server_path(self._directory.home), {"url": self._url})
        self._console.say(f"ready {self._url}")
        self._console.say(f"model {', '.join(models)}")
        if hint := openai_hint(self._settings, models):
            self._console.say(hint)
        for each in channels:
            self._console.say(f"{each.name} {each.told(self._settings.public_url or self._url)}")
            for doubt in each.doubts:
                self._console.say(f"warning: {each.name}: {doubt}")
        self._console.say(f'{_command(self._directory.home)} ask "Hello"')

    def retract(self) -> None:
        """Nothing answers at the address any more."""
        with suppress(OSError):
            server_path(self._directory.home).unlink()

    def _store_role(self, store: EmbeddedStore) -> Role:
        return Role(
            name=store.kind,
            command=store.command(),
            inherited=(self._directory.lock_fd,),
            is_ready=self._patiently(f"the {store.kind} store", store.is_ready),
            passing_causes=FULL_DISK,
            muted=MEANINGLESS,
        )

    def _patiently(self, what: str, is_ready: Callable[[], bool]) -> Patience:
        return Patience(what, is_ready, self._console.say)


def _accepts_prompts(url: str) -> bool:
    place = urlsplit(url)
    connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=_PROBE_TIMEOUT_S)
    with closing(connection):
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status == http.client.OK
        except (OSError, http.client.HTTPException):
            return False


def _command(home: Path) -> str:
    """How a person in this directory calls the command from another shell."""
    command = Path(sys.executable).with_name("turnwright")
    if command.is_relative_to(Path.cwd()):
        command = command.relative_to(Path.cwd())
    elsewhere = (
        f"TURNWRIGHT_HOME={shlex.quote(os.fspath(home))} " if home != Path.cwd() / ".turnwright" else ""
    )
    return f"{elsewhere}{shlex.quote(os.fspath(command))}"
