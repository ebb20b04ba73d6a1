"""The crowd: people in many threads at once, Slack and GitHub that tell of it, and of what we said ourselves."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from tests.chaos.postman import Postman
from tests.chaos.rooms import Post, Room, Rooms
from tests.chaos.threads import Saying, Threads

POLL_S = 0.2
LEAST_OPEN = 4
# People go on then: some answers never come, as nobody can know whether they did.
ANSWERED_WITHIN_S = 15.0
RECONCILED_S = 20.0


@dataclass(slots=True, kw_only=True)
class Asked:
    """One saying, as it was told: by webhooks of that `key`. Epoch seconds; 0 while it has not happened."""

    saying: Saying
    room: Room
    key: str
    said_at: float
    acked_at: float = 0.0
    answered_at: float = 0.0

    @property
    def is_open(self) -> bool:
        """Whether an acknowledged one waits for its answer."""
        is_asked = self.saying.is_answered and not self.saying.is_lost
        return is_asked and bool(self.acked_at) and not self.answered_at


class Crowd:
    """`people` talk at once until `mentions` are acknowledged and the attack is through.

    `reconcile` has GitHub asked for what it could not deliver, now and then.
    """

    def __init__(
        self,
        postman: Postman,
        rooms: Rooms,
        threads: Threads,
        *,
        people: int,
        reconcile: Callable[[], object],
    ) -> None:
        self._postman, self._rooms, self._threads, self._people = postman, rooms, threads, people
        self._reconcile = reconcile
        self._lock, self._halt, self._failed = threading.Lock(), threading.Event(), threading.Event()
        self._listener = threading.Thread(target=self._listen, name="listener", daemon=True)
        self._asker = threading.Thread(target=self._ask, name="asker", daemon=True)
        self.asked: dict[str, Asked] = {}
        self.open_rooms: list[Room] = []
        self.own: dict[str, tuple[Room, Post]] = {}
        self.errors: list[str] = []
        self._heard_of: set[tuple[str, str]] = set()

    def drive(self, mentions: int, *, progress: Callable[[], float]) -> None:
        """Talk until all is said and acknowledged. What did not go as it must is in `errors`."""
        self._listener.start()
        self._asker.start()

        def person() -> None:
            while self._may_go_on(mentions, progress):
                with self._lock:
                    thread = self._threads.draw()
                    room = self._rooms.open(thread)
                    self.open_rooms.append(room)
                try:
                    for saying in thread.sayings:
                        if not self._may_go_on(mentions, progress):
                            break
                        self._say(room, saying)
                except Exception as error:
                    self.errors.append(f"{room.session}: {type(error).__name__}: {error}")
                    self._failed.set()

        with ThreadPoolExecutor(self._people) as pool:
            for done in [pool.submit(person) for _ in range(self._people)]:
                done.result()

    def finish(self) -> None:
        """Send what is left of repetitions, and tell of no further post."""
        self._halt.set()
        self._listener.join()
        self._asker.join()
        try:
            self._postman.join()
        except Exception as error:
            self.errors.append(f"{type(error).__name__}: {error}")

    def open(self) -> list[str]:
        """The acknowledged ones that are not answered yet."""
        with self._lock:
            return [token for token, each in self.asked.items() if each.is_open]

    def lost(self) -> list[str]:
        """Those that GitHub could not deliver and that are not answered yet."""
        with self._lock:
            return [t for t, each in self.asked.items() if each.saying.is_lost and not each.answered_at]

    def mentions(self) -> int:
        """How many were acknowledged that are owed an answer."""
        with self._lock:
            return sum(1 for each in self.asked.values() if each.saying.is_answered and each.acked_at)

    def _may_go_on(self, mentions: int, progress: Callable[[], float]) -> bool:
        while not self._failed.is_set():
            through = progress()
            done = self.mentions()
            if through >= 1 and done >= mentions:
                return False
            if done < mentions * through or len(self.open()) < LEAST_OPEN:
                return True
            self._failed.wait(POLL_S)
        return False

    def _say(self, room: Room, saying: Saying) -> None:
        if saying.once == "answered":
            self._wait_answered(room)
        self._failed.wait(saying.pause_s)
        webhooks = room.say(saying)
        asked = Asked(saying=saying, room=room, key=webhooks[0].key, said_at=time.time())
        with self._lock:
            self.asked[saying.token] = asked
        if saying.is_lost:
            # As far as GitHub goes.
            asked.acked_at = time.time()
            return
        self._postman.deliver(webhooks, at_once=saying.at_once)
        asked.acked_at = time.time()
        for number, after_s in enumerate(saying.again_s, 1):
            self._postman.later(webhooks[number % len(webhooks)], after_s=after_s, number=number)

    def _wait_answered(self, room: Room) -> None:
        ends = time.monotonic() + ANSWERED_WITHIN_S
        while time.monotonic() < ends and not self._failed.is_set():
            with self._lock:
                if not any(each.is_open and each.room is room for each in self.asked.values()):
                    return
            self._failed.wait(POLL_S)

    def _ask(self) -> None:
        while not self._halt.wait(RECONCILED_S):
            try:
                self._reconcile()
            except Exception as error:
                self.errors.append(f"reconcile: {type(error).__name__}: {error}")

    def _listen(self) -> None:
        while not self._halt.wait(POLL_S):
            with self._lock:
                rooms = list(self.open_rooms)
            for room in rooms:
                for post in room.posts():
                    self._heard(room, post)

    def _heard(self, room: Room, post: Post) -> None:
        if (room.session, post.id) in self._heard_of:
            return
        self._heard_of.add((room.session, post.id))
        webhook = room.told(post)
        if webhook is None:
            return
        with self._lock:
            self.own[webhook.key] = (room, post)
            for token in post.tokens & self.asked.keys():
                if post.part == post.parts and not self.asked[token].answered_at:
                    self.asked[token].answered_at = time.time()
        self._postman.later(webhook, after_s=0.0)
