"""Fixtures of the store ring."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from services.streams.keys import Keys
from tests.fakes.store_servers import Console, console
from tests.fakes.store_stage import Stage


@pytest.fixture
def stage(store_url: str, keys: Keys) -> Iterator[Stage]:
    """The engine's parts over an empty key space."""
    made = Stage(store_url, keys)
    yield made
    made.close()


@pytest.fixture
def bare(store_url: str) -> Iterator[Console]:
    """A bare connection."""
    with console(store_url) as made:
        yield made
