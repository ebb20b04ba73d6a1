"""A server at a socket that answers every command with the same error, as a store does that can not serve yet."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class _Refusal(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        """A command is an array of strings: its head says how many lines follow."""
        while head := self.rfile.readline():
            for _ in range(2 * int(head[1:])):
                self.rfile.readline()
            self.wfile.write(b"-" + self.server.error + b"\r\n")  # type: ignore[attr-defined]  # set below


class _Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True


@contextmanager
def refusing_store(socket: Path, error: str) -> Iterator[str]:
    """Answer with `error` at `socket`; yields the URL."""
    with _Server(str(socket), _Refusal) as server:
        server.error = error.encode()  # type: ignore[attr-defined]  # for the handler
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield f"unix://{socket}"
        finally:
            server.shutdown()
            thread.join()
    socket.unlink()
