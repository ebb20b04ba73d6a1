"""The socket under one request: the last check before its first byte, and how a cancel frees a blocked read.

A request's socket is only told when it is opened, therefore connections are not reused.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping

from turnwright import Sending


class CancellableConnection:
    """Follows one request through the client's trace events."""

    def __init__(self, sending: Sending) -> None:
        self._sending = sending
        self._forget: Callable[[], None] | None = None

    def trace(self, event: str, details: Mapping[str, object]) -> None:
        """The `trace` extension of the request. Raises what `sending.starting()` raises."""
        if event in ("connection.connect_tcp.complete", "connection.start_tls.complete"):
            self._watch(details["return_value"])
        elif event == "http11.send_request_headers.started":
            self._sending.starting()

    def release(self) -> None:
        """Cancels no longer reach the socket; a shutdown that is running has ended when this returns."""
        if self._forget is not None:
            self._forget()
            self._forget = None

    def _watch(self, stream: object) -> None:
        self.release()
        get_extra_info = getattr(stream, "get_extra_info", None)
        opened = get_extra_info("socket") if get_extra_info is not None else None
        if isinstance(opened, socket.socket):
            # The base class's shutdown: the one of a TLS socket would take its state from under the reader.
            self._forget = self._sending.on_cancel(lambda: socket.socket.shutdown(opened, socket.SHUT_RDWR))
