"""TLS on a connected socket: the handshake, within the limits of an attempt."""

from __future__ import annotations

import socket
import ssl

from services.channels.http.attempt import Attempt


def secured(opened: socket.socket, tls: ssl.SSLContext, host: str, attempt: Attempt) -> ssl.SSLSocket:
    """Talk TLS on `opened` from now on, with whoever proves to be `host`; closes it otherwise.

    Raises: DeliveryError (not_sent: tls_failed, timeout; cancelled).
    """
    # Wrapping takes the descriptor from our socket before the handshake: a copy can still shut the connection.
    with opened.dup() as copy:
        attempt.watch(copy)
        try:
            opened.settimeout(attempt.left_s())
            encrypted = tls.wrap_socket(opened, server_hostname=host)
            if encrypted.version() is None:
                # The other side was gone before the handshake: what is written now would not be encrypted.
                encrypted.close()
                raise ConnectionError
        except TimeoutError:
            raise attempt.failed("timeout") from None
        except (OSError, ValueError):
            # ValueError: a name that TLS can not check.
            raise attempt.failed("tls_failed") from None
        finally:
            attempt.release()
            # Wrapped, it is closed already, as far as it is concerned.
            opened.close()
    return encrypted
