"""GitHub as a source: who calls us in issues, pull requests and reviews, assigns us, asks us for a review, labels.

Whose doing a delivery is decides whether it is heard, not whose words it shows.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

import msgspec

from services.channel_settings import GitHubSettings
from services.channels.aside import Aside
from services.channels.contract import DeliveryError, Sending
from services.channels.github.api import API
from services.channels.github.events import Inbound, Unreadable, read
from services.channels.github.permissions import PLACE_GONE, Permission, Permissions
from services.channels.github.progress import Progress
from services.channels.github.signature import refusal_of
from services.channels.github.target import BadAddress, Target, target_where
from services.channels.github.threads import Words, thread_before
from services.channels.github.within import Within
from services.errors import Forged, Invalid, Overloaded, Unavailable
from services.inbound.contract import Answer, Arrived, Dropped, Ignored, NotYet, Order, Request, Said
from services.inbound.github_words import earlier_of, event_of, needs_of, subject_of, text_of
from services.inbound.rules import Rules
from services.streams.blobs import BODY_LIMIT
from services.streams.inbound_events import InboundQueued, InboundReceived
from services.streams.vocabulary import InputReceived

# What GitHub sends at most. In the log a body is a text in JSON, which is longer: at worst twice as long.
MOST_BYTES = 25 * 1024 * 1024
# An issue that is opened with a label and an assignee comes as three deliveries: one turn for all of them.
DEBOUNCE_MS = 1_000
USUAL = frozenset({"mention", "assigned", "labeled", "review_requested"})
THREAD_S = 10.0
# Whose permission is looked up, to be told beside what they wrote before we came in.
LABELLED = 8
# What that may cost who called us: a label is left out where GitHub is slow to tell it.
LABELS_S = 3.0
EVENT, GUID = "x-github-event", "x-github-delivery"
_REFUSED: dict[Unreadable, tuple[str, str]] = {
    "bad_event": ("X-GitHub-Event", "is missing or no event's name"),
    "bad_guid": ("X-GitHub-Delivery", "is missing or no GUID"),
    "form_encoded": ("body", "is a form: choose application/json as the webhook's content type"),
    "not_json": ("body", "must be JSON"),
    "malformed": ("body", "is not what GitHub sends for this event"),
    "incomplete": ("body", "names no issue or pull request of a repository"),
}


class GitHubSource:
    """What the webhook URL receives, for the one account or app that `api()` speaks as."""

    name = "github"
    most_bytes = MOST_BYTES

    def __init__(self, settings: GitHubSettings, rules: Rules, api: Callable[[], API]) -> None:
        self._secrets, self._login, self.off = settings.webhook_secrets, settings.login, settings.off
        self._rules, self._api = rules, api
        self._aside = Aside()

    def verify(self, request: Request) -> None:
        """See `Source`. Nothing of it has a time: what comes again is told by its GUID."""
        refusal = refusal_of(self._secrets, dict(request.headers), request.body)
        if refusal is not None:
            raise Forged(f"bad webhook signature: {refusal}")

    def read(self, request: Request) -> Arrived | Answer:
        """See `Source`. In one stream for each repository, by the number that it keeps."""
        event, guid = request.header(EVENT), request.header(GUID)
        found = read(event, guid, request.body, login=self._login)
        if isinstance(found, str):
            raise Invalid(*_REFUSED[found])
        if found.kind == "ping":
            return Answer(body=b"{}")
        received = InboundReceived(
            source=self.name,
            kind=event,
            body=request.body.decode(),
            headers={EVENT: event, GUID: guid},
            sent_at=int(request.received_s * 1000),
        )
        if not _fits(received):
            # Pushes and runs of checks get so long, nothing that somebody says.
            received = msgspec.structs.replace(received, body="", left_out=len(request.body))
        return Arrived(stream=found.stream, key=found.key, received=received)

    def decide(self, received: InboundReceived) -> Order | Ignored:
        """See `Source`. What is said without calling us is only for routes that name `reply`."""
        if received.left_out:
            return Ignored("too_large")
        inbound = self._inbound(received)
        event = event_of(inbound)
        if not event:
            return Ignored("housekeeping" if inbound.kind == "installation" else "other_event")
        if inbound.is_own:
            return Ignored("own")
        subject, needs = subject_of(inbound, event), needs_of(inbound, event, self._login)
        is_change = inbound.action in ("edited", "deleted")
        verdict = self._rules.order(
            subject,
            does="withdraw" if inbound.action == "deleted" else "edit" if is_change else "say",
            # What calls us begins a session, also by an edit.
            is_there=event == "reply" or (is_change and not inbound.trigger),
            needs=needs,
        )
        if verdict == Ignored("no_route") and (event == "reply" or needs):
            return Ignored("not_called" if event == "reply" else "other_label")
        return verdict

    def compose(
        self, queued: InboundQueued, received: InboundReceived, sending: Sending, *, is_first: bool
    ) -> Said | Dropped:
        """See `Source`. In the words of the delivery, whatever became of them since."""
        inbound = self._inbound(received)
        try:
            target = target_where(inbound, seen_ms=received.sent_at)
        except BadAddress:
            return Dropped("no_thread")
        permission = self._judged(inbound, target, sending)
        if isinstance(permission, Dropped):
            return permission
        if queued.does == "say" or inbound.trigger:
            self._aside.do(lambda: self._progress.received(inbound, target))
        earlier = self._earlier(inbound, target, sending) if is_first else ()
        if isinstance(earlier, Dropped):
            return earlier
        labels = self._labels(inbound, earlier, target, sending)
        text = text_of(inbound, earlier=earlier, permissions=labels, is_first=is_first)
        said = _said(queued, inbound, text)
        said = msgspec.structs.replace(said, reply_to=target.address, permission=permission)
        return Said(input=said, key=self.key_of(received))

    def key_of(self, received: InboundReceived) -> str:
        """See `Source`. A text is said once, however often it calls us; a label may be put on again."""
        inbound = self._inbound(received)
        return inbound.key if inbound.trigger not in ("mention", "") else inbound.said_key

    def thread_of(self, received: InboundReceived, sending: Sending | None) -> str:
        """See `Source`. Where GitHub does not say who may write, what the webhook says of its sender has to do: no
        work is started by it.
        """
        inbound = self._inbound(received)
        try:
            target = target_where(inbound, seen_ms=received.sent_at)
        except BadAddress:
            return ""
        if inbound.is_own or inbound.actor is None or inbound.actor.is_bot:
            return ""
        return target.address if self._may_be_told(inbound, target, sending) else ""

    def _may_be_told(self, inbound: Inbound, target: Target, sending: Sending | None) -> bool:
        if sending is not None:
            try:
                verdict = self._permissions.judge(target.repository, inbound.actor, sending)
            except (Unavailable, Overloaded):
                return inbound.is_member
            except DeliveryError as error:
                if error.kind != "gone":
                    raise
                # Whoever it was, there is no place left to tell them in.
                return False
            if verdict.denial != "permission_unreadable":
                return verdict.denial is None
        return inbound.is_member

    def _inbound(self, received: InboundReceived) -> Inbound:
        found = read(received.kind, received.headers.get(GUID, ""), received.body.encode(), login=self._login)
        if isinstance(found, str):
            raise Invalid(*_REFUSED[found])
        return found

    def _judged(self, inbound: Inbound, target: Target, sending: Sending) -> Permission | Dropped:
        """What whoever did it may do, or why they are not heard. Raises: NotYet, Overloaded, DeliveryError."""
        if inbound.actor is not None and inbound.actor.is_bot and self._is_vouched_for(inbound):
            return "none"
        try:
            verdict = self._permissions.judge(target.repository, inbound.actor, sending)
        except Unavailable:
            raise NotYet("permission_unknown") from None
        except DeliveryError as error:
            if error.kind == "gone":
                return Dropped(error.code)
            raise
        if verdict.denial == "permission_unreadable":
            # Somebody has to mend our own access first: what people said meanwhile is not lost for that.
            raise NotYet("permission_unreadable")
        return verdict.permission if verdict.denial is None else Dropped(verdict.denial)

    def _is_vouched_for(self, inbound: Inbound) -> bool:
        """GitHub does not tell what an app may do: so whoever wrote the routes does, by its very name.

        Of all others it is asked as of people: anybody can make a bot that comments wherever it likes.
        """
        event = event_of(inbound)
        needs = needs_of(inbound, event, self._login)
        return not inbound.is_own and self._rules.names_author(subject_of(inbound, event), needs=needs)

    def _earlier(self, inbound: Inbound, target: Target, sending: Sending) -> tuple[Words, ...] | Dropped:
        """What was said before; nothing where there can be nothing, or where we may not read it."""
        if inbound.action == "opened" or (inbound.thread and inbound.thread == inbound.said):
            return ()
        before = inbound.said if inbound.kind in ("issue_comment", "pull_request_review_comment") else 0
        within = Within(THREAD_S, sending)
        try:
            thread = thread_before(self._api(), target, before, within, as_of_s=inbound.at_s)
        except DeliveryError as error:
            if error.kind == "gone":
                return Dropped(error.code if error.code in PLACE_GONE else "thread_gone")
            if error.kind in ("rejected", "refused"):
                return ()
            raise
        return earlier_of(inbound, thread)

    def _labels(
        self, inbound: Inbound, earlier: tuple[Words, ...], target: Target, sending: Sending
    ) -> dict[str, Permission]:
        """What those who wrote what is quoted may do, as far as GitHub says it now."""
        people = [each.login for each in (inbound.author, inbound.opener) if each and not each.is_bot]
        people += [each.login for each in reversed(earlier) if each.login and not each.is_bot]
        found: dict[str, Permission] = {}
        within = Within(LABELS_S, sending)
        for login in list(dict.fromkeys(people))[:LABELLED]:
            try:
                found[login] = self._permissions.of(
                    target.repository, login, sending, timeout_s=within.left_s()
                )
            except (Unavailable, Overloaded):
                break
        return found

    @cached_property
    def _permissions(self) -> Permissions:
        return Permissions(self._api())

    @cached_property
    def _progress(self) -> Progress:
        return Progress(self._api())


def _fits(received: InboundReceived) -> bool:
    return len(received.body) <= BODY_LIMIT // 4 or len(msgspec.json.encode(received)) <= BODY_LIMIT


def _said(queued: InboundQueued, inbound: Inbound, text: str) -> InputReceived:
    actor = inbound.actor
    return InputReceived(
        text=text,
        policy=queued.policy,
        debounce_ms=queued.debounce_ms,
        source=GitHubSource.name,
        author=actor.login if actor else None,
        message=inbound.said_key,
        is_bot=actor is not None and actor.is_bot,
    )
