"""Where web listens. The socket is bound here, before the server runs and beside its restarts: while it
is started anew, callers wait in the queue instead of being turned away.
"""

from __future__ import annotations

import errno
import socket
from typing import TYPE_CHECKING

from services.errors import ConfigurationError

if TYPE_CHECKING:
    from services.settings import Settings

DEFAULT_PORT = 8080
_BACKLOG = 1024
_PORTS_TRIED = 100


def bind(settings: Settings) -> socket.socket:
    """Listen where the settings say: on the port they name, otherwise on 8080 or the next free one.

    Raises: ConfigurationError.
    """
    first = settings.port or DEFAULT_PORT
    ports = (first,) if settings.port else range(first, first + _PORTS_TRIED)
    for port in ports:
        try:
            return _listen(settings.host, port)
        except OSError as error:
            problem = error
            if error.errno != errno.EADDRINUSE:
                break
    place = f"{settings.host} port {first}"
    if problem.errno != errno.EADDRINUSE:
        raise ConfigurationError(f"TURNWRIGHT_HOST: can not listen on {place}: {problem.strerror or problem}")
    if settings.port:
        raise ConfigurationError(
            f"TURNWRIGHT_PORT: {place} is in use: stop what listens there, or choose another"
        )
    raise ConfigurationError(f"{place} and the {_PORTS_TRIED - 1} after it are in use: set TURNWRIGHT_PORT")


def address_of(listener: socket.socket) -> str:
    """The URL under which this machine reaches `listener`."""
    host, port = listener.getsockname()[:2]
    reachable = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{reachable}]:{port}" if ":" in reachable else f"http://{reachable}:{port}"


def _listen(host: str, port: int) -> socket.socket:
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # Callers that connect before the server runs inherit it: without, each of their answers takes 40 ms.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        listener.bind(address)
        listener.listen(_BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener
