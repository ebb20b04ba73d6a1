"""The one way to the log store: connections, scripts, and the translation of its errors.

Owns no key. Every thread has a connection of its own. Nothing above this module sees a redis error.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TypeVar, cast

import msgspec
import redis
from redis.backoff import ExponentialBackoff
from redis.exceptions import (
    ConnectionError,
    NoScriptError,
    OutOfMemoryError,
    RedisError,
    ResponseError,
    TimeoutError,
)
from redis.retry import Retry

from services.errors import ConfigurationError, Conflict, Defect, Overloaded, Refused, Revoked, Unavailable
from services.ids import new_id
from services.streams.away import away_by
from services.streams.commands import Arg, Client
from services.streams.line import Line, Packer

Reply = TypeVar("Reply")
LUA = Path(__file__).parent / "lua"
INCLUDES = {
    "commit": ("_prelude", "_commit"),
    "settle": ("_prelude", "_commit"),
    "load": ("_prelude", "_load"),
    "take_up": ("_prelude", "_load"),
}


class Refusal(msgspec.Struct, frozen=True):
    """What a script answers instead of writing."""

    refused: str = ""
    detail: str = ""


class Script(msgspec.Struct, frozen=True):
    """One script: its text and the digest the server knows it by."""

    name: str
    text: str
    sha: str


def read_script(name: str) -> Script:
    """Assemble a script from its file and what it includes."""
    parts = INCLUDES.get(name, ("_prelude",))
    text = "\n".join((LUA / f"{part}.lua").read_text() for part in (*parts, name))
    return script_of(name, text)


def script_of(name: str, text: str) -> Script:
    """A script from its full text."""
    return Script(name, text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())


class _Translated:
    def __enter__(self) -> None:
        return None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if isinstance(error, RedisError):
            raise _translation(error) from error


_translated = _Translated()


def translated() -> _Translated:
    """Turn what redis raises within into this project's errors."""
    return _translated


def _translation(error: RedisError) -> Exception:
    if isinstance(error, OutOfMemoryError):
        return Overloaded("store_full", retry_after_s=30)
    if isinstance(error, ResponseError):
        text = str(error)
        if "OOM" in text:
            return Overloaded("store_full", retry_after_s=30)
        if "MISCONF" in text:
            return Overloaded("store_disk", retry_after_s=30)
        return away_by(error) or Defect(f"the store refused a script: {text[:200]}")
    return away_by(error) or Unavailable(f"the store failed ({type(error).__name__})")


class OneLevelRetry(Retry):
    """Repeats at the outermost level only.

    redis-py repeats a command, and within each attempt the connecting and the health check again: a server
    that accepts and never answers would hold a caller for sixteen timeouts instead of four.
    """

    _inside = threading.local()

    def call_with_retry(
        self,
        do: Callable[[], Reply],
        fail: Callable[..., object],
        is_retryable: Callable[[Exception], bool] | None = None,
        with_failure_count: bool = False,
    ) -> Reply:
        """See redis-py."""
        if getattr(self._inside, "yes", False):
            return self._once(do, fail, with_failure_count)
        self._inside.yes = True
        try:
            return super().call_with_retry(do, fail, is_retryable, with_failure_count)
        finally:
            self._inside.yes = False

    def _once(self, do: Callable[[], Reply], fail: Callable[..., object], with_failure_count: bool) -> Reply:
        try:
            return do()
        except self._supported_errors as error:
            if with_failure_count:
                fail(error, 1)
            else:
                fail(error)
            raise


