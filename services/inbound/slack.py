"""Slack as a source: mentions, direct messages, replies in our threads, what is edited and taken back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property

import msgspec

from services.channel_settings import SlackSettings
from services.channels.contract import Sending
from services.channels.slack.client import SlackClient
from services.channels.slack.content import content_of, mentioned, readable
from services.channels.slack.events import Arrival, read_event
from services.channels.slack.facts import Earlier, Identity, People, identity, so_far
from services.channels.slack.payloads import Unreadable
from services.channels.slack.signature import verify
from services.errors import Invalid
from services.inbound.contract import Answer, Arrived, Dropped, Ignored, Order, Request, Said
from services.inbound.rules import Rules, Subject
from services.streams.inbound_events import InboundQueued, InboundReceived
from services.streams.vocabulary import InputReceived

MOST_BYTES = 1_048_576
# Most people say a thing in several messages.
DEBOUNCE_MS = 300
USUAL = frozenset({"mention", "direct", "reply"})
_KEPT_HEADERS = ("x-slack-retry-num", "x-slack-retry-reason")
# What is nothing that anybody said to us, and why.
_SILENT = {
    "assistant_started": "nothing_said",
    "uninstalled": "uninstalled",
    "rate_limited": "slack_holds_back",
    "housekeeping": "housekeeping",
    "other": "unknown_event",
}


class SlackSource:
    """What the events URL receives, of one workspace: the one that `client()` speaks in."""

    name = "slack"
    most_bytes = MOST_BYTES

    def __init__(self, settings: SlackSettings, rules: Rules, client: Callable[[], SlackClient]) -> None:
        self._secrets, self.off = settings.signing_secrets, settings.off
        self._rules, self._client = rules, client
        self._identity: Identity | None = None

    def verify(self, request: Request) -> None:
        """See `Source`."""
        verify(self._secrets, request.headers, request.body, now_s=request.received_s)

    def read(self, request: Request) -> Arrived | Answer:
        """See `Source`."""
        arrival = read_event(request.body)
        if isinstance(arrival, Unreadable):
            raise Invalid("body", f"is no event of Slack's ({arrival.reason})")
        if arrival.kind == "verification":
            return Answer(body=msgspec.json.encode({"challenge": arrival.challenge}))
        received = InboundReceived(
            source=self.name,
            kind=arrival.kind,
            body=request.body.decode(),
            headers={name: value for name in _KEPT_HEADERS if (value := request.header(name))},
            sent_at=int((arrival.event_time_s or request.received_s) * 1000),
        )
        return Arrived(stream=arrival.stream, key=arrival.keys[-1] if arrival.keys else "", received=received)

    def decide(self, received: InboundReceived) -> Order | Ignored:
        """See `Source`."""
        arrival = _arrival(received)
        if arrival.kind in _SILENT:
            return Ignored(_SILENT[arrival.kind])
        if arrival.session is None:
            return Ignored("no_thread")
        if _is_own(arrival):
            return Ignored("own")
        is_called = bool(arrival.bot_user) and arrival.bot_user in mentioned(arrival.text)
        subject = _subject(arrival, is_called=is_called)
        match arrival.kind:
            case "deleted":
                return self._rules.order(subject, does="withdraw", is_there=True)
            case "edited":
                return self._rules.order(subject, does="edit", is_there=subject.event == "reply")
            case _:
                return self._rules.order(subject, is_there=subject.event == "reply")

    def compose(
        self, queued: InboundQueued, received: InboundReceived, sending: Sending, *, is_first: bool
    ) -> Said | Dropped:
        """See `Source`. Only of our own workspace; a thread that we come into late is read so far."""
        arrival = _arrival(received)
        address = arrival.address
        if address is None or self._me(sending).team != arrival.team:
            return Dropped("other_workspace")
        earlier: Sequence[Earlier] = ()
        if is_first and arrival.thread_ts and arrival.thread_ts != arrival.ts:
            earlier = so_far(self._client(), address, arrival.ts, sending)
        people = {arrival.author, *mentioned(arrival.text), *(each.author for each in earlier)}
        names = self._people.names(sorted(people - {""}), sending)
        text = content_of(arrival, names)
        if not text:
            return Dropped("nothing_said")
        said = InputReceived(
            text="\n\n".join([*_told(earlier, names), text]),
            policy=queued.policy,
            debounce_ms=queued.debounce_ms,
            source=self.name,
            author=names.get(arrival.author, arrival.author),
            reply_to=address.encode(),
        )
        return Said(input=said, key=_key(arrival))

    def key_of(self, received: InboundReceived) -> str:
        """See `Source`."""
        return _key(_arrival(received))

    def _me(self, sending: Sending) -> Identity:
        if self._identity is None:
            self._identity = identity(self._client(), sending)
        return self._identity

    @cached_property
    def _people(self) -> People:
        return People(self._client())


def _arrival(received: InboundReceived) -> Arrival:
    found = read_event(received.body.encode())
    return Arrival(kind="other") if isinstance(found, Unreadable) else found


def _is_own(arrival: Arrival) -> bool:
    by_app = bool(arrival.app) and arrival.app == arrival.app_id
    return by_app or (bool(arrival.author) and arrival.author == arrival.bot_user)


def _subject(arrival: Arrival, *, is_called: bool) -> Subject:
    return Subject(
        event=_event(arrival, is_called=is_called),
        place=arrival.channel,
        thread=arrival.session or arrival.stream,
        author=arrival.author or arrival.bot,
        is_bot=bool(arrival.bot) or arrival.kind == "bot",
        text=arrival.text,
        parts={
            "team": arrival.team,
            "channel": arrival.channel,
            "thread": arrival.thread_ts or arrival.ts,
            "author": arrival.author,
        },
    )


def _event(arrival: Arrival, *, is_called: bool) -> str:
    """The word that routes have for it. A mention comes as a message too, whichever is first."""
    if arrival.kind == "mention" or is_called:
        return "mention"
    if arrival.channel_type == "im":
        return "direct"
    return "reply" if arrival.thread_ts and arrival.thread_ts != arrival.ts else "message"


def _key(arrival: Arrival) -> str:
    return f"slack:{arrival.team}:{arrival.channel}:{arrival.ts}"


def _told(earlier: Sequence[Earlier], names: Mapping[str, str]) -> list[str]:
    """What was said before we came in, as what it is: words of others, told to us."""
    lines = [f"@{names.get(each.author, each.author)}: {readable(each.text, names)}" for each in earlier]
    if not lines:
        return []
    quoted = "\n".join(f"> {line}" for said in lines for line in said.splitlines())
    return [f"Earlier in this thread:\n{quoted}"]
