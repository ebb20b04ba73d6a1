"""What runs in this process right now, and the two ways to stop it: a notice, and a look every second."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Protocol

from services.errors import Unavailable
from services.jobs.claims import Claims
from services.logs import get_logger
from services.processors.advance import Held
from services.streams.event import JobId
from services.streams.store import Store, translated

LOOK_S = 1.0


class Stoppable(Protocol):
    """A run that can be stopped from another thread."""

    def cancel(self, reason: str) -> None:
        """Stop it; frees a blocked read. Later calls change nothing."""


class Running:
    """The runs of one process by job. Thread-safe."""

    def __init__(self, store: Store, claims: Claims, channel: str, *, notices: bool) -> None:
        self._store, self._claims, self._channel, self._notices = store, claims, channel, notices
        self._runs: dict[JobId, tuple[Held, Stoppable]] = {}
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Start listening and looking."""
        self._threads = [threading.Thread(target=self._keep(self._look), name="running", daemon=True)]
        if self._notices:
            self._threads.append(
                threading.Thread(target=self._keep(self._listen), name="cancel", daemon=True)
            )
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Stop both threads; runs are not touched. The one that listens does nothing more, and ends within a second."""
        self._stop.set()
        for thread in self._threads[:1]:
            thread.join(timeout=2 * LOOK_S)

    def add(self, held: Held, run: Stoppable) -> None:
        """`run` works on `held` now."""
        with self._lock:
            self._runs[held.id] = (held, run)

    def remove(self, held: Held) -> None:
        """The run ended."""
        with self._lock:
            self._runs.pop(held.id, None)

    def cancel_all(self, reason: str) -> None:
        """Stop everything that runs here."""
        with self._lock:
            runs = list(self._runs.values())
        for _, run in runs:
            run.cancel(reason)

    def __len__(self) -> int:
        return len(self._runs)

    def _keep(self, work: Callable[[], None]) -> Callable[[], None]:
        def loop() -> None:
            while not self._stop.is_set():
                try:
                    work()
                except Unavailable:
                    self._stop.wait(LOOK_S)
                except Exception as error:
                    # The edge of this thread: without it nothing that runs here could be stopped any more. At the end
                    # its connection is closed under it.
                    if self._stop.is_set():
                        return
                    get_logger("running").warning("look_failed", error=type(error).__name__)
                    self._stop.wait(LOOK_S)

        return loop

    def _look(self) -> None:
        self._stop.wait(LOOK_S)
        with self._lock:
            runs = dict(self._runs)
        if not runs:
            return
        rows = self._claims.look(list(runs))
        for job, (held, run) in runs.items():
            row = rows[job]
            if row is None or row.state != "started" or row.token != held.token:
                run.cancel("taken")
            elif row.cancel:
                run.cancel("cancelled")

    def _listen(self) -> None:
        with translated():
            client = self._store.connect(timeout_s=5)
            pubsub = client.pubsub()
            try:
                pubsub.subscribe(self._channel)
                while not self._stop.is_set():
                    notice = pubsub.get_message(ignore_subscribe_messages=True, timeout=1.0)
                    if self._stop.is_set():
                        return
                    if notice is not None and isinstance(data := notice["data"], bytes):
                        self._heed(JobId(data.decode(errors="replace")))
            finally:
                pubsub.close()
                client.close()
                self._store.forget(client)

    def _heed(self, job: JobId) -> None:
        with self._lock:
            found = self._runs.get(job)
        if found is not None:
            found[1].cancel("cancelled")
