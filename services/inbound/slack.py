"""Slack as a source: mentions, direct messages, replies in our threads, what is edited and taken back, commands."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property, partial

import msgspec

from services.channel_settings import SlackSettings
from services.channels.contract import DeliveryError, Sending
from services.channels.slack import buttons
from services.channels.slack.address import SlackAddress
from services.channels.slack.client import SlackClient
from services.channels.slack.content import content_of, mentioned
from services.channels.slack.events import Arrival, read_event
from services.channels.slack.facts import Earlier, Identity, People, identity, so_far
from services.channels.slack.payloads import Unreadable
from services.channels.slack.signature import verify
from services.channels.slack.status import WorkingStatus
from services.errors import Invalid
from services.inbound.answering import Answering
from services.inbound.contract import (
    TAKEN_BACK,
    Answer,
    Arrived,
    Commanded,
    Does,
    Dropped,
    Ignored,
    Order,
    Request,
    Said,
)
from services.inbound.rules import Rules, Subject
from services.inbound.slack_forms import (
    COMMAND,
    INTERACTION,
    Given,
    arrived_of,
    blocks_of,
    given_by,
    is_check,
)
from services.inbound.slack_words import command_of, key_of, may_begin, subject_of, told_of
from services.streams.event import StreamId
from services.streams.inbound_events import InboundQueued, InboundReceived
from services.streams.keys import stream_of
from services.streams.vocabulary import InputReceived

MOST_BYTES = 1_048_576
# Most people say a thing in several messages.
DEBOUNCE_MS = 300
STATUS_S = 3.0
USUAL = frozenset({"mention", "direct", "reply"})
MAY_NOT = "Only some people may give commands here, and you are not among them: ask who runs me."
ELSEWHERE = "That thread is in another channel: ask there."
_KEPT_HEADERS = ("x-slack-retry-num", "x-slack-retry-reason")
_FORMS = frozenset({COMMAND, INTERACTION})
# What is nothing that anybody said to us, and why.
_SILENT = {
    "assistant_started": "nothing_said",
    "uninstalled": "uninstalled",
    "rate_limited": "slack_holds_back",
    "housekeeping": "housekeeping",
    "other": "unknown_event",
}


class SlackSource:
    """What the three addresses for Slack receive, of one workspace: the one that `client()` speaks in.

    `answering` knows where forms are answered.
    """

    name = "slack"
    most_bytes = MOST_BYTES

    def __init__(
        self,
        settings: SlackSettings,
        rules: Rules,
        client: Callable[[], SlackClient],
        answering: Callable[[], Answering],
    ) -> None:
        self._secrets, self.off = settings.signing_secrets, settings.off
        self._rules, self._client, self._answering = rules, client, answering
        self._identity: Identity | None = None

    def verify(self, request: Request) -> None:
        """See `Source`."""
        verify(self._secrets, request.headers, request.body, now_s=request.received_s)

    def read(self, request: Request) -> Arrived | Answer:
        """See `Source`."""
        if request.path == "commands" and is_check(request.body):
            return Answer(body=b"{}")
        if request.path != "events":
            return arrived_of(request)
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
        key = arrival.keys[-1] if arrival.keys else ""
        if arrival.kind == "deleted" and arrival.ts:
            key = f"{key_of(arrival)}{TAKEN_BACK}"
        return Arrived(stream=arrival.stream, key=key, received=received)

    def decide(self, received: InboundReceived) -> Order | Ignored:
        """See `Source`."""
        if received.kind in _FORMS:
            return _form_order(given_by(received))
        arrival = _arrival(received)
        if arrival.kind in _SILENT:
            return Ignored(_SILENT[arrival.kind])
        if arrival.session is None:
            return Ignored("no_thread")
        if arrival.is_own:
            return Ignored("own")
        subject = _subject(arrival)
        is_reply = subject.event == "reply"
        does: Does
        match arrival.kind:
            case "deleted":
                return self._rules.order(subject, does="withdraw", is_there=True)
            case "edited":
                if command_of(arrival) and not may_begin(arrival):
                    return Ignored("edited_late")
                does, is_there = "edit", is_reply or not may_begin(arrival)
            case _:
                does, is_there = "say", is_reply
        return self._rules.order(subject, does="command" if command_of(arrival) else does, is_there=is_there)

    def compose(
        self, queued: InboundQueued, received: InboundReceived, sending: Sending, *, is_first: bool
    ) -> Said | Commanded | Dropped:
        """See `Source`. Only of our own workspace; a thread that we come into late is read so far."""
        if received.kind in _FORMS:
            return self._by_form(queued, received, sending)
        arrival = _arrival(received)
        me = self._me(sending)
        if me.team != arrival.team:
            return Dropped("other_workspace")
        if {arrival.author, arrival.bot} & {me.bot_user, me.bot} - {""}:
            # Slack does not always tell who we are there.
            return Dropped("own")
        if queued.does == "command":
            return self._by_word(arrival, sending)
        return self._said(queued, arrival, sending, is_first=is_first)

    def key_of(self, received: InboundReceived) -> str:
        """See `Source`."""
        return key_of(_arrival(received))

    def thread_of(self, received: InboundReceived, sending: Sending | None) -> str:
        """See `Source`. What is given by a form is answered where it was given, and not for long."""
        arrival = Arrival(kind="other") if received.kind in _FORMS else _arrival(received)
        if arrival.address is None or arrival.is_own or _subject(arrival).is_bot:
            return ""
        try:
            me = self._identity if sending is None else self._me(sending)
        except DeliveryError as error:
            if error.kind == "cancelled":
                raise
            me = None
        return arrival.address.encode() if me is None or me.team == arrival.team else ""

    def _said(
        self, queued: InboundQueued, arrival: Arrival, sending: Sending, *, is_first: bool
    ) -> Said | Dropped:
        address = arrival.address
        if address is None:
            return Dropped("no_thread")
        is_late = is_first and bool(arrival.thread_ts) and arrival.thread_ts != arrival.ts
        earlier = self._earlier(address, arrival.ts, sending) if is_late else ()
        # Whose words they are first: who names a crowd must not hide behind it.
        people = [arrival.author, *(each.author for each in earlier), *sorted(mentioned(arrival.text))]
        names = self._people.names(filter(None, dict.fromkeys(people)), sending)
        text = content_of(arrival, names)
        if not text:
            return Dropped("nothing_said")
        said = InputReceived(
            text="\n\n".join(each for each in (told_of(earlier, names), text) if each),
            policy=queued.policy,
            debounce_ms=queued.debounce_ms,
            source=self.name,
            author=names.get(arrival.author, arrival.author or arrival.bot),
            reply_to=address.encode(),
            message=arrival.ts,
            is_bot=_subject(arrival).is_bot,
        )
        return Said(input=said, key=key_of(arrival))

    def _earlier(self, address: SlackAddress, ts: str, sending: Sending) -> Sequence[Earlier]:
        """What was said before; nothing where we may never read it: who calls us is answered all the same."""
        try:
            return so_far(self._client(), address, ts, sending)
        except DeliveryError as error:
            if error.kind not in ("refused", "gone") and error.code != "missing_scope":
                raise
            return ()

    def _by_word(self, arrival: Arrival, sending: Sending) -> Commanded:
        may, begin = self._rules.may_command(_subject(arrival)), None
        address = arrival.address
        if arrival.kind == "stopped" and address is not None:
            # Slack leaves it to us to end the status whose button was pressed, whatever was behind it.
            status = WorkingStatus(self._client())
            begin = partial(status.end, address, arrival.ts, sending, timeout_s=STATUS_S)
        return Commanded(
            word=command_of(arrival),
            key=f"{key_of(arrival)}:{arrival.event_id}" if arrival.kind == "stopped" else key_of(arrival),
            by=f"slack:{arrival.author}",
            refusal="" if may else MAY_NOT,
            reply_to=address.encode() if address else "",
            begin=begin,
        )

    def _by_form(
        self, queued: InboundQueued, received: InboundReceived, sending: Sending
    ) -> Commanded | Dropped:
        given = given_by(received)
        if given is None or self._me(sending).team != given.team:
            return Dropped("other_workspace")
        subject = Subject(
            event="direct" if given.channel.startswith("D") else "mention",
            place=given.channel,
            thread=StreamId(queued.session),
            author=given.author,
        )
        refusal = ELSEWHERE if given.is_elsewhere else ""
        if not self._rules.may_command(subject):
            refusal = MAY_NOT
        at = self._answering().find(stream_of(queued.job), given.key)
        command = Commanded(
            word=given.word,
            # Whoever presses it and however often: what failed is asked again once.
            key=f"again:{given.input}" if given.input else given.key,
            by=f"slack:{given.author}",
            refusal=refusal,
            input=given.input,
        )
        client = self._client()
        if not at:
            return command
        if not given.is_button or refusal:
            return msgspec.structs.replace(
                command, respond=lambda text: buttons.whisper(client, at, text, sending)
            )
        kept = blocks_of(received)

        def replace(text: str) -> None:
            buttons.replace(client, at, text, sending, kept=kept)

        return msgspec.structs.replace(command, begin=lambda: replace("One moment\u2026"), respond=replace)

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


def _subject(arrival: Arrival) -> Subject:
    is_called = bool(arrival.bot_user) and arrival.bot_user in mentioned(arrival.text)
    return subject_of(arrival, is_called=is_called)


def _form_order(given: Given | None) -> Order | Ignored:
    if given is None:
        return Ignored("unknown_action")
    return Order(session=given.session, does="command", is_there=True)