class Store:
    """Connections to one server and the scripts that run there.

    `timeout_s` bounds a single answer; a lost one is asked for again, which every writing script
    recognises by its operation id; unless not `repeats_timeouts`, one that did not come in time too.
    `timed` hears how long each script took, in seconds.
    """

    def __init__(
        self,
        url: str,
        *,
        timeout_s: float = 3.0,
        retries: int = 3,
        repeats_timeouts: bool = True,
        read: Callable[[str], Script] = read_script,
        timed: Callable[[str, float], None] = lambda script, seconds: None,
    ) -> None:
        self.url = url
        self._timeout_s = timeout_s
        self._retries = retries
        self._repeated = (ConnectionError, TimeoutError) if repeats_timeouts else (ConnectionError,)
        self._read, self._timed = read, timed
        self._local = threading.local()
        self._scripts: dict[str, Script] = {}
        self._open: list[Client] = []
        self._lock = threading.Lock()

    @property
    def client(self) -> Client:
        """This thread's connection. Wrap its use in `translated()`."""
        found: Client | None = getattr(self._local, "client", None)
        if found is None:
            found = self.connect(single=True)
            self._local.client = found
        return found

    def connect(self, *, single: bool = False, timeout_s: float | None = None) -> Client:
        """A client of its own, for example for publish/subscribe. Closed with the store.

        Raises: ConfigurationError when the URL has options that redis-py does not take.
        """
        try:
            made = self._connect(single=single, timeout_s=timeout_s)
        except (TypeError, ValueError):
            # Not shown: an option may be a password.
            raise ConfigurationError(
                "the store's address has an option after its ? that is not known"
            ) from None
        with self._lock:
            self._open.append(made)
        return made

    def forget(self, client: Client) -> None:
        """A client from `connect` was closed by its user."""
        with self._lock:
            if client in self._open:
                self._open.remove(client)

    def close(self) -> None:
        """Close every connection any thread opened."""
        with self._lock:
            clients, self._open = self._open, []
        for client in clients:
            client.close()
        self._local = threading.local()

    def raw(self, name: str, keys: Sequence[str], args: Sequence[Arg]) -> object:
        """Run a script that writes nothing, or whose repeats are harmless."""
        with translated():
            return self._evaluate(name, keys, args)

    def write(
        self,
        name: str,
        keys: Sequence[str],
        header: Mapping[str, object],
        bodies: Sequence[Arg],
        reply: type[Reply],
    ) -> Reply:
        """Run a writing script once, however often its reply gets lost.

        The key of the operation's reply is the fourth; its `{op}` is filled in here. Raises: Conflict for a
        refusal of kind rev/head/job, Refused for others (`Refusal` as argument), Unavailable, Overloaded.
        """
        op = new_id()
        filled = [*keys]
        filled[3] = filled[3].replace("{op}", op)
        header = {**header, "op": op, "again": False}
        with translated():
            try:
                raw = self._evaluate(name, filled, [msgspec.json.encode(header), *bodies])
            except (OutOfMemoryError, NoScriptError):
                raise
            except ResponseError as error:
                if not isinstance(_translation(error), Defect):
                    raise
                header["again"] = True
                raw = self._evaluate(name, filled, [msgspec.json.encode(header), *bodies])
        assert isinstance(raw, bytes)
        if b'"refused":' in raw[:400]:
            raise_refusal(msgspec.json.decode(raw, type=Refusal))
        return msgspec.json.decode(raw, type=reply)

    def _evaluate(self, name: str, keys: Sequence[str], args: Sequence[Arg]) -> object:
        script = self._scripts.get(name)
        if script is None:
            script = self._scripts[name] = self._read(name)
        client, began = self.client, time.perf_counter()
        try:
            return client.evalsha(script.sha, len(keys), *keys, *args)
        except NoScriptError:
            client.script_load(script.text)
            return client.evalsha(script.sha, len(keys), *keys, *args)
        finally:
            self._timed(name, time.perf_counter() - began)

    def _connect(self, *, single: bool, timeout_s: float | None) -> Client:
        tcp = {} if self.url.startswith("unix:") else {"socket_keepalive": True}
        return cast(
            Client,
            (Line if single else redis.Redis).from_url(
                self.url,
                socket_timeout=timeout_s or self._timeout_s,
                socket_connect_timeout=min(2.0, self._timeout_s),
                # A line finds out by the command itself, which is sent again; who only listens has to ask.
                health_check_interval=0 if single else 10,
                **tcp,
                retry=OneLevelRetry(ExponentialBackoff(cap=0.5, base=0.02), self._retries, self._repeated),
                single_connection_client=single,
                protocol=2,
                command_packer=Packer(),
                driver_info=None,  # telling its own version costs a millisecond for each connection
            ),
        )


class RefusedByScript(Refused):
    """A script's refusal that its caller must name properly."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.refused)
        self.reason = refusal.refused
        self.detail = refusal.detail


def raise_refusal(refusal: Refusal) -> None:
    """Raise the error that a refusal stands for."""
    if refusal.refused in ("rev", "head", "job_settled", "job_exists", "offset", "gap"):
        raise Conflict(refusal.refused)
    if refusal.refused == "revoked":
        raise Revoked("the lease of this process is over")
    if refusal.refused in ("type", "too_many"):
        raise Defect(f"a key has the wrong type or a commit is too large: {refusal.detail}")
    if refusal.refused:
        raise RefusedByScript(refusal)
