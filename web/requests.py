"""What may be sent: the shapes of request bodies and query strings. Unknown names are refused."""

from __future__ import annotations

from typing import Annotated

import msgspec

from services.channels.http.targets import URL_LIMIT
from services.sessions.inbound_values import DeliveryState
from services.sessions.outbox import ENTRY_ID
from services.sessions.values import SESSION_ID, OutboxState, Status
from services.spool.refused import REFUSED_ID
from services.streams.payload import Policy

SessionName = Annotated[str, msgspec.Meta(pattern=f"^{SESSION_ID}$")]
EntryName = Annotated[str, msgspec.Meta(pattern=f"^{ENTRY_ID}$")]
RefusedName = Annotated[str, msgspec.Meta(pattern=f"^{REFUSED_ID}$")]
Offset = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
Limit = Annotated[int, msgspec.Meta(ge=1, le=500)]
Text = Annotated[str, msgspec.Meta(min_length=1)]
Url = Annotated[str, msgspec.Meta(min_length=1, max_length=URL_LIMIT)]
Short = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]


class Nothing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """No value at all."""


class PromptBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A prompt. Without `session` a new one is made; `agent` is fixed when a session is made.

    `callback` is an http or https URL that the answer is posted to as well, signed, at least once. With `deliver` the
    answer is also said in the thread that the session began in.
    """

    text: Text
    session: SessionName | None = None
    agent: Short | None = None
    policy: Policy | None = None
    callback: Url | None = None
    deliver: bool = False


class InputBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The new text of a pending input."""

    text: Text


class CancelBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """With `queued`, what waits behind the running turn is cancelled too."""

    queued: bool = False


class PauseBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why the session is paused; shown to whoever asks."""

    reason: Short = "operator"


class SessionsQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which sessions to list: by status, by source (the first part of the id), by a part of the id."""

    status: Status | None = None
    source: Short | None = None
    q: Short | None = None
    cursor: Short | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=100)] = 50


class SessionQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which page of the conversation: `limit` entries before the offset `before`."""

    before: Annotated[int, msgspec.Meta(ge=1, le=2**53)] | None = None
    limit: Limit = 50


class OutboxQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which entries of the outbox to list: by state, of one session."""

    state: OutboxState | None = None
    session: SessionName | None = None
    cursor: EntryName | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=100)] = 50


class InboundQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which deliveries to list: by state, by who sent them."""

    state: DeliveryState | None = None
    source: Short | None = None
    cursor: Annotated[str, msgspec.Meta(min_length=1, max_length=240)] | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=100)] = 50


class ObligationsQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which page of the open obligations: about `limit` of them."""

    cursor: Annotated[str, msgspec.Meta(min_length=1, max_length=240)] | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=500)] = 100


class SpoolQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which refused webhooks: `limit` of those behind the one named `cursor`."""

    cursor: RefusedName | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=100)] = 50


class RunsQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which runs: `limit` of those requested before the offset `cursor`."""

    cursor: Annotated[int, msgspec.Meta(ge=1, le=2**53)] | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=100)] = 20


class EventsQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which events: after an offset, of some types."""

    after: Offset = 0
    limit: Limit = 100
    type: tuple[str, ...] = ()
