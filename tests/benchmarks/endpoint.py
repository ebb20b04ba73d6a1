"""A small HTTP/1.1 server for the ends of a measurement: kept connections, one thread, no library in between.

What a measurement talks to must cost little of the cores it shares with what is measured.
"""

from __future__ import annotations

import asyncio
import gc
import re
import socket
import sys
from collections.abc import Callable
from typing import cast

_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_HEAD_END = b"\r\n\r\n"


class Caller(asyncio.Protocol):
    """One connection. `received` hears each request's first line and body, in order."""

    def __init__(self, received: Callable[[Caller, bytes, bytes], None]) -> None:
        self._received = received
        self._buffer = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio."""
        self._transport = cast(asyncio.Transport, transport)
        opened: socket.socket = transport.get_extra_info("socket")
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def data_received(self, data: bytes) -> None:
        """See asyncio."""
        self._buffer += data
        while (end := self._buffer.find(_HEAD_END)) >= 0:
            length = _LENGTH.search(self._buffer, 0, end)
            whole = end + 4 + (int(length[1]) if length else 0)
            if len(self._buffer) < whole:
                return
            request, self._buffer = self._buffer[:whole], self._buffer[whole:]
            self._received(self, request[: request.index(b"\r\n")], request[end + 4 :])

    def connection_lost(self, error: Exception | None) -> None:
        """See asyncio."""
        self._transport = None

    def write(self, part: bytes) -> None:
        """Send bytes; nothing happens when the caller has gone."""
        if self._transport is not None:
            self._transport.write(part)

    def answer(self, body: bytes = b"", *, type: str = "application/json") -> None:
        """Send a whole answer."""
        head = f"HTTP/1.1 200 OK\r\nContent-Type: {type}\r\nContent-Length: {len(body)}\r\n\r\n"
        self.write(head.encode() + body)


def serve(received: Callable[[Caller, bytes, bytes], None]) -> None:
    """Print the address and serve until the process is ended."""
    # Cycles are few and a collection would be taken for the time of somebody else.
    gc.disable()

    async def run() -> None:
        server = await asyncio.get_running_loop().create_server(
            lambda: Caller(received), "127.0.0.1", 0, backlog=512
        )
        sys.stdout.write(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}\n")
        sys.stdout.flush()
        await server.serve_forever()

    asyncio.run(run())
