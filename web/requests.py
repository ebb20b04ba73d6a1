"""What may be sent: the shapes of request bodies and query strings. Unknown names are refused."""

from __future__ import annotations

from typing import Annotated

import msgspec

from services.channels.http.targets import URL_LIMIT
from services.sessions.inbound_values import DeliveryState
from services.sessions.outbox import ENTRY_ID
from services.sessions.ticks import CURSOR
from services.sessions.trigger_values import TickState
from services.sessions.values import SESSION_ID, OutboxState, Status
from services.spool.refused import REFUSED_ID
from services.streams.payload import Policy
from services.streams.schedule_events import CATCH_UP_S, MOST_CATCH_UP_S, Misfire, Overlap, Sessions

SessionName = Annotated[str, msgspec.Meta(pattern=f"^{SESSION_ID}$")]
EntryName = Annotated[str, msgspec.Meta(pattern=f"^{ENTRY_ID}$")]
RefusedName = Annotated[str, msgspec.Meta(pattern=f"^{REFUSED_ID}$")]
Offset = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
Limit = Annotated[int, msgspec.Meta(ge=1, le=500)]
Text = Annotated[str, msgspec.Meta(min_length=1)]
TickPlace = Annotated[str, msgspec.Meta(pattern=f"^{CURSOR}$")]
CatchUp = Annotated[int, msgspec.Meta(ge=60, le=MOST_CATCH_UP_S)]
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


class TriggerBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a trigger does: at every due time of `cron` in the time zone `tz`, or once `at` a time, `agent` is told
    `prompt`.

    `at` is epoch milliseconds, or a time such as 2026-12-24T18:00 (of `tz` where it names no offset). A session for
    `each` due time, or `one` for all. `answer_in` is a Slack channel or a GitHub issue. `misfire` is what becomes of
    due times that were missed while nothing ran, `catch_up_s` back at most; `overlap` of one that comes before the
    one before it is answered.
    """

    prompt: Text
    agent: Short = "default"
    cron: Short | None = None
    at: int | Short | None = None
    tz: Short = "UTC"
    session: Sessions = "each"
    answer_in: Annotated[str, msgspec.Meta(min_length=1, max_length=300)] | None = None
    misfire: Misfire = "latest"
    catch_up_s: CatchUp = CATCH_UP_S
    overlap: Overlap = "queue"
    paused: bool = False


class TriggersQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which page of the triggers, by their id."""

    cursor: Short | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=500)] = 100


class TicksQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which ticks of a trigger: in one state, due since `since` (epoch ms; absent: a day ago); `cursor` is a page's."""

    state: TickState | None = None
    since: Offset | None = None
    cursor: TickPlace | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 100


class PreviewQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The expression, its zone, and the next `count` times after `after` (epoch ms; absent: now)."""

    expr: Short
    tz: Short = "UTC"
    after: Offset | None = None
    count: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 10


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
