"""Under the real server: oversized bodies are not read, and callers hold no thread without using it."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from http.client import HTTPResponse
from pathlib import Path

import pytest

from deploy.web_worker import HEAD_LIMIT
from tests.scenarios.hasty import LARGE
from tests.scenarios.http_stage import wait_until
from tests.unit.web_bare import TOKEN

ROOT = Path(__file__).parents[2]
THREADS = 2
ANSWER_S = 3.0


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with _served(tmp_path_factory.mktemp("web") / "s") as (path, _):
        yield path


@contextmanager
def _served(path: Path) -> Iterator[tuple[Path, subprocess.Popen[bytes]]]:
    worker = ("-k", "tests.scenarios.hasty.HastyWorker", "--threads", str(THREADS))
    options = (*worker, "-b", f"unix:{path}", "--no-control-socket", "--graceful-timeout", "2")
    process = subprocess.Popen(
        [sys.executable, "-m", "gunicorn", *options, "tests.scenarios.hasty:app"], cwd=ROOT
    )
    try:
        wait_until(lambda: path.exists() and _status(path, _request("GET", "/healthz")) == 200)
        yield path, process
    finally:
        process.terminate()
        process.wait(20)


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


def _answer(connection: socket.socket) -> int:
    response = HTTPResponse(connection)
    response.begin()
    response.read()
    return response.status


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


HALF = b"GET /healthz HTTP/1.1\r\nHost: x\r\n"


def test_callers_whose_heads_are_unfinished_hold_no_thread(address: Path) -> None:
    with ExitStack() as held:
        for sent in (b"", b"G", HALF):
            for _ in range(4 * THREADS):
                held.enter_context(_open(address, sent))

        assert _status(address, _request("GET", "/healthz")) == 200


def test_a_head_has_one_deadline_however_often_a_byte_of_it_comes(address: Path) -> None:
    with _open(address, HALF) as connection:
        connection.settimeout(0.1)

        def is_closed() -> bool:
            try:
                connection.sendall(b"x")
                return connection.recv(1) == b""
            except TimeoutError:
                return False
            except OSError:
                return True

        wait_until(is_closed)


def test_a_body_has_one_deadline_however_often_a_byte_of_it_comes(address: Path) -> None:
    with _open(address, _prompt("Content-Length: 4000")) as connection:
        connection.settimeout(0.1)

        def is_answered() -> bool:
            try:
                connection.sendall(b" ")
                return connection.recv(1) is not None
            except TimeoutError:
                return False
            except OSError:
                return True

        wait_until(is_answered)


def test_a_head_without_an_end_is_refused(address: Path) -> None:
    assert _status(address, HALF + b"X: " + b"y" * HEAD_LIMIT) == 431


def test_a_head_may_come_in_pieces_and_its_connection_is_kept_for_the_next(address: Path) -> None:
    with _open(address, HALF) as connection:
        connection.sendall(b"\r\n")
        first = _answer(connection)
        connection.sendall(HALF)
        connection.sendall(b"\r\n")

        assert (first, _answer(connection)) == (200, 200)


def test_requests_sent_at_once_are_answered_one_after_the_other(address: Path) -> None:
    last = _request("GET", "/healthz", "Connection: close")
    with _open(address, _request("GET", "/healthz") * 2 + last) as connection:
        answers = b"".join(iter(lambda: connection.recv(4096), b""))

    assert answers.count(b"HTTP/1.1 200") == 3


@pytest.mark.parametrize("stranger", ["/api/prompts", "/nowhere"])
def test_what_follows_of_a_body_that_was_left_unread_is_never_a_request(address: Path, stranger: str) -> None:
    hidden = _request("GET", "/healthz")
    with _open(address, _request("POST", stranger, f"Content-Length: {len(hidden)}")) as connection:
        refused = HTTPResponse(connection)
        refused.begin()
        refused.read()
        with suppress(OSError):
            connection.sendall(hidden)

        assert (refused.status, refused.getheader("Connection")) == (401, "close")
        with suppress(ConnectionError):
            assert connection.recv(4096) == b""


def test_a_caller_who_reads_gets_a_large_answer_whole(address: Path) -> None:
    with _open(address, _request("GET", "/large", "Connection: close")) as connection:
        answer = b"".join(iter(lambda: connection.recv(65_536), b""))

    assert len(answer) > LARGE


def test_callers_who_stop_reading_lose_their_connection(address: Path) -> None:
    with ExitStack() as held:
        for _ in range(2 * THREADS):
            held.enter_context(_open(address, _request("GET", "/large")))

        wait_until(lambda: _status(address, _request("GET", "/healthz")) == 200)


def test_stopping_waits_for_nobody_beyond_the_grace_period(tmp_path: Path) -> None:
    with _served(tmp_path / "s") as (path, process), ExitStack() as held:
        for sent in (HALF, HALF, _request("GET", "/large"), _request("GET", "/large"), _request("GET", "/")):
            held.enter_context(_open(path, sent))
        process.terminate()

        assert process.wait(10) == 0
