"""Webhooks while the log store is away, on the real platform: acknowledged, and each answered once and in order."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import httpx2
import pytest

from services.spool.facts import SpoolFacts, read_facts
from services.streams.admission import SHARDS
from services.streams.event import StreamId
from services.streams.inbound_events import InboundReceived
from services.streams.keys import Keys
from services.streams.log import Log
from services.streams.store import Store
from tests.fakes.slack_requests import SlackRequest, event_request, mention
from tests.fakes.slack_server import SlackServer
from tests.fakes.slack_workspace import BOT_USER, TEAM, Message
from tests.scenarios.platform import Part, Platform, Setup, installed_site, running_platform
from tests.scenarios.slack_talk import ENVIRONMENT, Talk
from tests.worker.waiting import wait_until

PATIENCE_S = 3.0


@pytest.fixture(scope="module")
def slack() -> Iterator[SlackServer]:
    with SlackServer() as server:
        yield server


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory, slack: SlackServer) -> Iterator[Platform]:
    setup = Setup(
        site=installed_site(tmp_path_factory),
        environment={**ENVIRONMENT, "TURNWRIGHT_SLACK_API_URL": slack.api_url, "TURNWRIGHT_SPOOL": "on"},
        workers_may_die=True,
    )
    with running_platform(tmp_path_factory.mktemp("spool"), setup) as platform:
        wait_until(lambda: (platform.home / "spool").is_dir())
        yield platform
        # What a worker claimed while the store went away is found in nobody's hand after a while.
        wait_until(lambda: platform.gauge("turnwright_due") == 0, within_s=90)


@pytest.fixture
def talk(platform: Platform, slack: SlackServer) -> Talk:
    return Talk(platform, slack)


class Sender:
    """Somebody who calls us in Slack, many times, and notes what was acknowledged and how fast."""

    def __init__(self, talk: Talk) -> None:
        self.talk = talk
        self.took_s: list[float] = []
        self.first = talk.slack.workspace.say(f"<@{BOT_USER}> the first")

    def call(self, text: str) -> Message:
        """Say something in the one thread, which must be acknowledged in time."""
        message = self.talk.slack.workspace.say(f"<@{BOT_USER}> {text}", thread_ts=self.first.ts)
        self.send(event_request(mention(message)))
        return message

    def send(self, request: SlackRequest) -> None:
        """A request of Slack's, which must be acknowledged in time."""
        # A connection each: where there are several processes, either may get it.
        apart = replace(request, headers={**request.headers, "Connection": "close"})
        began = time.monotonic()
        self.talk.deliver(apart)
        self.took_s.append(time.monotonic() - began)
        assert self.took_s[-1] < PATIENCE_S


def _facts(platform: Platform) -> SpoolFacts:
    return read_facts(platform.home / "spool")


def _status(platform: Platform, path: str) -> int:
    return platform.http.get(path).status_code


@contextmanager
def _store_away(platform: Platform) -> Iterator[None]:
    platform.parts["log"].kill()
    try:
        yield
    finally:
        platform.start_store(platform.log_store)
        platform.wait_ready(workers=1)


