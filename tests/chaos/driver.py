"""The driver: people who talk to the platform over HTTP, whatever happens to it, and note what it promised."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from tests.chaos.api import API, Accepted, Unexpected
from tests.chaos.ledger import Ledger
from tests.chaos.talks import Cancel, Pause, Say, Step, Talk, Talks, Withdraw
from tests.fakes.llm_server import LLMServer

POLL_S = 0.25
CALLED_WITHIN_S = 3.0
SETTLED_WITHIN_S = 60.0
LEAST_OPEN = 3


class Driver:
    """`people` talk at once, some want to be called back below `callbacks`.

    A run goes on until `turns` prompts are acknowledged and `is_over`.

    `progress` (0 to 1) paces them: prompts are not used up before the attack is through.
    """

    def __init__(
        self, api: API, fake: LLMServer, talks: Talks, *, run: str, people: int, callbacks: str
    ) -> None:
        self._api, self._fake, self._talks = api, fake, talks
        self._callbacks = callbacks
        self._run, self._people = run, people
        self.ledger = Ledger()
        self.sessions: set[str] = set()
        self.failed = threading.Event()
        self._lock = threading.Lock()
        self._sent = 0

    def drive(self, turns: int, *, progress: Callable[[], float]) -> None:
        """Talk until all is acknowledged and settled. Raises: Unexpected."""

        def person() -> None:
            try:
                while not self.failed.is_set() and self._wait_for_go(turns, progress):
                    with self._lock:
                        talk = self._talks.draw()
                        self._sent += sum(isinstance(step, Say) for step in talk.steps)
                    self._hold(talk)
            except BaseException:
                self.failed.set()
                raise

        with ThreadPoolExecutor(self._people) as pool:
            for done in [pool.submit(person) for _ in range(self._people)]:
                done.result()

    def _wait_for_go(self, turns: int, progress: Callable[[], float]) -> bool:
        """True when the next talk may begin, False when there is none."""
        while not self.failed.is_set():
            through = progress()
            if through >= 1 and self.ledger.turns() >= turns:
                return False
            if self._sent < turns * through or len(self.ledger.open()) < LEAST_OPEN:
                return True
            self.failed.wait(POLL_S)
        return False

    def _hold(self, talk: Talk) -> None:
        callback = f"{self._callbacks}/talk-{talk.n}"
        person = _Person(self._api, self._fake, self.ledger, talk, run=self._run, callback=callback)
        for number, step in enumerate(talk.steps):
            person.take(step, number)
            self.sessions |= {person.session} if person.session else set()
        person.wait_settled()


class _Person:
    def __init__(
        self, api: API, fake: LLMServer, ledger: Ledger, talk: Talk, *, run: str, callback: str
    ) -> None:
        self._api, self._fake, self._ledger = api, fake, ledger
        self._callback = callback
        self._talk, self._run = talk, run
        self.session = talk.session or ""
        self._last: Accepted | None = None
        self._read_to = 0
        self._calls = 0

    def take(self, step: Step, number: int) -> None:
        match step:
            case Say():
                self._wait(step)
                self._say(step, number)
            case Cancel(queued=queued):
                self._wait_called()
                self._command("POST", "cancel", {"queued": queued})
            case Withdraw():
                assert self._last is not None
                self._command("DELETE", f"inputs/{self._last.offset}", None)
            case Pause():
                self._command("POST", "pause", {})
                self._command("POST", "resume", {})

    def _wait(self, step: Say) -> None:
        if step.once == "called":
            self._wait_called()
        elif step.once == "settled" and self._last is not None:
            self.wait_settled()

    def _say(self, step: Say, number: int) -> None:
        fields = {"policy": step.policy} | ({"session": self.session} if self.session else {})
        fields |= {"callback": self._callback} if step.is_told else {}
        self._calls = self._count_calls()
        key = f"{self._run}-{self._talk.n}-{number}"
        self._last = self._api.prompt(step.text, key=key, wait_s=3 if step.waits else 0, fields=fields)
        self.session = self._last.session
        self._ledger.acknowledged(
            self.session, self._last.offset, step.policy, step.text, is_told=step.is_told
        )

    def _command(self, method: str, path: str, body: dict[str, object] | None) -> None:
        answer = self._api.call(method, f"/api/sessions/{self.session}/{path}", body=body)
        # A prompt that is no longer pending can not be withdrawn, nor twice; that is an answer too.
        if answer.status_code not in (200, 202, 204, 404, 409):
            raise Unexpected(f"{method} {path}: {answer.status_code} {answer.text[:200]}")

    def _count_calls(self) -> int:
        return sum(1 for each in list(self._fake.requests) if each.asked.session == self.session)

    def _wait_called(self) -> None:
        """Until the vendor was called for this session since the last prompt, but not for long."""
        self._fake.wait_for(lambda fake: self._count_calls() > self._calls, within_s=CALLED_WITHIN_S)

    def wait_settled(self) -> None:
        ends = time.monotonic() + SETTLED_WITHIN_S
        while True:
            self._look()
            left = self._ledger.open(self.session)
            if not left:
                return
            if time.monotonic() > ends:
                raise Unexpected(f"{self.session}@{left[0].offset} not settled in {SETTLED_WITHIN_S:g} s")
            threading.Event().wait(POLL_S)

    def _look(self) -> None:
        for event in self._api.events(self.session, after=self._read_to):
            self._read_to = event.offset
            if event.type == "turn.settled":
                for offset in event.payload.get("inputs", ()):
                    self._ledger.ended(self.session, offset)
            elif event.type == "input.withdrawn":
                self._ledger.ended(self.session, event.payload["input"])
