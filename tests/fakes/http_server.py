"""What every fake over HTTP is: a server in a thread of its own, for as long as a `with` block lasts."""

from __future__ import annotations

import socket
import sys
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Generic, TypeVar

F = TypeVar("F", bound="FakeServer")


class HTTPServer(ThreadingHTTPServer, Generic[F]):
    """Serves `fake`; its connections find it there."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 512

    def __init__(self, port: int, connection: type[BaseHTTPRequestHandler], fake: F) -> None:
        self.fake = fake
        self._ending = threading.Event()
        super().__init__(("127.0.0.1", port), connection)

    def serve(self) -> None:
        """Serve until told to end, which is noticed with the next connection."""
        while not self._ending.is_set():
            self.handle_request()

    def end(self) -> None:
        """Let `serve` come back."""
        self._ending.set()
        # Looking for it now and then would cost each of thousands of tests such a while.
        with suppress(OSError):
            socket.create_connection(("127.0.0.1", self.server_port)).close()

    def verify_request(self, request: object, client_address: object) -> bool:
        """Whoever comes at the end only wakes it."""
        return not self._ending.is_set()

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away is part of the tests; anything else is a bug of the fake."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]  # socketserver's own types


class FakeServer:
    """A fake. `stopping` is set before its server ends, so that connections that hold on let go."""

    def __init__(self, connection: type[BaseHTTPRequestHandler], *, port: int = 0) -> None:
        self.stopping = threading.Event()
        self._http = HTTPServer(port, connection, self)
        self.port: int = self._http.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._http.serve, daemon=True)

    def __enter__(self: F) -> F:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stopping.set()
        self.stop_listening()

    def stop_listening(self) -> None:
        """From now on nobody listens here; open connections go on."""
        self._http.end()
        self._thread.join()
        self._http.server_close()
