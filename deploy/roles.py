"""The command lines of the roles, and how each runs in its own process."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from services.settings import Settings

CELERY_APP = "tasks.celery"
# What Celery prints past every log when it is asked to stop.
CELERY_NOISE = ("worker: Warm shutdown",)


def web_command(listen_fd: int) -> tuple[str, ...]:
    """A web process on a socket that is already bound."""
    return (*_turnwright(), "web", "--listen-fd", str(listen_fd))


def worker_command(name: str) -> tuple[str, ...]:
    """A supervised worker process; `name` is unique on its machine."""
    return (*_turnwright(), "worker", "--supervised", "--name", name)


def beat_command() -> tuple[str, ...]:
    """A supervised beat process."""
    return (*_turnwright(), "beat", "--supervised")


def run_worker(settings: Settings, name: str, *, on_ready: Callable[[], None]) -> None:
    """Be a Celery worker; returns or exits when it is asked to stop."""
    from celery.exceptions import CPendingDeprecationWarning
    from celery.signals import worker_ready

    def begin(**_: object) -> None:
        # Of what a later Celery will do by default: nothing that whoever runs this can change. Not
        # earlier, for Celery shows it always from the moment it sets logging up.
        warnings.simplefilter("ignore", CPendingDeprecationWarning)
        on_ready()

    worker_ready.connect(begin, weak=False)
    _run_celery(
        "worker",
        "--pool=threads",
        f"--concurrency={settings.slots}",
        f"--hostname={name}@%h",
        f"--loglevel={settings.log_level}",
        "--without-gossip",
        "--without-mingle",
        "--without-heartbeat",
    )


def run_beat(settings: Settings, *, on_ready: Callable[[], None]) -> None:
    """Be a Celery beat; returns or exits when it is asked to stop."""
    from celery.signals import beat_init

    beat_init.connect(lambda **_: on_ready(), weak=False)
    _run_celery("beat", f"--loglevel={settings.log_level}", "--pidfile=")


def _turnwright() -> tuple[str, ...]:
    return (sys.executable, "-m", "turnwright")


def _run_celery(*arguments: str) -> None:
    from celery.bin.celery import celery
    from celery.platforms import SecurityWarning

    # Celery warns root because of pickle, which this project never accepts.
    warnings.simplefilter("ignore", SecurityWarning)

    celery.main(args=["--app", CELERY_APP, "--quiet", *arguments], prog_name="celery")
