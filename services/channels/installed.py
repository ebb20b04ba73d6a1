"""Channels that installed packages bring: found, checked, and kept behind the border to their code."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from importlib.metadata import EntryPoint, entry_points
from typing import Annotated, TypeVar, cast

import msgspec

from services.channels.border import Border, Broken, Busy
from services.channels.contract import Channel, DeliveryError, DeliveryErrorKind, Letter, Receipt, Sending
from services.config.contradictions import CHANNELS
from services.errors import ConfigurationError

GROUP = CHANNELS
# Ours, or what our sessions and streams begin with.
RESERVED = frozenset({"slack", "github", "http", "prompt", "app", "in", "inbound", "trigger", "schedule"})
# Between the end of an attempt and when whoever does not heed it is left behind.
GRACE_S = 2.0
BUSY_S = 60.0
LONGEST_SETTLE_MS = 60_000

T = TypeVar("T", bound=msgspec.Struct)

_name = re.compile(r"[a-z][a-z0-9-]{0,31}")
_code = re.compile(r"[a-z][a-z0-9_]{0,63}")


Status = Annotated[int, msgspec.Meta(ge=0, le=999)]


class _Terms(msgspec.Struct, frozen=True, kw_only=True):
    kind: DeliveryErrorKind
    status: Status
    retry_after_s: Annotated[float, msgspec.Meta(ge=0, le=86_400)] | None
    is_limit: bool
    code: str


class _Accepted(msgspec.Struct, frozen=True):
    status: Status


class Installed(msgspec.Struct, frozen=True, kw_only=True):
    """A channel of a package. `off` says why it is closed, in the package's words; empty when it is open.

    `receiver` reads webhooks, None for a channel that only sends; `border` is where its code is called.
    """

    name: str
    channel: Channel
    border: Border
    off: str = ""
    receiver: object = None


def installed_channels(points: Sequence[EntryPoint] | None = None) -> Mapping[str, Installed]:
    """Every channel that a package offers, by name. Raises: ConfigurationError naming each broken one."""
    found: dict[str, Installed] = {}
    problems: list[str] = []
    for point in entry_points(group=GROUP) if points is None else points:
        where = f"channel {point.name} of package {point.dist.name if point.dist else point.value}"
        if problem := _misnamed(point.name, found):
            problems.append(f"{where}: {problem}")
            continue
        try:
            found[point.name] = _made(point, where)
        except ConfigurationError as error:
            problems += error.problems
    if problems:
        raise ConfigurationError(*problems)
    return found


def _misnamed(name: str, found: Mapping[str, Installed]) -> str:
    if not _name.fullmatch(name):
        return "a name is up to 32 of a-z, 0-9 and -, and starts with a letter"
    if name in RESERVED:
        return f"the name {name!r} is taken by Turnwright itself"
    return "another package has the same name" if name in found else ""


def _made(point: EntryPoint, where: str) -> Installed:
    try:
        made = point.load()()
        problem = _wrong(made, point.name)
        if not problem:
            return _kept(point.name, made)
    except (Exception, SystemExit) as error:
        # The border to plugin code. Its own words may hold secrets, so only the type is told.
        problem = f"can not be used: {type(error).__name__}"
    raise ConfigurationError(f"{where}: {problem}")


def _kept(name: str, made: object) -> Installed:
    border = Border(name)
    return Installed(
        name=name,
        channel=Guarded(cast(Channel, made), border),
        border=border,
        off=" ".join(getattr(made, "off", "").split())[:200],
        receiver=made if hasattr(made, "verify") else None,
    )


def _wrong(made: object, name: str) -> str:
    settle_ms = getattr(made, "settle_ms", None)
    receives = [getattr(made, each, None) for each in ("verify", "read")]
    checks = (
        (getattr(made, "name", None) == name, "its name must be that of the entry point"),
        (all(callable(getattr(made, each, None)) for each in ("send", "find")), "it needs send() and find()"),
        (
            type(settle_ms) is int and 0 <= settle_ms <= LONGEST_SETTLE_MS,
            f"settle_ms must be 0 to {LONGEST_SETTLE_MS}",
        ),
        (receives == [None, None] or all(map(callable, receives)), "it needs both verify() and read()"),
        (isinstance(getattr(made, "off", ""), str), "off must be a text"),
    )
    return next((problem for is_right, problem in checks if not is_right), "")


class Guarded:
    """A package's channel as the outbox sees it: whatever its code does ends as a DeliveryError that can be judged."""

    def __init__(self, channel: Channel, border: Border) -> None:
        self.name, self.settle_ms = channel.name, channel.settle_ms
        self._channel, self._border = channel, border

    def send(self, letter: Letter, sending: Sending) -> Receipt:
        """See `Channel`."""
        try:
            receipt = self._border.call(
                "send",
                lambda: self._channel.send(letter, sending),
                within_s=letter.timeout_s + GRACE_S,
                known=DeliveryError,
            )
            return self._checked(receipt, "send")
        except (DeliveryError, Broken, Busy) as error:
            raise _judgeable(error) from None

    def find(self, letter: Letter, sending: Sending) -> Receipt | None:
        """See `Channel`."""
        try:
            receipt = self._border.call(
                "find",
                lambda: self._channel.find(letter, sending),
                within_s=letter.timeout_s + GRACE_S,
                known=DeliveryError,
            )
            return None if receipt is None else self._checked(receipt, "find")
        except (DeliveryError, Broken, Busy) as error:
            raise _judgeable(error) from None

    def _checked(self, receipt: object, step: str) -> Receipt:
        if not isinstance(receipt, Receipt):
            raise self._border.broken(step)
        try:
            return Receipt(status=_read(receipt, _Accepted).status)
        except _Unreadable:
            raise self._border.broken(step) from None


class _Unreadable(Exception):
    """A value of a package's that is not what it must be."""


def _read(value: object, shape: type[T]) -> T:
    """The fields of `shape` as `value` has them. Raises: _Unreadable, whatever is wrong with them."""
    try:
        given = {each.name: getattr(value, each.name) for each in msgspec.structs.fields(shape)}
        return msgspec.convert(given, shape)
    except Exception:
        # The border to plugin code: what it gives may be of a class of its own, or unfinished.
        raise _Unreadable from None


def _judgeable(error: DeliveryError | Broken | Busy) -> DeliveryError:
    """Nobody knows how far broken code came: so it may have arrived, is looked for, and costs an attempt."""
    match error:
        case Busy():
            return DeliveryError("overloaded", code="channel_busy", retry_after_s=BUSY_S)
        case Broken():
            return DeliveryError("ambiguous", code="channel_broken")
    try:
        checked = _read(error, _Terms)
    except _Unreadable:
        return DeliveryError("ambiguous", code="channel_broken")
    return DeliveryError(
        checked.kind,
        code=checked.code if _code.fullmatch(checked.code) else "",
        status=checked.status,
        retry_after_s=checked.retry_after_s,
        is_limit=checked.is_limit,
    )
