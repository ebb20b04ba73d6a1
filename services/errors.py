"""Every error Turnwright raises on purpose, in one tree.

TurnwrightError
├── Refused                 the caller's fault: never repeat
│   ├── Invalid             a value is of the wrong kind (`field`, `reason`)
│   ├── NotFound            what was named does not exist
│   ├── Unauthorized        no token, or an unknown one
│   │   └── Forged          no signature, or not the one its sender would make now
│   ├── KeyReused           an idempotency key came back with other content
│   ├── StreamPaused        the session takes no input now
│   ├── NotPending          the input is already part of a request, or gone
│   └── TooLarge            over a stated bound
├── Conflict                somebody was faster: reload, try again now
├── Unavailable             an outside system does not answer: back off
│   ├── StoreAway           the log store does not, whatever else does (`reason`)
│   └── Revoked             this process lost its lease for ever: exit
├── Overloaded              try later (`retry_after_s`)
├── ConfigurationError      environment, file or store do not fit (exit status 2)
└── Defect                  a broken promise of our own: never repeat, alert
"""

from __future__ import annotations


class TurnwrightError(Exception):
    """Root of the tree; never raised itself."""


class Refused(TurnwrightError):
    """The request can not succeed as it is; repeating it changes nothing."""


class Invalid(Refused):
    """A value is malformed. `field` names it, `reason` says what would be right."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason


class NotFound(Refused):
    """What was named does not exist. `what` is its kind and id."""

    def __init__(self, what: str) -> None:
        super().__init__(f"{what} does not exist")
        self.what = what


class Unauthorized(Refused):
    """No token was given, or it is not known here."""


class Forged(Unauthorized):
    """A signature is missing, wrong or too old; the words are safe to show."""


class KeyReused(Refused):
    """An idempotency key was used before with other content."""


class StreamPaused(Refused):
    """The session is paused and takes no input; resume it first."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"the session is paused: {reason}" if reason else "the session is paused")
        self.reason = reason


class NotPending(Refused):
    """The input can no longer be changed: a request already lists it, or it is gone."""


class TooLarge(Refused):
    """A body or state is over its bound. `limit` is in `unit`."""

    def __init__(self, what: str, limit: int, unit: str = "bytes") -> None:
        super().__init__(f"{what} is larger than {limit} {unit}")
        self.what = what
        self.limit = limit


class Conflict(TurnwrightError):
    """Another writer was faster. Reload and try again at once. `reason` is a safe code."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Unavailable(TurnwrightError):
    """An outside system can not be reached now. Back off and repeat with the same key."""


class StoreAway(Unavailable):
    """The store can not be used now. `reason` is a safe code, the text is safe to show too."""

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason


class Revoked(Unavailable):
    """This process's lease ended or was taken away; it never comes back. Exit."""


class Overloaded(TurnwrightError):
    """Nothing was done; come back after `retry_after_s` seconds."""

    def __init__(self, reason: str, *, retry_after_s: float = 5.0) -> None:
        super().__init__(reason)
        self.reason = reason
        self.retry_after_s = retry_after_s


class ConfigurationError(TurnwrightError):
    """Environment, configuration file or store do not fit. `problems` lists all of them."""

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class Defect(TurnwrightError):
    """A promise of our own code is broken. Never repeated; somebody must look."""
