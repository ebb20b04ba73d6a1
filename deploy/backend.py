"""What answers behind the routes of a web process: made when the log store is reached, asked for from the start."""

from __future__ import annotations

from importlib.metadata import version

import msgspec

from deploy.arrival import Arrival
from services.diagnosis.metrics import Metrics
from services.engine import Engine
from services.errors import TurnwrightError, Unavailable
from services.foundation import Foundation
from services.inbound.answering import Answering
from services.jobs.wake import HintPort
from services.sessions.facade import Sessions
from services.spool.entry import Appender
from services.spool.reach import Reach
from services.streams.admission import Guard, ask
from services.streams.log import Log
from services.tokens import TokenId, Tokens, known_here

# Slack waits 3 s in all. One answer of the store may take a second, the spool's turn one and a half.
ANSWER_S = 1.0
# A store that is there is reached before the first request is served; one that is silent is not waited for.
FIRST_LOOK_S = 1.5


class Arrived(msgspec.Struct, frozen=True, kw_only=True):
    """All of it. `appender` answers or fails within the patience of those who send webhooks."""

    engine: Engine
    sessions: Sessions
    tokens: Tokens
    metrics: Metrics
    answering: Answering
    appender: Appender


class Backend:
    """Whatever is asked of it raises StoreAway, with the reason, while the log store was never reached.

    `hasty` is a way to the store that answers or fails within `ANSWER_S`, `reach` what is known of the store.
    """

    def __init__(self, foundation: Foundation, port: HintPort) -> None:
        self._foundation, self._port = foundation, port
        self.hasty = foundation.hasty_store(ANSWER_S)
        self.reach = Reach(self._look)
        self._arrival = Arrival(self._make, lost=self.reach.lost, found=self.reach.look)

    def start(self) -> None:
        """Begin to reach for the store. Raises: ConfigurationError when it answered and can not be used."""
        self._arrival.start(within_s=FIRST_LOOK_S)

    def sessions(self) -> Sessions:
        """What the API offers."""
        return self._arrival.get().sessions

    def answering(self) -> Answering:
        """Where deliveries may be answered for a while."""
        return self._arrival.get().answering

    def appender(self) -> Appender:
        """The way of webhooks to their streams."""
        return self._arrival.get().appender

    def metrics(self) -> Metrics:
        """What the store and all processes know. Raises: Unavailable, soon, while it does not answer."""
        ask(self.hasty)
        return self._arrival.get().metrics

    def is_ready(self) -> bool:
        """Whether prompts are accepted. Raises: Unavailable, soon, while the store does not answer."""
        ask(self.hasty)
        return self._arrival.get().engine.is_ready()

    def verify(self, token: str) -> TokenId | None:
        """Whose token this is. Raises: Unavailable."""
        return self._arrival.get().tokens.verify(token)

    def verify_here(self, token: str) -> TokenId | None:
        """The same; while the store does not answer, what this machine knows by itself has to do.

        Raises: Unavailable when it does not know the token either, which proves nothing.
        """
        try:
            ask(self.hasty)
            return self.verify(token)
        except Unavailable:
            settings = self._foundation.settings
            found = known_here(token, configured=settings.api_token, copy=settings.token_copy)
            if found is None:
                raise
            return found

    def _look(self) -> None:
        ask(self.hasty)
        self._arrival.get()

    def _make(self) -> Arrived:
        # First the hasty one: the engine's would ask a store that is silent for a long time.
        ask(self.hasty)
        engine = Engine(self._foundation, self._port, within_s=0)
        try:
            tokens = engine.tokens()
        except TurnwrightError:
            engine.store.close()
            raise
        engine.wake.start()
        engine.totals.start()
        answering = Answering(self.hasty, engine.keys)
        return Arrived(
            engine=engine,
            sessions=engine.sessions(),
            tokens=tokens,
            metrics=engine.metrics(version("turnwright")),
            answering=answering,
            appender=Appender(
                self._hasty_log(engine),
                lambda entry: answering.keep(entry.stream, entry.key, entry.answer_at),
            ),
        )

    def _hasty_log(self, engine: Engine) -> Log:
        return Log(
            self.hasty,
            engine.keys,
            idempotency_days=engine.config.retention.idempotency_days,
            woken=lambda stream: engine.wake.hint("advance", stream),
            guard=Guard(self.hasty, is_strict=True).check,
            tracer=engine.telemetry.tracer,
        )
