"""Under the real server: oversized bodies are not read, and callers that send nothing hold no thread."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from tests.scenarios.http_stage import wait_until
from tests.unit.web_bare import TOKEN

ROOT = Path(__file__).parents[2]
THREADS = 2
ANSWER_S = 3.0


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    path = tmp_path_factory.mktemp("web") / "s"
    options = ["-k", "gthread", "--threads", str(THREADS), "-b", f"unix:{path}", "--no-control-socket"]
    process = subprocess.Popen(
        [sys.executable, "-m", "gunicorn", *options, "tests.unit.web_bare:bare_app()"], cwd=ROOT
    )
    try:
        wait_until(lambda: path.exists() and _status(path, _request("GET", "/healthz")) == 200)
        yield path
    finally:
        process.terminate()
        process.wait(10)


def _request(method: str, path: str, *headers: str) -> bytes:
    return "\r\n".join((f"{method} {path} HTTP/1.1", "Host: x", *headers, "", "")).encode()


def _open(path: Path, sent: bytes) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(ANSWER_S)
    connection.connect(str(path))
    connection.sendall(sent)
    return connection


def _status(path: Path, sent: bytes) -> int:
    with suppress(OSError), _open(path, sent) as connection:
        return int(connection.recv(64).split()[1])
    return 0


def _prompt(*headers: str) -> bytes:
    known = ("Content-Type: application/json", f"Authorization: Bearer {TOKEN}")
    return _request("POST", "/api/prompts", *known, *headers)


def test_a_body_announced_too_large_is_refused_before_it_is_sent(address: Path) -> None:
    assert _status(address, _prompt("Content-Length: 10000000000")) == 413


def test_a_body_of_unknown_length_is_refused_once_it_is_too_large(address: Path) -> None:
    chunk = b"1000\r\n" + b" " * 4096 + b"\r\n"

    assert _status(address, _prompt("Transfer-Encoding: chunked") + chunk * 3) == 413


def test_a_body_of_unknown_length_is_taken_when_it_fits(address: Path) -> None:
    body = b'd\r\n{"text":"yo"}\r\n0\r\n\r\n'

    assert _status(address, _prompt("Transfer-Encoding: chunked") + body) == 503


def test_callers_whose_bodies_never_come_hold_no_thread(address: Path) -> None:
    stranger = _request("POST", "/api/prompts", "Content-Length: 1000")
    with ExitStack() as held:
        for sent in (
            stranger,
            _prompt("Content-Length: 10000000000"),
            _request("PUT", "/x", "Content-Length: 9"),
        ):
            for _ in range(4 * THREADS):
                held.enter_context(_open(address, sent))

        assert _status(address, _request("GET", "/healthz")) == 200


@pytest.mark.parametrize("last", [("HTTP/1.1", "Connection: close"), ("HTTP/1.0", "X: y")])
def test_callers_who_do_not_close_their_side_hold_nobody_up(address: Path, last: tuple[str, str]) -> None:
    version, header = last
    sent = _request("GET", "/healthz", header).replace(b"HTTP/1.1", version.encode())
    with ExitStack() as held:
        for _ in range(4 * THREADS):
            held.enter_context(_open(address, sent))

        assert _status(address, _request("GET", "/healthz")) == 200
