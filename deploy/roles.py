"""The command lines of the roles, and how each runs in its own process."""

from __future__ import annotations

import sys
import warnings
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from services.settings import Settings

CELERY_APP = "tasks.celery"


def web_command(listen_fd: int) -> tuple[str, ...]:
    """A web process on a socket that is already bound."""
    return (*_turnwright(), "web", "--listen-fd", str(listen_fd))


def worker_command(name: str) -> tuple[str, ...]:
    """A worker process; `name` is unique on its machine."""
    return (*_turnwright(), "worker", "--name", name)


def beat_command() -> tuple[str, ...]:
    """A beat process."""
    return (*_turnwright(), "beat")


def run_worker(settings: Settings, name: str) -> None:
    """Be a Celery worker; returns or exits when it is asked to stop."""
    from celery.platforms import SecurityWarning

    # It warns root of pickled messages; ours are JSON and nothing else is read.
    warnings.simplefilter("ignore", SecurityWarning)
    _run_celery(
        "worker",
        "--pool=threads",
        f"--concurrency={settings.slots}",
        f"--hostname={name}@%h",
        f"--loglevel={settings.log_level}",
        "--without-gossip",
        "--without-mingle",
    )


def run_beat(settings: Settings) -> None:
    """Be a Celery beat; returns or exits when it is asked to stop."""
    _run_celery("beat", f"--loglevel={settings.log_level}", "--pidfile=")


def _turnwright() -> tuple[str, ...]:
    return (sys.executable, "-m", "turnwright")


def _run_celery(*arguments: str) -> None:
    from celery.bin.celery import celery
    from celery.platforms import SecurityWarning

    # Celery warns root because of pickle, which this project never accepts.
    warnings.simplefilter("ignore", SecurityWarning)

    celery.main(args=["--app", CELERY_APP, "--quiet", *arguments], prog_name="celery")
