"""Why a store can not be used now, in words and codes that are safe to show: no address, no user, no password."""

from __future__ import annotations

import errno
import socket
import ssl

from redis.exceptions import (
    AuthenticationError,
    AuthenticationWrongNumberOfArgsError,
    AuthorizationError,
    BusyLoadingError,
    ClusterDownError,
    MasterDownError,
    ReadOnlyError,
    RedisError,
    ResponseError,
    TimeoutError,
)

from services.errors import StoreAway

_TEXTS = {
    "loading": "the store is starting: it still loads its data",
    "password": "the store refuses the user or the password of its address",
    "permission": "the store does not allow its user what Turnwright needs",
    "read_only": "the store is read-only: it may be a replica",
    "cluster_down": "the store's cluster is down",
    "replicas": "the store has too few replicas to write",
    "busy": "the store is busy with somebody's script",
    "moved": "the store is being moved to another server",
    "clients": "the store does not answer: it has too many connections",
    "silent": "the store does not answer in time",
    "refused": "the store does not answer: its address refuses connections",
    "no_socket": "the store does not answer: there is no socket at its address",
    "forbidden_socket": "the store does not answer: this user may not open its socket",
    "unreachable": "the store does not answer: its network can not be reached",
    "unknown_host": "the store does not answer: the name of its host is not known",
    "tls": "the store does not answer: TLS with it fails",
    "lost": "the store does not answer: connections to it break",
}
# How an answer begins that says nothing about the command, only about the server that got it.
_PASSING = {
    "NOPERM": "permission",
    "NOREPLICAS": "replicas",
    "BUSY": "busy",
    "LOADING": "loading",
    "UNBLOCKED": "loading",
    "READONLY": "read_only",
    "MASTERDOWN": "read_only",
    "CLUSTERDOWN": "cluster_down",
    "TRYAGAIN": "moved",
    "MOVED": "moved",
    "ASK": "moved",
    "NOAUTH": "password",
    "WRONGPASS": "password",
}
_BY_ERRNO = {
    errno.ECONNREFUSED: "refused",
    errno.ENOENT: "no_socket",
    errno.EACCES: "forbidden_socket",
    errno.EPERM: "forbidden_socket",
    errno.EHOSTUNREACH: "unreachable",
    errno.ENETUNREACH: "unreachable",
    errno.ETIMEDOUT: "silent",
}


def away(code: str) -> StoreAway:
    """The error for a code of `_TEXTS`."""
    return StoreAway(code, _TEXTS[code])


def away_by(error: RedisError) -> StoreAway | None:
    """What `error` says of the server; None where it is an answer to the command."""
    match error:
        case BusyLoadingError():
            return away("loading")
        case AuthenticationError() | AuthorizationError() | AuthenticationWrongNumberOfArgsError():
            return away("password")
        case ReadOnlyError() | MasterDownError():
            return away("read_only")
        case ClusterDownError():
            return away("cluster_down")
        case TimeoutError():
            return away("silent")
        case ResponseError():
            code = _code_in(error)
            return away(code) if code else None
        case _:
            return away("clients" if "max number of clients" in str(error) else _cause_of(error))


def _code_in(error: ResponseError) -> str:
    # redis-py takes some codes off the text; a script's error has its own text behind ours.
    told = getattr(error, "status_code", None) or str(error).partition(" ")[0]
    return _PASSING.get(str(told).lstrip("-"), "") or _within_script(str(error))


def _within_script(text: str) -> str:
    if "ACL failure" in text:
        return "permission"
    return next((code for sign, code in _PASSING.items() if f"-{sign} " in text), "")


def _cause_of(error: BaseException) -> str:
    """What the operating system said below a lost connection."""
    seen: BaseException | None = error
    while seen is not None:
        match seen:
            case ssl.SSLError():
                return "tls"
            case socket.gaierror():
                return "unknown_host"
            case OSError() if seen.errno in _BY_ERRNO:
                return _BY_ERRNO[seen.errno]
        seen = seen.__cause__ or seen.__context__
    return "lost"
