"""Webhooks: how soon they are acknowledged, what a rush of them does, and what a long thread costs.

The platform is the real one, with a stand-in for Slack in this process and the stub model.
"""

from __future__ import annotations

import http.client
import statistics
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass

from services.settings import embedded_addresses
from services.streams.event import EventInput, StreamId
from services.streams.keys import Keys
from services.streams.log import Log
from services.streams.store import Store
from services.streams.vocabulary import InputReceived
from tests.benchmarks.attendants import attendant
from tests.benchmarks.figures import Conditions, Figure, NotMeasured, percentile
from tests.benchmarks.platform import STUB_DELAY_MS, Platform, installed, run_configured
from tests.fakes.slack_requests import SECRET, SlackRequest, event_request, mention
from tests.fakes.slack_server import SlackServer
from tests.fakes.slack_workspace import BOT_USER, TEAM, TOKEN, Message

STEADY_PER_S, STEADY = 50, 1_000
RUSH, RUSH_S, THREADS, SENDERS = 1_000, 2.0, 50, 32
LONG, LOOKS, BATCH = 10_000, 40, 100
MOST_ACK_MS, MOST_RUSH_S = 15.0, 3.0
SETTLED_WITHIN_S = 180.0
COLLECTING = """
[agents.default]
policy = "collect"
"""


@dataclass(frozen=True, slots=True)
class _Ack:
    """One answer: its status, how long after it was to be sent it came (s), and when on the system's clock."""

    status: int
    latency_s: float
    at_s: float


def measure_webhooks(conditions: Conditions) -> Sequence[Figure]:
    """50 mentions a second; then a long thread beside a short one; then 1,000 in 2 s, over 50 threads and in one."""
    figures: list[Figure] = []
    with _platform(conditions) as (platform, slack):
        figures.append(_steady(platform, slack, conditions.count(STEADY, least=100)))
        figures.append(_length(platform, slack, conditions.count(LONG, least=500), conditions.count(LOOKS)))
        count = conditions.count(RUSH, least=200)
        many = [slack.workspace.say(f"<@{BOT_USER}> begin") for _ in range(THREADS)]
        figures += _rush(platform, slack, count, many, "over 50 threads")
        figures += _rush(
            platform, slack, count, [slack.workspace.say(f"<@{BOT_USER}> begin")], "in one thread"
        )
    return figures


def _steady(platform: Platform, slack: SlackServer, count: int) -> Figure:
    requests = [event_request(mention(slack.workspace.say(f"<@{BOT_USER}> {n}"))) for n in range(count)]
    acks = _send(platform, requests, [n / STEADY_PER_S for n in range(count)])
    platform.wait_until_nothing_is_owed(within_s=SETTLED_WITHIN_S)
    times = [each.latency_s * 1000 for each in acks]
    return Figure(
        name=f"webhook ack p99 at {STEADY_PER_S}/s",
        value=percentile(times, 99),
        unit="ms",
        samples=count,
        bound=MOST_ACK_MS,
        note=f"p50 {percentile(times, 50):.1f}",
    )


def _length(platform: Platform, slack: SlackServer, length: int, looks: int) -> Figure:
    """From a mention to its reply, in a thread that was talked in for long and in a new one, taking turns."""
    long, short = (slack.workspace.say(f"<@{BOT_USER}> begin") for _ in range(2))
    for thread in (long, short):
        _answered(platform, slack, thread, thread)
    with closing(Store(embedded_addresses(platform.home)[0])) as store:
        log, stream = Log(store, Keys()), StreamId(f"slack:{TEAM}:{long.channel}:{long.ts}")
        said = InputReceived(text="The build has passed.", policy="silent", source="slack", author="ana")
        for _ in range(0, length, BATCH):
            log.append(stream, [EventInput.of("input.received", said)] * BATCH)
    platform.wait_until_nothing_is_owed(within_s=SETTLED_WITHIN_S)
    times: dict[str, list[float]] = {long.ts: [], short.ts: []}
    for n in range(looks):
        for thread in (long, short):
            asked = slack.workspace.say(f"<@{BOT_USER}> {n}", thread_ts=thread.ts)
            times[thread.ts].append(_answered(platform, slack, thread, asked))
    slow, quick = (statistics.median(times[each.ts]) for each in (long, short))
    return Figure(
        name="mention to reply p50, long : short thread",
        value=slow / quick,
        unit="x",
        samples=2 * looks,
        bound=1.3,
        note=f"{slow * 1000:.0f} ms after {length} messages, {quick * 1000:.0f} ms after a few",
    )


