"""What clients of ours need to know of a connected socket, and how they are freed from one."""

from __future__ import annotations

import select
import socket
from contextlib import suppress


def shut(opened: socket.socket) -> None:
    """End whatever a thread waits for on `opened`, from another thread. It may be over already."""
    # The base class's shutdown: the one of a TLS socket would take its state from under the reader.
    with suppress(OSError):
        socket.socket.shutdown(opened, socket.SHUT_RDWR)


def is_readable(opened: socket.socket) -> bool:
    """Whether bytes or the end wait to be read: nobody may use an idle connection of which that is true."""
    return opened.fileno() < 0 or is_ready(opened, select.POLLIN, within_s=0)


def is_ready(opened: socket.socket, events: int, *, within_s: float) -> bool:
    """Wait until one of `events` (`select.POLLIN`, `POLLOUT`) or an end of `opened` is there: whether it is."""
    poll = select.poll()
    poll.register(opened, events)
    return bool(poll.poll(within_s * 1000))
