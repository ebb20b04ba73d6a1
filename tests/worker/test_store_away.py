"""Processes that begin while the log store is away wait for it: dying of it would count against them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.scenarios.platform import Part, Platform, Setup, installed_site
from tests.scenarios.vendor import Vendor
from tests.worker.waiting import wait_until


@pytest.fixture
def platform(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """A platform of which nothing runs yet."""
    with Vendor() as vendor:
        made = Platform(tmp_path, Setup(site=installed_site(tmp_path_factory)), vendor)
        yield made
        made.close()


def test_what_begins_before_the_store_waits_and_works_once_it_is_there(platform: Platform) -> None:
    platform.start_store(platform.broker)
    parts = [platform.start_web(), platform.start_worker(), platform.start_beat()]
    wait_until(lambda: all(_says_so(part) for part in parts))

    platform.start_store(platform.log_store)

    platform.wait_ready(workers=1)
    assert all(part.is_running() for part in parts)


def test_what_waits_for_the_store_can_be_stopped(platform: Platform) -> None:
    platform.start_store(platform.broker)
    parts = [platform.start_web(), platform.start_worker(), platform.start_beat()]
    wait_until(lambda: all(_says_so(part) for part in parts))

    for part in parts:
        part.stop()

    assert "Traceback" not in platform.logs()


def _says_so(part: Part) -> bool:
    """Web serves meanwhile what it can; the others wait."""
    return (b"store_away" if part.name == "web" else b"waiting_for_store") in part.log.read_bytes()
