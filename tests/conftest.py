"""Fixtures every ring may use: a real store server per session, an empty key space per test."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator

import pytest

from services.streams.keys import Keys
from services.telemetry.context import work_for
from tests.fakes.store_servers import GIVEN, SERVERS, serve, wipe


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
