"""Operator tokens: made once, stored as hashes only, refused soon after they are removed."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.errors import Unavailable
from services.streams.store import Store
from services.tokens import Tokens
from tests.scenarios.http_stage import store_url


class Clock:
    """A monotonic clock that only moves when told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def store() -> Iterator[Store]:
    opened = Store(store_url())
    yield opened
    opened.close()


@pytest.fixture
def key() -> str:
    return f"t{uuid.uuid4().hex}:tokens"


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return tmp_path / "home" / "token"


def test_a_first_token_is_made_and_kept(store: Store, key: str, copy: Path) -> None:
    first = Tokens(store, key).ensure_first(configured=None, copy=copy)
    second = Tokens(store, key).ensure_first(configured=None, copy=copy)

    assert first is not None
    assert first == second == copy.read_text().strip()
    assert first.startswith("tw_")
    assert copy.stat().st_mode & 0o777 == 0o600
    assert Tokens(store, key).verify(first) == Tokens(store, key).verify(first) is not None


def test_the_store_holds_no_token(store: Store, key: str, copy: Path) -> None:
    token = Tokens(store, key).ensure_first(configured="my-secret-token", copy=copy)

    stored = repr(store.client.hgetall(key))

    assert token == "my-secret-token"
    assert "my-secret-token" not in stored


@pytest.mark.parametrize("token", ["", "x", "tw_", "\udcff", "\x00", "é" * 3000, "x" * 100_000])
def test_an_unknown_token_belongs_to_nobody(store: Store, key: str, copy: Path, token: str) -> None:
    tokens = Tokens(store, key)
    tokens.ensure_first(configured=None, copy=copy)

    assert tokens.verify(token) is None


def test_a_configured_token_takes_the_place_of_the_one_before(store: Store, key: str, copy: Path) -> None:
    tokens = Tokens(store, key, cache_s=0)
    generated = tokens.ensure_first(configured=None, copy=copy)
    assert generated is not None

    tokens.ensure_first(configured="chosen", copy=copy)

    assert tokens.verify(generated) is None
    assert tokens.verify("chosen") is not None
    assert copy.read_text() == "chosen\n"


def test_a_store_that_lost_its_tokens_learns_the_local_one_again(store: Store, key: str, copy: Path) -> None:
    tokens = Tokens(store, key, cache_s=0)
    token = tokens.ensure_first(configured=None, copy=copy)
    assert token is not None
    _forget_all(store, key)

    assert tokens.ensure_first(configured=None, copy=copy, owns_store=False) == token
    assert tokens.verify(token) is not None


def test_a_second_machine_at_a_shared_store_makes_no_token_of_its_own(
    store: Store, key: str, copy: Path, tmp_path: Path
) -> None:
    tokens = Tokens(store, key)
    tokens.ensure_first(configured=None, copy=copy, owns_store=False)

    there = tmp_path / "second" / "token"

    assert tokens.ensure_first(configured=None, copy=there, owns_store=False) is None
    assert not there.exists()


def test_a_removed_token_is_refused_when_the_cache_has_forgotten_it(
    store: Store, key: str, copy: Path
) -> None:
    clock = Clock()
    tokens = Tokens(store, key, cache_s=3, monotonic=clock)
    token = tokens.ensure_first(configured=None, copy=copy)
    assert token is not None
    assert tokens.verify(token) is not None
    _forget_all(store, key)

    clock.now = 2.9
    assert tokens.verify(token) is not None
    clock.now = 3.1
    assert tokens.verify(token) is None


def test_a_copy_that_others_could_read_is_closed(store: Store, key: str, copy: Path) -> None:
    tokens = Tokens(store, key)
    tokens.ensure_first(configured=None, copy=copy)
    copy.chmod(0o644)

    tokens.ensure_first(configured=None, copy=copy)

    assert copy.stat().st_mode & 0o777 == 0o600


def test_a_store_that_does_not_answer_is_no_unknown_token(key: str) -> None:
    away = Tokens(Store("unix:///nonexistent/store", retries=0), key)

    with pytest.raises(Unavailable):
        away.verify("tw_any")


def _forget_all(store: Store, key: str) -> None:
    store.client.hdel(key, *(digest.decode() for digest in store.client.hgetall(key)))
