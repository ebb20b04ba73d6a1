"""Where web listens."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from deploy.listening import address_of, bind
from services.errors import ConfigurationError
from services.settings import Settings, load_settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings({"TURNWRIGHT_HOME": str(tmp_path)})


@pytest.fixture
def taken() -> Iterator[int]:
    with closing(socket.create_server(("127.0.0.1", 0))) as other:
        yield other.getsockname()[1]


def test_a_port_that_was_asked_for_and_is_in_use_is_refused(settings: Settings, taken: int) -> None:
    with pytest.raises(ConfigurationError, match=f"TURNWRIGHT_PORT: 127.0.0.1 port {taken} is in use"):
        bind(replace(settings, port=taken))


def test_without_a_wish_the_next_free_port_is_taken(settings: Settings) -> None:
    with closing(bind(settings)) as first, closing(bind(settings)) as second:
        assert 8080 <= first.getsockname()[1] < second.getsockname()[1]


def test_an_address_that_is_not_ours_is_refused(settings: Settings) -> None:
    with pytest.raises(ConfigurationError, match=r"TURNWRIGHT_HOST: can not listen on 192\.0\.2\.1"):
        bind(replace(settings, host="192.0.2.1"))


def test_the_address_of_a_server_that_listens_everywhere_can_be_called(settings: Settings) -> None:
    with closing(bind(replace(settings, host="0.0.0.0"))) as listener:
        assert address_of(listener) == f"http://127.0.0.1:{listener.getsockname()[1]}"