@contextmanager
def _store_stopped(platform: Platform) -> Iterator[None]:
    os.kill(platform.parts["log"].pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(platform.parts["log"].pid, signal.SIGCONT)
        platform.wait_ready(workers=1)


def _said_in_session(talk: Talk, first: Message) -> list[str]:
    """What the session of a thread was told, in its order."""
    path = f"/api/sessions/{talk.session(first)}/events?type=input.received&limit=200"
    return [event["payload"]["text"] for event in talk.platform.http.get(path).json().get("events", ())]


def _captured(platform: Platform, messages: Sequence[Message]) -> list[str]:
    """Which deliveries of these the inbound stream of their channel has, in its order."""
    store = Store(platform.log_store.url)
    try:
        log = Log(store, Keys(shards=SHARDS))
        stream = StreamId(f"inbound:slack:{TEAM}:{messages[0].channel}")
        events = log.read(stream, after=0, limit=10_000)
    finally:
        store.close()
    bodies = [event.decode(InboundReceived).body for event in events if event.type == "inbound.received"]
    sent = [json.loads(body)["event"]["ts"] for body in bodies]
    return [ts for ts in sent if ts in {each.ts for each in messages}]


def _wait_drained(platform: Platform) -> None:
    wait_until(lambda: _facts(platform).waiting == 0)


@pytest.mark.parametrize("how", [_store_away, _store_stopped])
def test_a_thread_that_goes_on_while_the_store_is_away_keeps_its_order(
    talk: Talk, platform: Platform, how: Callable[[Platform], AbstractContextManager[None]]
) -> None:
    sender = Sender(talk)
    sender.send(event_request(mention(sender.first)))
    talk.wait_replies(sender.first)

    with how(platform):
        said = [sender.call(f"number {n}") for n in range(6)]
        assert _facts(platform).waiting == 6
    said += [sender.call(f"number {n}") for n in range(6, 9)]

    _wait_drained(platform)
    assert _captured(platform, said) == [each.ts for each in said]
    wait_until(lambda: len(_said_in_session(talk, sender.first)) == 10, within_s=30)
    inputs = _said_in_session(talk, sender.first)
    assert [text.rpartition(" ")[2] for text in inputs[1:]] == [str(n) for n in range(9)]


def test_a_web_process_killed_before_its_answer_loses_nothing_and_a_retry_doubles_nothing(
    talk: Talk, platform: Platform
) -> None:
    message = talk.slack.workspace.say(f"<@{BOT_USER}> survive this")
    request = event_request(mention(message))

    with _store_away(platform):
        has_died = platform.arm("spool.kept")
        with pytest.raises(httpx2.HTTPError):
            talk.send(request)
        assert has_died()
        assert _facts(platform).waiting == 1
    talk.deliver(request.retried(1))

    _wait_drained(platform)
    talk.wait_replies(message)
    assert _captured(platform, [message]) == [message.ts]
    assert len(talk.replies(message)) == 1


@pytest.mark.parametrize("point", ["drain.taken", "drain.appended", "drain.removed"])
def test_a_web_process_killed_while_it_drains_loses_and_doubles_nothing(
    talk: Talk, platform: Platform, point: str
) -> None:
    sender = Sender(talk)
    with _store_stopped(platform):
        said = [sender.call(f"{point} {n}") for n in range(5)]
        has_died = platform.arm(point)
        os.kill(platform.parts["log"].pid, signal.SIGCONT)
        wait_until(has_died)

    _wait_drained(platform)
    assert _captured(platform, said) == [each.ts for each in said]
    wait_until(lambda: len(_said_in_session(talk, sender.first)) == 5, within_s=30)


def test_two_web_processes_spool_together_and_one_takes_over_when_the_other_dies(
    talk: Talk, platform: Platform
) -> None:
    second = _second_web(platform)
    sender = Sender(talk)

    with _store_away(platform):
        said = [sender.call(f"both {n}") for n in range(12)]
        assert _facts(platform).waiting == 12
        second.kill()
        said += [sender.call(f"one {n}") for n in range(4)]

    _wait_drained(platform)
    assert _captured(platform, said) == [each.ts for each in said]


def test_a_host_that_spools_takes_webhooks_and_no_prompts(talk: Talk, platform: Platform) -> None:
    assert (_status(platform, "/readyz"), _status(platform, "/readyz/webhooks")) == (200, 200)

    with _store_away(platform):
        Sender(talk).call("while prompts are refused")
        assert (_status(platform, "/readyz"), _status(platform, "/readyz/webhooks")) == (503, 200)
        assert platform.http.post("/api/prompts", json={"text": "not now"}).status_code == 503
        assert talk.send(_forged(talk)).status_code == 401
    _wait_drained(platform)


def test_webhooks_that_arrive_all_the_time_while_the_store_comes_and_goes_arrive_once_and_in_order(
    talk: Talk, platform: Platform
) -> None:
    sender, said, is_over = Sender(talk), list[Message](), threading.Event()

    def talk_on() -> None:
        while not is_over.is_set() and len(said) < 400:
            said.append(sender.call(f"turn {len(said)}"))

    thread = threading.Thread(target=talk_on)
    thread.start()
    try:
        for how in (_store_stopped, _store_away):
            _wait_longer(said, 5)
            with how(platform):
                _wait_longer(said, 15)
    finally:
        is_over.set()
        thread.join()

    _wait_drained(platform)
    assert _captured(platform, said) == [each.ts for each in said]


def test_what_happened_is_counted_and_no_text_is_logged(talk: Talk, platform: Platform) -> None:
    with _store_away(platform):
        Sender(talk).call("canary-of-the-spool")
    _wait_drained(platform)

    wait_until(lambda: (platform.gauge("turnwright_spool_total") or 0) > 0)
    assert platform.gauge("turnwright_spool_waiting") == 0
    assert platform.gauge("turnwright_spool_works") == 1
    web = (platform.folder / "web.log").read_text()
    assert "spool_drained" in web
    assert "canary-of-the-spool" not in platform.logs()
    wait_until(lambda: b"canary-of-the-spool" not in b"".join(_files(platform.home / "spool")))


def _wait_longer(said: list[Message], by: int) -> None:
    before = len(said)
    wait_until(lambda: len(said) >= before + by)


def _files(folder: Path) -> Iterator[bytes]:
    for path in folder.iterdir():
        with suppress(FileNotFoundError):
            yield path.read_bytes()


def _forged(talk: Talk) -> SlackRequest:
    message = talk.slack.workspace.say("never said")
    request = event_request(mention(message))
    return replace(request, body=request.body + b" ")


def _second_web(platform: Platform) -> Part:
    first = platform.parts["web"]
    second = platform.start_web()
    platform.parts["web-2"] = second
    platform.parts["web"] = first
    wait_until(lambda: second.log.read_bytes().count(b"spool_on") > 1)
    return second
