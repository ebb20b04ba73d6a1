"""Other senders as sources: whoever signs as Standard Webhooks has it, each by its name in the configuration.

Source: https://github.com/standard-webhooks/standard-webhooks
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence

import msgspec

from services.channels.contract import Sending
from services.channels.http.signing import ID, SIGNATURE, TIMESTAMP, BadSignature, verify
from services.config import SourceConfig
from services.errors import Invalid
from services.inbound.contract import Answer, Arrived, Dropped, Ignored, Order, Request, Said
from services.inbound.rules import Rules, Subject
from services.streams.event import StreamId
from services.streams.inbound_events import InboundQueued, InboundReceived
from services.streams.vocabulary import InputReceived
from services.variables import Secret, signing_key

MOST_BYTES = 1_048_576
LONGEST_ID = 200
_word = re.compile(r"[A-Za-z0-9._-]{1,100}")


class StandardSource:
    """One sender. `secrets` verify, several while they rotate; none, and it is off."""

    most_bytes = MOST_BYTES

    def __init__(self, config: SourceConfig, secrets: Sequence[Secret], rules: Rules) -> None:
        self.name = config.name
        self._config, self._rules = config, rules
        self._keys = [signing_key(secret.reveal()) for secret in secrets]
        self.off = "" if secrets else f"not set: TURNWRIGHT_SOURCE_{_variable(config.name)}_SECRET"

    def verify(self, request: Request) -> None:
        """See `Source`."""
        names = [name.lower() for name, _ in request.headers]
        if any(names.count(name) > 1 for name in (ID, TIMESTAMP, SIGNATURE)):
            # Which of two is meant, every reader might see otherwise.
            raise BadSignature("malformed")
        verify(self._keys, dict(request.headers), request.body, now_s=request.received_s)

    def read(self, request: Request) -> Arrived | Answer:
        """See `Source`. What keeps its order among itself has a stream of its own."""
        document = _document(request.body)
        id = _short(request.header(ID))
        received = InboundReceived(
            source=self.name,
            kind=_text_at(document, "type")[:100],
            body=request.body.decode(),
            headers={ID: id},
            sent_at=int(request.received_s * 1000),
        )
        order = _text_at(document, self._config.order_by) if self._config.order_by else ""
        stream = f"inbound:{self.name}:{named(order)}" if order else f"inbound:{self.name}"
        return Arrived(stream=StreamId(stream), key=f"{self.name}:{id}", received=received)

    def decide(self, received: InboundReceived) -> Order | Ignored:
        """See `Source`. One session for all that keeps its order, else one for each delivery."""
        document = _document(received.body.encode())
        order = _text_at(document, self._config.order_by) if self._config.order_by else ""
        thread = f"in:{self.name}:{named(order or received.headers.get(ID, ''))}"
        subject = Subject(
            event=received.kind, place=order, thread=StreamId(thread), text=self._text(document, received)
        )
        return self._rules.order(subject)

    def compose(
        self, queued: InboundQueued, received: InboundReceived, sending: Sending, *, is_first: bool
    ) -> Said | Dropped:
        """See `Source`."""
        text = self._text(_document(received.body.encode()), received)
        if not text.strip():
            return Dropped("nothing_said")
        said = InputReceived(
            text=text,
            policy=queued.policy,
            debounce_ms=queued.debounce_ms,
            source=self.name,
        )
        return Said(input=said, key=self.key_of(received))

    def key_of(self, received: InboundReceived) -> str:
        """See `Source`."""
        return f"{self.name}:{received.headers.get(ID, '')}"

    def thread_of(self, received: InboundReceived, sending: Sending | None) -> str:
        """See `Source`. There is no thread."""
        return ""

    def _text(self, document: object, received: InboundReceived) -> str:
        return _text_at(document, self._config.text) if self._config.text else received.body


def _document(body: bytes) -> object:
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Invalid("body", "must be JSON") from None


def _text_at(document: object, path: str) -> str:
    """The text or number at a place like `data.customer.id`; empty where there is none."""
    for name in path.split("."):
        document = document.get(name) if isinstance(document, dict) else None
    return str(document) if isinstance(document, str | int) and not isinstance(document, bool) else ""


def named(text: str) -> str:
    """`text` where it may be part of a stream's id, else a digest of it."""
    return text if _word.fullmatch(text) else hashlib.sha256(text.encode()).hexdigest()[:32]


def _short(id: str) -> str:
    """`id`, or what tells it from every other one as well where it is too long for a key."""
    digest = hashlib.sha256(id.encode()).hexdigest()
    return id if len(id) <= LONGEST_ID else f"{id[: LONGEST_ID - 65]}.{digest}"


def _variable(name: str) -> str:
    return name.upper().replace("-", "_")
