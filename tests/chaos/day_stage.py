"""The platform of a simulated day: beats and workers that die and come back, and the people who handle triggers."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing

import httpx2
import msgspec
import redis

from services.jobs.incarnation import REVOKED_EXIT
from services.schedule.names import stream_of
from services.sessions.trigger_values import Defined, Fired, TickPage, TickView, TriggerPage, TriggerView
from services.streams.keys import JOB_KINDS, Keys
from services.streams.log import Log
from services.streams.store import Store
from tests.chaos.api import API, Event, Unexpected
from tests.chaos.day_clock import DayClock
from tests.chaos.day_plan import Body
from tests.scenarios.platform import TOKEN, Platform
from tests.worker.waiting import wait_until

QUIET_WITHIN_S = 120.0
# Who took a stream may have put it off by this much.
PUT_OFF_MS = 7000
# Longer than any step: a worker whose lease is over ends. Rounds are short, so that a jump is noticed at once.
TIMINGS = {"lease_ttl_s": 3600.0, "lease_renew_s": 0.3, "take_grace_s": 2.0, "relay_s": 0.25}
_DEATHS = (-signal.SIGKILL, REVOKED_EXIT)


class People(API):
    """What people do with triggers; every call is repeated until it is answered."""

    def define(self, trigger: str, body: Body) -> None:
        """Define it, or change it."""
        self._read(self.call("PUT", f"/api/triggers/{trigger}", body=body), Defined)

    def remove(self, trigger: str) -> None:
        """Remove it. That it is gone already is the answer to a repeat."""
        answer = self.call("DELETE", f"/api/triggers/{trigger}")
        if answer.status_code not in (200, 404):
            raise Unexpected(f"DELETE {trigger}: {answer.status_code}")

    def fire(self, trigger: str, key: str) -> str | None:
        """Have it done now; the tick. None: it was removed."""
        answer = self.call("POST", f"/api/triggers/{trigger}/fire", headers={"Idempotency-Key": key})
        return None if answer.status_code == 404 else self._read(answer, Fired).tick

    def pause(self, session: str) -> Callable[[], None] | None:
        """Pause a session; returns what resumes it. None: it is not there yet."""
        answer = self.call("POST", f"/api/sessions/{session}/pause", body={})
        if answer.status_code == 404:
            return None
        return lambda: self._done(self.call("POST", f"/api/sessions/{session}/resume", body={}))

    def triggers(self) -> Sequence[TriggerView]:
        """Those that are not removed."""
        return self._read(self.call("GET", "/api/triggers?limit=500"), TriggerPage).triggers

    def trigger(self, trigger: str) -> TriggerView:
        """One of them, or one that was removed."""
        return self._read(self.call("GET", f"/api/triggers/{trigger}"), TriggerView)

    def _done(self, answer: httpx2.Response) -> None:
        if answer.status_code not in (200, 202, 409):
            raise Unexpected(f"{answer.request.url.path}: {answer.status_code} {answer.text[:200]}")

    def rows(self, trigger: str, since: int) -> list[TickView]:
        """What became of what was due from `since` on, the newest first."""
        found: list[TickView] = []
        cursor: str | None = ""
        while cursor is not None:
            query = f"since={since}&limit=1000" + (f"&cursor={cursor}" if cursor else "")
            page = self._read(self.call("GET", f"/api/triggers/{trigger}/ticks?{query}"), TickPage)
            found += page.ticks
            cursor = page.cursor
        return found


class Stage:
    """`workers` and `beats` of a platform; whoever dies is started again by `tend`."""

    def __init__(self, platform: Platform, *, workers: int, beats: int) -> None:
        self.platform = platform
        self.people = People(platform.url, TOKEN)
        self.clock = DayClock(platform.log_store.url)
        self.workers = [f"worker-{n + 1}" for n in range(workers)]
        self.beats = [f"beat-{n + 1}" for n in range(beats)]
        self.deaths: list[str] = []
        self.errors: list[str] = []
        self._keys = Keys()

    def start_all(self) -> None:
        """Start web, workers and beats."""
        self.platform.start_web()
        self.start_rest()

    def start_rest(self) -> None:
        """Start workers and beats."""
        self._start(*self.workers, *self.beats)

    def kill(self, *names: str) -> None:
        """SIGKILL to those that run."""
        for name in names:
            part = self.platform.parts[name]
            if part.is_running():
                part.kill()
                self.deaths.append(f"{name}:{-signal.SIGKILL}")

    def revive(self, name: str) -> None:
        """Start what people need to get an answer, if that was killed; `tend` looks after workers and beats."""
        platform = self.platform
        if name == "web":
            platform.start_web()
        elif name in ("log", "broker"):
            platform.start_store(platform.log_store if name == "log" else platform.broker)

    def stand_still(self, name: str) -> Callable[[], None]:
        """SIGSTOP; returns what lets it go on."""
        process = self.platform.parts[name].process
        process.send_signal(signal.SIGSTOP)
        return lambda: process.send_signal(signal.SIGCONT)

    def tend(self, *, but: Sequence[str] = ()) -> None:
        """Start whoever died anew, as a supervisor would; note who had no reason to."""
        for name in (*self.workers, *self.beats):
            part = self.platform.parts[name]
            if part.is_running() or name in but:
                continue
            status = part.process.wait()
            if not part.is_expected_to_end:
                self.deaths.append(f"{name}:{status}")
            if status not in _DEATHS:
                self.errors.append(f"{name} ended with {status}: {part.log.read_text()[-500:]}")
            self._start(name)

    def stop_the_world(self) -> Callable[[], None]:
        """SIGKILL to everything, the stores included; the log store comes back alone. Returns what starts the rest."""
        self.kill("web", *self.workers, *self.beats, "broker", "log")
        self.revive("log")
        self.clock.mark()

        def start() -> None:
            self.clock.mark()
            self.revive("broker")
            self.start_all()

        return start

    def rest(self, *, but: Sequence[str] = ()) -> None:
        """Wait until nothing is due, on its way or unanswered; `but` whom nobody starts again."""

        def is_quiet() -> bool:
            self.tend(but=but)
            return self.is_quiet()

        wait_until(is_quiet, within_s=QUIET_WITHIN_S)
        self.clock.mark()

    def is_quiet(self) -> bool:
        """Whether all that was due is done."""
        now = self.clock.now()
        open = any(one.open or (one.next is not None and one.next <= now) for one in self.people.triggers())
        return not open and not self.owed()

    def owed(self) -> dict[str, int]:
        """What is due in the store or held by somebody, by kind."""
        now = self.clock.now()
        with closing(redis.Redis.from_url(self.platform.log_store.url)) as client:
            pipe = client.pipeline(transaction=False)
            holders = [
                name if isinstance(name, str) else name.decode() for name in client.hkeys(self._keys.workers)
            ]
            for shard in range(self._keys.shards):
                pipe.zcount(self._keys.due(shard, "advance"), "-inf", now + PUT_OFF_MS)
            for shard in range(self._keys.shards):
                for kind in JOB_KINDS:
                    pipe.zcard(self._keys.due(shard, kind))
                for holder in holders:
                    pipe.zcard(self._keys.held(shard, holder))
            counts = [int(count) for count in pipe.execute()]
        streams, jobs = sum(counts[: self._keys.shards]), sum(counts[self._keys.shards :])
        return {name: count for name, count in (("streams", streams), ("jobs", jobs)) if count}

    def events(self, triggers: Iterable[str]) -> dict[str, list[Event]]:
        """Everything in the streams of some triggers, removed ones too."""
        with closing(Store(self.platform.log_store.url)) as store:
            log = Log(store, self._keys)
            return {
                trigger: [
                    Event(one.offset, one.type, msgspec.json.decode(one.payload), one.created_at)
                    for one in log.read(stream_of(trigger), limit=1_000_000)
                ]
                for trigger in triggers
            }

    def close(self) -> None:
        """End what this process holds."""
        self.people.close()

    def _start(self, *names: str) -> None:
        for name in names:
            if name in self.workers:
                self.platform.start_worker(name)
            else:
                self.platform.start_beat(name)
