"""Gunicorn with our options: one process, a thread for each request, an end that live streams are told of."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from gunicorn.app.base import BaseApplication
from gunicorn.arbiter import Arbiter
from gunicorn.errors import AppImportError
from gunicorn.workers.base import Worker

from deploy.guard import die_with_parent
from deploy.listening import bind
from services.config import Limits, load_config
from services.errors import TurnwrightError
from services.heap import spare_collections
from services.logs import configure_logging
from services.telemetry.process import Telemetry, start_telemetry

if TYPE_CHECKING:
    from flask import Flask

    from services.settings import Settings

# Beside those that live streams and waiting prompts may hold: webhooks and health always find one.
SHORT_THREADS = 32
# Connections that wait for a request, without a thread.
WAITING_CONNECTIONS = 1000

_workers: list[Worker] = []
_telemetry: list[Telemetry] = []


def is_stopping() -> bool:
    """Whether this web process was told to stop; live streams end then."""
    return any(not worker.alive for worker in _workers)


def run_web(settings: Settings, *, listen_fd: int | None) -> None:
    """Serve until a signal ends it, on the inherited socket `listen_fd` or on one of its own.

    Raises: ConfigurationError when it can not listen or the file is wrong; SystemExit at the end.
    """
    _Server(settings, bind(settings).detach() if listen_fd is None else listen_fd).run()


def threads_for(limits: Limits) -> int:
    """How many requests are served at once: all that may take long, and enough short ones beside them."""
    return limits.live_streams + SHORT_THREADS


class _Server(BaseApplication):  # type: ignore[misc]  # gunicorn publishes no types
    def __init__(self, settings: Settings, listen_fd: int) -> None:
        self._settings = settings
        self._listen_fd = listen_fd
        self._threads = threads_for(load_config(settings.config_path).limits)
        super().__init__()

    def load_config(self) -> None:
        options: dict[str, object] = {
            "bind": f"fd://{self._listen_fd}",
            "worker_class": "deploy.web_worker.PatientWorker",
            "workers": 1,
            "threads": self._threads,
            "worker_connections": self._threads + WAITING_CONNECTIONS,
            "timeout": 30,
            "graceful_timeout": 5,
            "loglevel": "warning",
            # Whom to believe about forwarding is decided by the application.
            "forwarded_allow_ips": "",
            "control_socket_disable": True,
            "on_starting": lambda server: configure_logging(self._settings, "web"),
            "post_fork": _bind_to_arbiter,
            "post_worker_init": lambda worker: spare_collections(),
            "worker_exit": _flush,
        }
        if os.path.isdir("/dev/shm"):
            # Its heartbeat file must not depend on a disk.
            options["worker_tmp_dir"] = "/dev/shm"
        for name, value in options.items():
            self.cfg.set(name, value)

    def load(self) -> Flask:
        from deploy.composition import web_app

        try:
            telemetry = start_telemetry(self._settings.otel, "web")
            _telemetry[:] = [telemetry]
            return web_app(self._settings, telemetry=telemetry, is_stopping=is_stopping)
        except TurnwrightError as error:
            # Said without a traceback, and ends the arbiter instead of being tried for ever.
            raise AppImportError(str(error)) from error


def _flush(server: Arbiter, worker: Worker) -> None:
    for telemetry in _telemetry:
        telemetry.stop()


def _bind_to_arbiter(server: Arbiter, worker: Worker) -> None:
    die_with_parent(server.pid)
    _workers[:] = [worker]
