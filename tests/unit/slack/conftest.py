"""A workspace of its own for every test that needs one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.fakes.slack_server import SlackServer


@pytest.fixture
def slack() -> Iterator[SlackServer]:
    """The stand-in; a test that breaks Slack's rules fails."""
    with SlackServer() as server:
        yield server
