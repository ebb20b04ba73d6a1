"""Live event streams: without gap, without repeat, bounded in number, ended when the server stops."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import httpx2
import msgspec
import pytest

from services.streams.event import EventInput, StreamId
from services.streams.tail import Delta
from services.streams.vocabulary import InputReceived
from tests.scenarios.http_stage import TOKEN, Stage, opened_stage, wait_until
from web.app import WebLimits

X = StreamId("app:x")


@pytest.fixture
def stage() -> Iterator[Stage]:
    with opened_stage(limits=WebLimits(live_requests=3, heartbeat_s=0.5)) as opened:
        opened.prompt("hello", session=X)
        yield opened


def test_what_was_and_what_comes_arrives_once_and_in_order(stage: Stage) -> None:
    with stage.served() as url, stage.follow(url, X) as live:
        assert [live.event()["offset"] for _ in range(2)] == [1, 2]
        stage.answer(X, "hi")

        assert [live.event()["type"] for _ in range(4)] == [
            "turn.started",
            "llm.requested",
            "llm.settled",
            "turn.settled",
        ]


def test_a_stream_resumes_after_the_last_event_seen(stage: Stage) -> None:
    with stage.served() as url:
        with stage.follow(url, X, after=1) as live:
            assert live.event()["offset"] == 2
        stage.prompt("more", session=X)
        with stage.follow(url, X, after=2) as live:
            assert live.event()["offset"] == 3


def test_nothing_is_lost_or_repeated_while_a_flood_is_followed_with_broken_connections(stage: Stage) -> None:
    def flood() -> None:
        for i in range(300):
            said = EventInput.of("input.received", InputReceived(text=str(i), policy="silent"))
            stage.log.append(X, [said])

    thread = threading.Thread(target=flood)
    thread.start()
    seen: list[int] = []
    with stage.served() as url:
        while len(seen) < 302:
            with stage.follow(url, X, after=seen[-1] if seen else 0) as live:
                if live.status != 200:
                    continue
                seen += [live.event()["offset"] for _ in range(min(61, 302 - len(seen)))]
    thread.join()

    assert seen == list(range(1, 303))


def test_deltas_are_passed_on_without_an_id(stage: Stage) -> None:
    with stage.served() as url, stage.follow(url, X, after=2) as live:
        live.frame()
        delta = Delta(job="app:x@1", attempt=1, seq=0, text="Hel")
        channel = stage.log.keys.tail_channel(X)
        wait_until(lambda: stage.store.client.publish(channel, msgspec.json.encode(delta)))

        while "data" not in (frame := live.frame()):
            pass

    assert (frame["event"], "id" in frame) == ("delta", False)
    assert msgspec.json.decode(frame["data"])["text"] == "Hel"


def test_a_silent_stream_shows_that_it_lives(stage: Stage) -> None:
    with stage.served() as url, stage.follow(url, X, after=2) as live:
        frames = [live.frame() for _ in range(3)]

    assert [list(frame) for frame in frames] == [["retry"], [""], [""]]


def test_events_of_other_types_are_left_out(stage: Stage) -> None:
    with stage.served() as url, stage.follow(url, X, query="?type=turn.settled,llm.settled") as live:
        stage.answer(X, "hi")

        assert [live.event()["type"] for _ in range(2)] == ["llm.settled", "turn.settled"]


def test_streams_above_the_cap_are_refused_and_places_come_back(stage: Stage) -> None:
    with stage.served() as url:
        with stage.follow(url, X) as a, stage.follow(url, X) as b, stage.follow(url, X) as c:
            with stage.follow(url, X) as refused:
                assert (refused.status, refused.response.headers["Retry-After"]) == (503, "5")
                assert refused.response.headers["Content-Type"] == "application/problem+json"
            assert stage.call("GET", "/api/sessions/app:x/events").status_code == 200
            assert [each.event()["offset"] for each in (a, b, c)] == [1, 1, 1]

        def is_free() -> bool:
            with stage.follow(url, X) as live:
                return live.status == 200

        wait_until(is_free)


def test_the_place_of_a_caller_who_hung_up_is_free_long_before_the_next_heartbeat() -> None:
    with opened_stage(limits=WebLimits(live_requests=1, heartbeat_s=600)) as stage:
        stage.prompt("hello", session=X)
        with stage.served() as url:
            with stage.follow(url, X, after=2) as live:
                live.frame()

            def is_free() -> bool:
                with stage.follow(url, X, after=2) as again:
                    return again.status == 200

            wait_until(is_free, deadline_s=5)


def test_streams_end_when_the_server_stops(stage: Stage) -> None:
    with stage.served() as url, stage.follow(url, X, after=2) as live:
        live.frame()
        stage.stopping.set()

        assert list(live.rest()) == []


@pytest.mark.parametrize(("session", "last", "status"), [("app:none", "0", 404), ("app:x", "abc", 422)])
def test_a_stream_that_can_not_be_is_refused_before_it_starts(
    stage: Stage, session: str, last: str, status: int
) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}", "Accept": "text/event-stream", "Last-Event-ID": last}
    with stage.served() as url:
        answer = httpx2.get(f"{url}/api/sessions/{session}/events", headers=headers, trust_env=False)

    assert (answer.status_code, answer.headers["Content-Type"]) == (status, "application/problem+json")


def test_a_refused_stream_takes_no_place(stage: Stage) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}", "Accept": "text/event-stream"}
    with stage.served() as url:
        for _ in range(5):
            httpx2.get(f"{url}/api/sessions/app:none/events", headers=headers, trust_env=False)
            stage.call("HEAD", "/api/sessions/app:x/events", headers={"Accept": "text/event-stream"})
        with stage.follow(url, X) as live:
            assert live.event()["offset"] == 1
