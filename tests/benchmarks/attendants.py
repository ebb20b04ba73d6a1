"""The processes beside a measurement: a model, a sink. Each prints its address and ends with the measurement."""

from __future__ import annotations

import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psutil

from deploy.guard import die_with_parent
from tests.benchmarks.figures import NotMeasured
from tests.benchmarks.load import ROOT

_TIME_TO_STOP_S = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Attendant:
    """A running one: where it is, and its process."""

    url: str
    process: psutil.Process


@contextmanager
def attendant(module: str, *options: str) -> Iterator[Attendant]:
    """Run a module that prints its address first. Raises: NotMeasured when it does not."""
    parent = os.getpid()
    process = subprocess.Popen(
        [sys.executable, "-m", module, *options],
        stdout=subprocess.PIPE,
        cwd=ROOT,
        preexec_fn=lambda: die_with_parent(parent),
    )
    try:
        assert process.stdout is not None
        url = process.stdout.readline().decode().strip()
        if not url:
            raise NotMeasured(f"{module} did not start")
        yield Attendant(url=url, process=psutil.Process(process.pid))
    finally:
        stop(process)


def ask(url: str, path: str) -> bytes:
    """What an attendant answers to GET."""
    with urllib.request.urlopen(url + path, timeout=30) as answer:
        body: bytes = answer.read()
        return body


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a process: politely, then not."""
    process.terminate()
    try:
        process.wait(_TIME_TO_STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
