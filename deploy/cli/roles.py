"""The commands that are processes of the platform: all of them at once, or one."""

from __future__ import annotations

import os
import re
import sys

import click

from deploy.cli.examples import examples
from services.logs import configure_logging
from services.settings import Settings, load_settings

_STORE = "TURNWRIGHT_STORE_URL=redis://store:6379/0"
_NAME = re.compile(r"[A-Za-z0-9._-]{1,100}")


@click.command(
    epilog=examples(
        "turnwright up",
        "TURNWRIGHT_PORT=9000 TURNWRIGHT_WORKERS=1 turnwright up",
        "OPENAI_API_KEY=... TURNWRIGHT_MODEL=openai:<model> turnwright up",
    )
)
def up() -> int:
    """Run everything on this machine: stores, web, workers, beat. Ctrl-C stops all of it.

    Data is kept in TURNWRIGHT_HOME (./.turnwright). Web listens at port 8080 or the next free one, unless
    TURNWRIGHT_PORT says which.
    """
    from deploy.up import run_up

    return run_up(load_settings())


@click.command(
    epilog=examples(f"{_STORE} TURNWRIGHT_API_TOKEN_FILE=token TURNWRIGHT_HOST=0.0.0.0 turnwright web")
)
@click.option("--listen-fd", type=click.IntRange(min=0), hidden=True)
def web(listen_fd: int | None) -> None:
    """Run one web process, beside stores that run already."""
    settings = load_settings()
    configure_logging(settings, "web")
    check_start(settings, is_patient=False)
    from deploy.web_server import run_web

    if listen_fd is None:
        from deploy.listening import address_of, bind

        listener = bind(settings)
        _say(f"web listens at {address_of(listener)}")
        listen_fd = listener.detach()
    run_web(settings, listen_fd=listen_fd)


@click.command(epilog=examples(f"{_STORE} turnwright worker --name worker-7"))
@click.option("--name", metavar="NAME", help="Unique on this machine.  [default: worker-<pid>]")
@click.option("--supervised", "is_supervised", is_flag=True, hidden=True)
def worker(name: str | None, *, is_supervised: bool) -> None:
    """Run one worker process, with TURNWRIGHT_SLOTS threads, beside stores that run already."""
    if name is not None and not _NAME.fullmatch(name):
        raise click.BadParameter("1 to 100 letters, digits and . _ -", param_hint="--name")
    settings = load_settings()
    configure_logging(settings, "worker")
    check_start(settings)
    from deploy.roles import run_worker

    chosen = name or f"worker-{os.getpid()}"
    run_worker(settings, chosen, on_ready=lambda: None if is_supervised else _say(f"{chosen} runs"))


@click.command(epilog=examples(f"{_STORE} turnwright beat"))
@click.option("--supervised", "is_supervised", is_flag=True, hidden=True)
def beat(*, is_supervised: bool) -> None:
    """Run one beat process, beside stores that run already; any number of them may run."""
    settings = load_settings()
    configure_logging(settings, "beat")
    check_start(settings)
    from deploy.roles import run_beat

    run_beat(settings, on_ready=lambda: None if is_supervised else _say("beat runs"))


def check_start(settings: Settings, *, is_patient: bool = True) -> None:
    """Refuse settings and stores that can not work before a framework turns that into a traceback.

    Who is patient waits for a store that is away; who is not looks once, and does without what that would tell.
    """
    from services.engine import STORE_WAIT_S, check_store, glance_at_store
    from services.plugins import check_configuration

    check_configuration(settings)
    if is_patient:
        check_store(settings, within_s=STORE_WAIT_S)
    else:
        glance_at_store(settings)


def _say(text: str) -> None:
    """Past Celery, which takes stdout for its log."""
    print(text, file=sys.__stdout__, flush=True)