def _answered(platform: Platform, slack: SlackServer, thread: Message, message: Message) -> float:
    """Seconds from a mention to its reply in `thread`. Raises: NotMeasured."""
    before = _replies(slack, thread)
    began = time.monotonic()
    _send(platform, [event_request(mention(message))], [0.0])
    while _replies(slack, thread) == before:
        if time.monotonic() - began > SETTLED_WITHIN_S:
            raise NotMeasured("a mention was not answered")
        time.sleep(0.001)
    return time.monotonic() - began


def _replies(slack: SlackServer, thread: Message) -> int:
    return sum(bool(each.bot_id) for each in slack.workspace.thread(thread.channel, thread.ts))


def _rush(
    platform: Platform, slack: SlackServer, count: int, threads: Sequence[Message], where: str
) -> list[Figure]:
    requests = []
    for n in range(count):
        thread = threads[n % len(threads)]
        said = slack.workspace.say(f"<@{BOT_USER}> {n}", thread_ts=thread.ts)
        requests.append(event_request(mention(said)))
    began = time.monotonic()
    acks = _send(platform, requests, [n * RUSH_S / count for n in range(count)])
    acked_s = max(each.at_s for each in acks) - began
    platform.wait_until_nothing_is_owed(within_s=SETTLED_WITHIN_S)
    settled_s = time.monotonic() - began
    slowest = max(each.latency_s for each in acks)
    return [
        Figure(
            name=f"{count} webhooks in {RUSH_S:g} s {where}: slowest ack",
            value=slowest,
            unit="s",
            samples=count,
            bound=MOST_RUSH_S,
            note=f"median {statistics.median(each.latency_s for each in acks) * 1000:.0f} ms; "
            f"the last {acked_s:.1f} s after the first was sent; nothing owed after {settled_s:.1f} s",
        )
    ]


def _send(platform: Platform, requests: Sequence[SlackRequest], at_s: Sequence[float]) -> list[_Ack]:
    """Send each at its time over at most `SENDERS` connections; all must be acknowledged. Raises: NotMeasured."""
    local = threading.local()
    began = time.monotonic()

    def post(request: SlackRequest, at: float) -> _Ack:
        due = began + at
        if (left := due - time.monotonic()) > 0:
            time.sleep(left)
        connection = getattr(local, "connection", None)
        if connection is None:
            connection = local.connection = http.client.HTTPConnection("127.0.0.1", platform.port, timeout=30)
        connection.request("POST", request.path, body=request.body, headers=request.headers)
        answer = connection.getresponse()
        answer.read()
        now = time.monotonic()
        return _Ack(answer.status, now - due, now)

    with ThreadPoolExecutor(SENDERS) as pool:
        acks = list(pool.map(post, requests, at_s))
    refused = [each.status for each in acks if each.status != 200]
    if refused:
        raise NotMeasured(f"{len(refused)} of {len(acks)} webhooks were not acknowledged: {refused[:5]}")
    return acks


@contextmanager
def _platform(conditions: Conditions) -> Iterator[tuple[Platform, SlackServer]]:
    command = ["tests.fakes.llm_server", "--delay-ms", str(STUB_DELAY_MS)]
    with SlackServer() as slack, attendant(*command) as stub:
        given = {
            "TURNWRIGHT_MODEL": "acme:stub",
            "ACME_BASE_URL": stub.url,
            "PYTHONPATH": str(installed("acme_provider", conditions.scratch)),
            "TURNWRIGHT_SLACK_SIGNING_SECRET": SECRET,
            "TURNWRIGHT_SLACK_BOT_TOKEN": TOKEN,
            "TURNWRIGHT_SLACK_API_URL": slack.api_url,
        }
        with run_configured(conditions.scratch, given, config=COLLECTING) as platform:
            yield platform, slack
