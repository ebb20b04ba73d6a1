"""A proxy between a client and a store's socket that can lose replies and swallow everything.

A reply is lost the cruel way: the server has done its work, then the connection closes.
"""

from __future__ import annotations

import select
import shutil
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from deploy.embedded import make_socket_folder

CHUNK = 1 << 16


class StoreProxy:
    """Stands at `url` before the server at `target`. Thread-safe; every connection has a thread."""

    def __init__(self, target: str, folder: Path) -> None:
        self.url = f"unix://{folder / 'p'}"
        self._target = target.removeprefix("unix://")
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(folder / "p"))
        self._listener.listen(64)
        self._open: set[socket.socket] = set()
        self._seen: set[bytes] = set()
        self._swallowed: set[socket.socket] = set()
        self._lock = threading.Lock()
        self.loses_first_replies = False
        self.swallows_all = False
        self.lost = 0
        self.connections = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def swallow_open_connections(self) -> None:
        """What is connected now hears and is heard no more; new connections are fine."""
        with self._lock:
            self._swallowed |= self._open

    def close(self) -> None:
        """Close everything."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            for one in self._open:
                with suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with self._lock:
            self._open.add(client)
            self.connections += 1
        with client, socket.socket(socket.AF_UNIX) as server, suppress(OSError):
            server.connect(self._target)
            self._pump(client, server)
        with self._lock:
            self._open.discard(client)
            self._swallowed.discard(client)

    def _pump(self, client: socket.socket, server: socket.socket) -> None:
        pending = b""
        while True:
            ready, _, _ = select.select([client, server], [], [])
            for end in ready:
                data = end.recv(CHUNK)
                if not data:
                    return
                if self.swallows_all or client in self._swallowed:
                    continue
                if end is server:
                    client.sendall(data)
                    continue
                requests, pending = split_requests(pending + data)
                for request in requests:
                    server.sendall(request)
                    if self._loses(request):
                        server.recv(CHUNK)
                        return

    def _loses(self, request: bytes) -> bool:
        """Every script call loses its first reply; the repeat is the same request byte for byte."""
        if not self.loses_first_replies or b"EVALSHA" not in request[:40]:
            return False
        with self._lock:
            if request in self._seen:
                return False
            self._seen.add(request)
            self.lost += 1
        return True


def split_requests(data: bytes) -> tuple[list[bytes], bytes]:
    """The complete requests in `data` (arrays of bulk strings), and the rest."""
    found: list[bytes] = []
    while (end := _end_of_request(data)) is not None:
        found.append(data[:end])
        data = data[end:]
    return found, data


def _end_of_request(data: bytes) -> int | None:
    line = data.find(b"\r\n")
    if line < 0:
        return None
    at = line + 2
    for _ in range(int(data[1:line])):
        line = data.find(b"\r\n", at)
        if line < 0:
            return None
        at = line + 2 + int(data[at + 1 : line]) + 2
        if at > len(data):
            return None
    return at


@contextmanager
def proxy_before(target: str) -> Iterator[StoreProxy]:
    """A proxy before the server at `target`, which must be a socket."""
    folder = make_socket_folder()
    made = StoreProxy(target, folder)
    try:
        yield made
    finally:
        made.close()
        shutil.rmtree(folder, ignore_errors=True)
