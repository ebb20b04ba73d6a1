"""The commands that are processes of the platform: all of them at once, or one."""

from __future__ import annotations

import os

import click

from services.logs import configure_logging
from services.settings import Settings, load_settings


@click.command()
def up() -> int:
    """Run everything on this machine: stores, web, workers, beat. Ctrl-C stops all of it."""
    from deploy.up import run_up

    return run_up(load_settings())


@click.command()
@click.option("--listen-fd", type=click.IntRange(min=0), hidden=True)
def web(listen_fd: int | None) -> None:
    """Run one web process."""
    settings = load_settings()
    configure_logging(settings, "web")
    check_start(settings)
    from deploy.web_server import run_web

    run_web(settings, listen_fd=listen_fd)


@click.command()
@click.option("--name", metavar="NAME", help="Unique on this machine.  [default: worker-<pid>]")
def worker(name: str | None) -> None:
    """Run one worker process."""
    settings = load_settings()
    configure_logging(settings, "worker")
    check_start(settings)
    from deploy.roles import run_worker

    run_worker(settings, name or f"worker-{os.getpid()}")


@click.command()
def beat() -> None:
    """Run one beat process; any number of them may run."""
    settings = load_settings()
    configure_logging(settings, "beat")
    check_start(settings)
    from deploy.roles import run_beat

    run_beat(settings)


def check_start(settings: Settings) -> None:
    """Refuse settings and stores that can not work before a framework turns that into a traceback."""
    from services.engine import STORE_WAIT_S, check_store
    from services.plugins import check_configuration

    check_configuration(settings)
    check_store(settings, within_s=STORE_WAIT_S)
