"""A thread's own connection to the log store: redis-py's commands and connection without the layers between.

What a client for many threads, pools and meters does around every command costs more than the command. Kept is
the promise: a lost connection is made anew and the command repeated, as often as the connection's `retry` says.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar, cast

import hiredis
from redis import Redis
from redis.client import Pipeline
from redis.exceptions import ResponseError
from redis.retry import Retry

Part = str | bytes | int | float
Queued = tuple[tuple[Part, ...], dict[str, object]]
Reply = TypeVar("Reply")


class Wire(Protocol):
    """The part of redis-py's connection that is used here. It connects when sending."""

    retry: Retry

    def pack_command(self, *args: Part) -> Sequence[bytes]: ...
    def pack_commands(self, commands: Sequence[tuple[Part, ...]]) -> Sequence[bytes]: ...
    def send_packed_command(self, command: Sequence[bytes]) -> None: ...
    def read_response(self) -> object: ...
    def disconnect(self) -> None: ...


class Parser(Protocol):
    """The part of redis-py's clients and pipelines that reads one reply; raises ResponseError for a refusal."""

    def parse_response(self, connection: Wire, command_name: Part, **options: object) -> object: ...


class Packer:
    """Packs one command; redis-py's own copies the arguments in Python before."""

    def pack(self, *args: Part) -> Sequence[bytes]:
        """The bytes of a command, whose name may be two words."""
        name = args[0]
        if isinstance(name, str) and " " in name:
            args = (*name.split(), *args[1:])
        return (hiredis.pack_command(args),)  # type: ignore[arg-type]  # its stub says one argument


class Line(Redis):
    """One connection, for one thread: made with `single_connection_client=True`."""

    def execute_command(self, *args: Part, **options: object) -> object:
        """See redis-py."""
        if self.connection is None:  # closed
            return super().execute_command(*args, **options)  # type: ignore[no-untyped-call]  # redis-py types its commands, not this
        wire, parser = cast(Wire, self.connection), cast(Parser, self)
        packed = wire.pack_command(*args)

        def ask() -> object:
            wire.send_packed_command(packed)
            return parser.parse_response(wire, args[0], **options)

        return repeated(wire, ask)

    def evalsha(self, sha: str, numkeys: int, *keys_and_args: Part) -> object:  # type: ignore[override]  # narrower
        """See redis-py. A script's reply needs no reading but that of the parser."""
        if self.connection is None:  # closed
            return super().evalsha(sha, numkeys, *keys_and_args)
        wire = cast(Wire, self.connection)
        packed = wire.pack_command("EVALSHA", sha, numkeys, *keys_and_args)

        def ask() -> object:
            wire.send_packed_command(packed)
            return wire.read_response()

        return repeated(wire, ask)

    def pipeline(self, transaction: bool = True, shard_hint: object = None) -> Pipeline:
        """See redis-py; what is no transaction goes over the same connection."""
        if transaction or self.connection is None:
            return super().pipeline(transaction, shard_hint)
        return Batch(self, cast(Wire, self.connection))


class Batch(Pipeline):
    """Commands sent together over a line's connection."""

    def __init__(self, line: Line, wire: Wire) -> None:
        super().__init__(line.connection_pool, line.response_callbacks, False, None)
        self._wire = wire

    def execute(self, raise_on_error: bool = True) -> list[object]:
        """See redis-py. All are sent again when the connection is lost."""
        queued: list[Queued] = self.command_stack
        self.command_stack = []
        if not queued:
            return []
        packed = self._wire.pack_commands([args for args, _ in queued])
        replies = repeated(self._wire, lambda: self._ask(packed, queued))
        for reply in replies:
            if raise_on_error and isinstance(reply, ResponseError):
                raise reply
        return replies

    def _ask(self, packed: Sequence[bytes], queued: Sequence[Queued]) -> list[object]:
        wire, parser = self._wire, cast(Parser, self)
        wire.send_packed_command(packed)
        replies: list[object] = []
        try:
            for args, options in queued:
                try:
                    replies.append(parser.parse_response(wire, args[0], **options))
                except ResponseError as error:
                    replies.append(error)
        except BaseException:
            wire.disconnect()  # what is still unread must not answer the next command
            raise
        return replies


def repeated(wire: Wire, ask: Callable[[], Reply]) -> Reply:
    """What `ask` answers, on a new connection after a lost one."""
    return wire.retry.call_with_retry(ask, lambda error: wire.disconnect())
