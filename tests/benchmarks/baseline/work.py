"""The worker: one task takes a prompt, asks the model, posts the reply. `celery -A tests.benchmarks.baseline.work`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from http.client import HTTPConnection
from urllib.parse import urlsplit

import msgspec
from celery import Celery

from tests.plugins.brisk_provider.src.brisk_provider.kept import KeptConnections
from tests.plugins.brisk_provider.src.brisk_provider.lines import ask, lines

CONNECT_S = 5.0
IDLE_S = 60.0

app = Celery("baseline")
app.conf.update(
    broker_url="redis+socket://" + os.environ["BASELINE_STORE"].removeprefix("unix://"),
    broker_connection_retry_on_startup=True,
    # One list to pop from instead of one for each priority.
    broker_transport_options={"priority_steps": [0], "visibility_timeout": 3600},
    task_serializer="json",
    accept_content=["json"],
    task_acks_late=True,
    task_ignore_result=True,
    task_store_errors_even_if_ignored=False,
    task_send_sent_event=False,
    worker_send_task_events=False,
    worker_prefetch_multiplier=1,
)


@app.task(name="baseline.answer", ignore_result=True)  # type: ignore[untyped-decorator]  # Celery publishes no types
def answer(session: str, text: str, callback: str) -> None:
    """Answer a prompt."""
    reply(callback, {"session": session, "text": ask_model(text)})


def ask_model(text: str) -> str:
    """What the model says."""
    asked = {"model": "echo", "system": "", "messages": [{"role": "user", "text": text}]}
    said, is_whole = [], False
    with connected(os.environ["BRISK_BASE_URL"]) as connection:
        response = ask(connection, asked)
        if response.status != 200:
            raise RuntimeError(f"the model answered {response.status}")
        for line in lines(response):
            said.append(line.text or "")
            is_whole = is_whole or line.done is not None
        if not is_whole:
            raise RuntimeError("the answer has no end")
    return "".join(said)


def reply(callback: str, body: object) -> None:
    """Post the reply where it was asked to go."""
    content = {"Content-Type": "application/json"}
    with connected(callback) as connection:
        connection.request("POST", urlsplit(callback).path, body=msgspec.json.encode(body), headers=content)
        response = connection.getresponse()
        response.read()
        if response.status >= 300:
            raise RuntimeError(f"the receiver answered {response.status}")


@contextmanager
def connected(url: str) -> Iterator[HTTPConnection]:
    """This thread's kept connection to the server of `url`; not kept when its use failed."""
    kept = server(url)
    try:
        yield kept.ready(connect_s=CONNECT_S, idle_s=IDLE_S)
    except BaseException:
        kept.drop()
        raise


@cache
def server(url: str) -> KeptConnections:
    """The kept connections to the server of `url`."""
    return KeptConnections(url)
