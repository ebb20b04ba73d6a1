"""The web process has a thread for everything that may take long, and some beside."""

from __future__ import annotations

import pytest

from deploy.web_server import SHORT_THREADS, threads_for
from services.config import Limits


@pytest.mark.parametrize("live", [1, 64, 1000])
def test_short_requests_find_a_thread_however_many_live_streams_are_allowed(live: int) -> None:
    assert threads_for(Limits(live_streams=live)) - live == SHORT_THREADS
