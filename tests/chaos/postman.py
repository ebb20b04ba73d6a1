"""Slack's and GitHub's side of webhooks: sent until they are acknowledged, and every attempt noted."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import httpx2

from tests.chaos.api import Unexpected
from tests.chaos.rooms import Webhook

PATIENCE_S = 120.0
AGAIN_S = 0.4
AT_ONCE = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One POST. `status` 0: there was no answer, and `error` says how. Times are epoch seconds."""

    key: str
    at: float
    until: float
    status: int
    error: str = ""

    def __str__(self) -> str:
        return f"{self.at:.3f} +{self.until - self.at:.3f} {self.key}: {self.status or self.error}"


class Postman:
    """Sends to `url`. Thread-safe."""

    def __init__(self, url: str) -> None:
        limits = httpx2.Limits(max_connections=AT_ONCE * 2)
        self._client = httpx2.Client(base_url=url, trust_env=False, limits=limits)
        self._pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="postman")
        self._lock = threading.Lock()
        self._never = threading.Event()
        self._later: list[Future[None]] = []
        self.attempts: list[Attempt] = []

    def close(self) -> None:
        """Close the connections."""
        self._pool.shutdown(cancel_futures=True)
        self._client.close()

    def deliver(self, webhooks: Sequence[Webhook], *, at_once: int = 1) -> None:
        """Send each so often at the same moment, and come back when all are acknowledged. Raises: Unexpected."""
        start = threading.Barrier(len(webhooks) * at_once)
        copies = [each for each in webhooks for _ in range(at_once)]
        others = [threading.Thread(target=self._caught, args=(each, start)) for each in copies[1:]]
        for other in others:
            other.start()
        start.wait()
        self._send(copies[0])
        for other in others:
            other.join()

    def later(self, webhook: Webhook, *, after_s: float, number: int = 0) -> None:
        """Send it once more, as the `number`-th repetition, but not now."""

        def send() -> None:
            self._never.wait(after_s)
            self._send(webhook, number=number)

        with self._lock:
            self._later.append(self._pool.submit(send))

    def join(self) -> None:
        """Wait for everything that was to be sent later. Raises: Unexpected."""
        while self._later:
            with self._lock:
                one = self._later.pop()
            one.result()

    def _caught(self, webhook: Webhook, start: threading.Barrier) -> None:
        start.wait()
        try:
            self._send(webhook)
        except Unexpected:
            # Its attempts tell.
            return

    def _send(self, webhook: Webhook, *, number: int = 0) -> None:
        ends = time.monotonic() + PATIENCE_S
        while not self._attempt(webhook.repeated(number)):
            if time.monotonic() > ends:
                raise Unexpected(f"{webhook.key} was not taken in {PATIENCE_S:g} s")
            number += 1
            self._never.wait(AGAIN_S)

    def _attempt(self, webhook: Webhook) -> bool:
        at, status, error = time.time(), 0, ""
        try:
            answer = self._client.post(
                webhook.path, content=webhook.body, headers=webhook.headers, timeout=webhook.timeout_s
            )
            status = answer.status_code
        except httpx2.HTTPError as failure:
            error = type(failure).__name__
        attempt = Attempt(key=webhook.key, at=at, until=time.time(), status=status, error=error)
        with self._lock:
            self.attempts.append(attempt)
        if 400 <= status < 500:
            raise Unexpected(f"{webhook.key} was refused: {status}")
        return status == 200
