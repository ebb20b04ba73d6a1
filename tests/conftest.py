"""Fixtures every ring may use: a real store server per session, an empty key space per test.

And how the rings are shared out to processes: those that wait much and calculate little come first.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

from services.streams.keys import Keys
from services.telemetry.context import work_for
from tests.fakes.store_servers import GIVEN, SERVERS, serve, wipe

# The kill tests, one after the other: each fills a small machine by itself.
ALONE = "tests/chaos/"
# A file is worked off by one process. Those that take long must not be what is left over at the end.
SLOW_FIRST = (ALONE, "tests/worker/", "tests/benchmarks/", "tests/scenarios/")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the slow rings run first, each in its own order."""
    items.sort(key=lambda item: [not item.nodeid.startswith(ring) for ring in SLOW_FIRST])


class Shares(LoadFileScheduling):  # type: ignore[misc]  # xdist publishes no types
    """Gives each process a file after the other, and all kill tests to one of them."""

    def _split_scope(self, nodeid: str) -> str:
        return ALONE if nodeid.startswith(ALONE) else str(super()._split_scope(nodeid))


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Shares | None:
    """With `--dist loadfile`: as `Shares` says."""
    return Shares(config, log) if config.getvalue("dist") == "loadfile" else None


def pytest_xdist_auto_num_workers() -> int:
    """With `-n auto`: two processes more than there are cores, because half of the time tests wait."""
    return (os.cpu_count() or 1) + 2


@pytest.fixture(scope="session", params=SERVERS)
def store_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """The address of a running store; tests that use it run once per supported server."""
    with serve(request.param) as url:
        yield url


@pytest.fixture(autouse=True)
def _works_for_nobody() -> Iterator[None]:
    """Who runs jobs step by step works for their traces; the next test in this thread must not."""
    yield
    work_for(None)


@pytest.fixture
def keys(store_url: str) -> Iterator[Keys]:
    """A key space nobody else uses."""
    made = Keys(f"t{uuid.uuid4().hex[:12]}", shards=4)
    yield made
    if store_url == os.environ.get(GIVEN):
        wipe(store_url, made.namespace)
