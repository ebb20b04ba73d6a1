"""Running one delivery: from the log to a letter, through a channel, to a settlement.

The letter is built from the log when the job runs. After an unknown end the channel looks for it first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from services.channels.contract import Channel, DeliveryError, Letter, Receipt
from services.clock import boot_s
from services.faults import Faults
from services.jobs.claims import Claim
from services.jobs.outcome import Again, Lost, Result, Settled
from services.jobs.recovery import DEATHS
from services.jobs.running import Running
from services.jobs.traces import RunSpans
from services.outbox.attempt import MAY_NOT_START, TIMEOUT, Attempt, Attempts, Terms
from services.outbox.backoff import delay_ms
from services.outbox.beginnings import begin
from services.outbox.contents import Content, content_of
from services.outbox.entries import CALLBACK
from services.outbox.markers import marker_of
from services.processors.advance import Held
from services.streams.event import EventInput, JobId
from services.streams.keys import stream_of
from services.streams.log import Log
from services.streams.near import NearPast
from services.streams.vocabulary import ReplySettled
from services.telemetry import conventions as names
from services.telemetry.context import work_for
from services.telemetry.tracer import Span, within

# After these the other side may have the letter.
DOUBTFUL = frozenset({"ambiguous", "worker_lost", "orphaned", "lost", "deploy", "defect"})

# Refused for what it is: something else is taken there.
OF_LETTER = frozenset(
    {
        "http_400",
        "http_413",
        "http_422",
        "invalid_arguments",
        "invalid_blocks",
        "invalid_metadata_format",
        "markdown_text_conflict",
        "metadata_too_large",
        "msg_blocks_too_long",
        "msg_too_long",
        "no_text",
    }
)

# Who asked too often does not ask again sooner, whatever it is told.
LIMIT_MS = 1_000


class Deliveries:
    """Runs deliveries in this process, over `channels` by name. `may_start`: is the process's own lease alive?"""

    def __init__(
        self,
        log: Log,
        running: Running,
        channels: Mapping[str, Channel],
        *,
        terms: Terms,
        may_start: Callable[[], bool],
        faults: Faults,
        clock: Callable[[], float] = boot_s,
        spans: RunSpans | None = None,
    ) -> None:
        self._spans = spans or RunSpans()
        self._log, self._channels, self._terms, self._faults = log, channels, terms, faults
        self._attempts = Attempts(running, terms, may_start=may_start, clock=clock)

    def effect(self, held: Held) -> str:
        """Whoever gets a letter twice notices."""
        return "external"

    def run(self, held: Held, claim: Claim) -> Result:
        """Make one attempt. Raises: Unavailable when the store is gone."""
        self._faults.at("deliver.claimed")
        if claim.is_cancelled:
            return _ended("failed", held.id, error="discarded")
        past = NearPast(self._log, claim.near)
        content = content_of(past, held, claim.began)
        if claim.expired:
            return _ended("failed", held.id, error="expired", thread=_thread(content))
        if claim.attempt - claim.waits > self._terms.attempts + DEATHS:
            return _ended("failed", held.id, error="workers_died", thread=_thread(content))
        name = content.queued.channel
        work_for(content.event.context, held.stream)
        channel = self._channels.get(name)
        if channel is None:
            return _ended("failed", held.id, error="no_such_channel")
        letter = self._letter(claim, content)
        with self._attempts.of(held, claim) as attempt:
            try:
                facts = {names.CHANNEL: name}
                span = self._spans.begin(f"deliver {name}", held, claim, kind="client", attributes=facts)
                with within(span, held.stream), attempt:
                    receipt = _delivered(channel, letter, attempt, span)
            except DeliveryError as error:
                return self._judge(claim, channel, attempt, content, error)
        self._faults.at("deliver.sent")
        if receipt.begun and not letter.note:
            begin(self._log, receipt.begun, letter)
        return _ended("delivered", held.id, status=receipt.status)

    def _judge(
        self, claim: Claim, channel: Channel, attempt: Attempt, content: Content, error: DeliveryError
    ) -> Result:
        """What a bad end means, the first line that fits."""
        kind, job = error.kind, JobId(content.queued.job)
        if kind == "cancelled" and attempt.cancel_reason == "taken":
            return Lost()
        if kind == "cancelled" and attempt.cancel_reason in ("deploy", MAY_NOT_START):
            if attempt.is_doubtful:
                return Again(error="ambiguous", free=True, delay_ms=channel.settle_ms)
            return Again(error=attempt.cancel_reason, free=True)
        if kind == "cancelled" and attempt.cancel_reason != TIMEOUT:
            return _ended("failed", job, error="discarded")
        if kind == "cancelled":
            kind = "ambiguous" if attempt.is_doubtful else "not_sent"
        if attempt.is_looking and kind in ("not_sent", "rejected", "overloaded"):
            # That it could not be looked for says nothing of whether it is there.
            kind = "ambiguous"
        if kind == "gone":
            return _ended("failed", job, error="gone", status=error.status)
        if kind == "refused":
            thread = _thread(content) if error.code in OF_LETTER else ""
            return _ended("failed", job, error=error.code or kind, status=error.status, thread=thread)
        if error.is_limit:
            # Of a thousand letters to one place most come too early again and again: the entry's time bounds that.
            wait_ms = max(LIMIT_MS, delay_ms(1, error.retry_after_s))
            return Again(error=kind, delay_ms=wait_ms, waits=True, extra={"code": error.code})
        if claim.charged < self._terms.attempts:
            # What is on its way shows up before it is looked for.
            settles_ms = channel.settle_ms if kind == "ambiguous" else 0
            wait_ms = max(settles_ms, delay_ms(claim.charged, error.retry_after_s))
            return Again(error=kind, delay_ms=wait_ms, extra={"code": error.code})
        if kind == "ambiguous" and channel.settle_ms:
            return _ended("uncertain", job, error=kind, status=error.status)
        return _ended("failed", job, error="poisoned", status=error.status, thread=_thread(content))

    def _letter(self, claim: Claim, content: Content) -> Letter:
        queued = content.queued
        origin = JobId(queued.origin or queued.job)
        return Letter(
            entry=JobId(queued.job),
            marker=marker_of(self._log.keys.namespace, origin),
            session=stream_of(queued.job),
            queued_at=content.event.created_at,
            input=content.input,
            turn=content.turn,
            note=content.note,
            # What a person replays may have arrived too, or a part of it.
            is_repeat=bool(queued.origin) or (claim.attempt > 1 and claim.error in DOUBTFUL),
            timeout_s=self._terms.timeout_s,
        )


def _delivered(channel: Channel, letter: Letter, attempt: Attempt, span: Span) -> Receipt:
    try:
        receipt = _deliver(channel, letter, attempt)
    except DeliveryError as error:
        span.set({names.HTTP_STATUS: error.status, names.OUTCOME: error.kind})
        span.fail(error.kind)
        raise
    span.set({names.HTTP_STATUS: receipt.status, names.OUTCOME: "delivered"})
    return receipt


def _deliver(channel: Channel, letter: Letter, attempt: Attempt) -> Receipt:
    attempt.is_looking = letter.is_repeat
    found = channel.find(letter, attempt) if letter.is_repeat else None
    attempt.is_looking = False
    return found or channel.send(letter, attempt)


def _thread(content: Content) -> str:
    """Where people wait for an answer; empty for a note, and for a callback, whose address may be a secret."""
    is_answer = content.queued.channel != CALLBACK and not content.note
    return (content.input.reply_to or "") if is_answer else ""


def _ended(outcome: str, job: JobId, *, error: str = "", status: int = 0, thread: str = "") -> Settled:
    settled = ReplySettled(job=job, error=error, status=status, thread=thread)
    return Settled((EventInput.of(f"reply.{outcome}", settled),))
